// op/step.hpp: what a training step reads anew each time it is taken, on devices that do at once what they are asked:
// masks, labels, warps, and an optimizer's numbers. A GPU has its own of each, which a recorded step finds in the
// card's memory (op/gpu).
#pragma once
#include <cmath>
#include <memory>
#include <utility>

#include <holon/op/check.hpp>
#include <holon/op/cpu_ops.hpp>
#include <holon/op/plan/plan.hpp>

namespace holon::op {

template <class D>
concept Immediate = Device<D> && !std::same_as<D, Gpu>;

template <> class DeferredGradients<Cpu> {
 public:
    explicit DeferredGradients(Context<Cpu>&) {}
    void finish() {}
};
/// Completes the gradients that there are, for whoever is to write to one again within a `DeferredGradients`.
inline void finish_gradients(Context<Cpu>&) {}

/// x as a convolution by `o` and its filter's gradient take it: on this device as it is.
template <Element T> Tensor<T, Cpu> pad_for_conv2d(Context<Cpu>&, const Tensor<T, Cpu>& x, const Conv2dOptions&) {
    return x;
}

/// True where a backend keeps a form of its own of a filter that it has seen twice since it was written.
inline bool keeps_filter_forms(const Context<Cpu>&) { return true; }

/// Draws a mask for the step that is being taken; `draw` gives a `DropoutMask`.
template <Immediate D, class Draw> DropoutMask dropout_mask(Context<D>&, const Draw& draw) { return draw(); }

/// The classes of a batch's images and, unless each counts the same, how much each counts. Kept where the device reads
/// them; `set` puts those of another batch there, and in the same place if there are as many.
template <Device D> class Targets;
template <Immediate D> class Targets<D> {
 public:
    explicit Targets(std::int64_t classes, Context<D>& = default_context<D>()) : classes_(classes) {}
    /// `weights` is empty, or has one for each label. Labels are 0 to `classes` - 1.
    void set(std::span<const int> labels, std::span<const float> weights = {}) {
        expects_labels({std::int64_t(labels.size()), 1, 1, classes_}, labels, weights);
        labels_.assign(labels.data(), labels.data() + labels.size());
        weights_.assign(weights.data(), weights.data() + weights.size());
    }
    std::span<const int> labels() const { return {labels_.data(), labels_.size()}; }
    std::span<const float> weights() const { return {weights_.data(), weights_.size()}; }

 private:
    std::int64_t classes_;
    std::vector<int> labels_;
    std::vector<float> weights_;
};

template <Element A, Immediate D>
Tensor<A, D> cross_entropy(Context<D>& context, const Tensor<A, D>& logits, const Targets<D>& targets) {
    return cross_entropy(context, logits, targets.labels(), targets.weights());
}
template <Element A, Immediate D>
void cross_entropy_backward(Context<D>& context, const Tensor<A, D>& logits, const Targets<D>& targets,
                            const Tensor<A, D>& dy, Tensor<A, D>& dlogits, Gradient mode) {
    cross_entropy_backward(context, logits, targets.labels(), targets.weights(), dy, dlogits, mode);
}

/// One `Warp` for each image of a batch, kept where the device reads them; `set` as for `Targets`.
template <Device D> class Warps;
template <Immediate D> class Warps<D> {
 public:
    explicit Warps(Context<D>& = default_context<D>()) {}
    void set(std::span<const Warp> warps) { warps_.assign(warps.begin(), warps.end()); }
    std::span<const Warp> list() const { return warps_; }

 private:
    std::vector<Warp> warps_;
};

template <Element T, Immediate D>
Tensor<T, D> affine_warp(Context<D>& context, const Tensor<T, D>& x, const Warps<D>& warps, const WarpOptions& o) {
    return affine_warp(context, x, warps.list(), o);
}
template <Element T, Immediate D>
void affine_warp_backward(Context<D>& context, const Tensor<T, D>& x, const Tensor<T, D>& dy, const Warps<D>& warps,
                          const WarpOptions& o, Tensor<T, D>& dx, Gradient mode) {
    affine_warp_backward(context, x, dy, warps.list(), o, dx, mode);
}

/// Decides, where the gradients are, how a step takes them: 1x1x1x3 of what to multiply them by, whether to take the
/// step (1, or 0 where their norm or `loss`, if given, is not finite), and their norm. Without gradients their norm
/// counts as 0. `now` gives the `StepLimit`.
template <Element A, Immediate D>
Tensor<A, D> step_scale(Context<D>& context, std::span<const Tensor<A, D>* const> gradients, const Tensor<A, D>* loss,
                        const LimitNow& now) {
    const double norm = std::sqrt(squared_norm(context, gradients));
    const StepLimit limit = now();
    const double real = norm * limit.unscale;
    Tensor<A, D> out({1, 1, 1, 3}, context);
    if constexpr (std::same_as<D, Cpu>) {
        out.data()[0] = A(limit.clip > 0 && real > limit.clip ? limit.unscale * limit.clip / real : limit.unscale);
        out.data()[1] = is_finite(norm) && (!loss || is_finite(loss->data()[0])) ? A(1) : A(0);
        out.data()[2] = A(norm);
    }
    return out;
}

namespace step_detail {
/// The step that is taken by a scale; false: it is left out.
template <class Step, Element A, Immediate D> bool takes(Step& step, [[maybe_unused]] const Tensor<A, D>* scale) {
    if constexpr (std::same_as<D, Cpu>) {
        if (!scale) return true;
        step.gradient_scale = double(scale->data()[0]);
        return scale->data()[1] != 0;
    }
    return true;
}
template <class Operand> void rate(std::vector<Operand>& operands, const Rates* rates) {
    for (std::size_t i = 0; i < operands.size(); ++i) {
        operands[i].rate = rates[i].rate;
        operands[i].coupled = rates[i].coupled;
        operands[i].decoupled = rates[i].decoupled;
    }
}
}  // namespace step_detail

/// One step, by rates and numbers that `now` gives (the operands' own rates do not count); `scale`, if given, is
/// `step_scale`'s answer: what gradients are multiplied by, and whether the step is taken at all.
template <Element A, Immediate D>
void adam(Context<D>& context, std::vector<AdamOperand<A, D>> operands, const AdamNow& now, const Tensor<A, D>* scale) {
    const auto rates = std::make_unique<Rates[]>(operands.size());
    AdamStep step = now({rates.get(), operands.size()});
    if (!step_detail::takes(step, scale)) return;
    step_detail::rate(operands, rates.get());
    adam(context, std::span<const AdamOperand<A, D>>(operands), step);
}
template <Element A, Immediate D>
void sgd(Context<D>& context, std::vector<SgdOperand<A, D>> operands, const SgdNow& now, const Tensor<A, D>* scale) {
    const auto rates = std::make_unique<Rates[]>(operands.size());
    SgdStep step = now({rates.get(), operands.size()});
    if (!step_detail::takes(step, scale)) return;
    step_detail::rate(operands, rates.get());
    sgd(context, std::span<const SgdOperand<A, D>>(operands), step);
}

}  // namespace holon::op
