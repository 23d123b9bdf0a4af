// optim/loss_scale.hpp: float16's gradients are too small to be told from zero unless the loss is scaled up first.
#pragma once
#include <algorithm>
#include <optional>

#include <holon/core/element.hpp>

namespace holon {

/// Dynamic loss scaling (Micikevicius et al., "Mixed precision training", ICLR 2018): backward starts from `scale()`
/// instead of 1, the optimizer takes it back. A step whose gradients are not finite is skipped and halves the scale;
/// many good steps in a row double it.
class LossScale {
 public:
    struct Options {
        double first = 65536, least = 1, most = 16777216;
        int good_steps = 2000;  ///< in a row, before the scale doubles
    };

    LossScale() : LossScale(Options()) {}
    explicit LossScale(Options options) : options_(options), scale_(options.first) {}

    double scale() const { return scale_; }
    int good() const { return good_; }
    /// Goes on from where another one stood.
    void restore(double scale, int good) {
        scale_ = scale;
        good_ = good;
    }

    /// Told the norm of the scaled gradients: what gradients are to be multiplied by in the step, or nothing if the
    /// step must not be taken.
    std::optional<double> accept(double norm) {
        if (!is_finite(norm)) {
            scale_ = std::max(options_.least, scale_ / 2);
            good_ = 0;
            ++skipped_;
            return {};
        }
        const double unscale = 1 / scale_;
        if (++good_ >= options_.good_steps) {
            scale_ = std::min(options_.most, scale_ * 2);
            good_ = 0;
        }
        return unscale;
    }
    /// Steps that were not taken.
    long skipped() const { return skipped_; }

 private:
    Options options_;
    double scale_;
    int good_ = 0;
    long skipped_ = 0;
};

}  // namespace holon
