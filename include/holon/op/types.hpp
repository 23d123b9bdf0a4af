// op/types.hpp: the small structs that ops take and give, the same on every device.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include <holon/op/geometry.hpp>
#include <holon/tensor/tensor.hpp>

namespace holon::op {

/// Per channel over n, h and w: mean and 1 / sqrt(biased variance + epsilon). Each is 1x1x1xc.
template <Element A, Device D>
struct BatchStatistics {
    Tensor<A, D> mean, inverse_deviation;
};

/// Per channel over n, h and w: the sum of an image's values and that of their squares. Each is 1x1x1xc.
template <Element A, Device D>
struct ChannelSums {
    Tensor<A, D> sum, squares;
};

/// A convolution's result and the sums of its channels, where one kernel gives both.
template <Element T, Device D>
struct ConvolvedWithSums {
    Tensor<T, D> y;
    ChannelSums<Accumulate<T>, D> sums;
};

/// True where a device may have such a kernel.
template <Element T, Device D> inline constexpr bool convolves_with_sums = false;
/// Defined where it may; nothing is given, and nothing computed, where it is not the faster way.
template <Element T, Device D>
std::optional<ConvolvedWithSums<T, D>> conv2d_with_sums(Context<D>&, const Tensor<T, D>& x,
                                                        const Tensor<Accumulate<T>, D>& filter, const Conv2dOptions&);

/// What a batch's statistics move: running = (1 - momentum) * running + momentum * the batch's. The variance that joins is
/// by n - 1 if `unbiased` (and n > 1), else by n. Each vector is 1x1x1xc.
template <Element A, Device D>
struct RunningStatistics {
    Tensor<A, D>*mean, *variance;
    double momentum = 0.1;
    bool unbiased = true;
    const Tensor<A, D>* shift = nullptr;  ///< if not null, it is x + shift that the statistics are of
    /// The factor of a biased variance over `count` positions.
    double correction(std::int64_t count) const {
        return unbiased && count > 1 ? double(count) / double(count - 1) : 1.0;
    }
};

/// What batch normalisation does to a channel: y = (x - mean) * inverse_deviation * weight + bias. Each is 1x1x1xc.
template <Element A, Device D>
struct Normalization {
    Tensor<A, D> mean, inverse_deviation, weight, bias;
};

/// Which elements a ReLU let through that follows a batch norm with a residual. On Cpu it is the result itself, which the
/// next layer keeps anyway; on Gpu a byte for each pack of 16 bytes of a position's channels, in which bit i stands for the
/// pack's channel i: n x h x w x packs.
template <Element T, Device D>
struct ReluMask {
    Tensor<T, D> y;
    Tensor<std::uint8_t, D> bits;
    explicit operator bool() const { return bool(y) || bool(bits); }
    static constexpr Shape bits_shape(const Shape& s) {
        constexpr int pack = 16 / int(sizeof(T));
        return {s.n, s.h, s.w, (s.c + pack - 1) / pack};
    }
};

/// A result of batch norm, and what its backward pass masks by where that was wanted.
template <Element T, Device D>
struct BatchNormed {
    Tensor<T, D> y;
    ReluMask<T, D> mask;
};

/// Where the gradients of batch normalisation go; a null pointer means not wanted. `residual` may share the storage of dy
/// where it is assigned: it is written over it.
template <Element T, Device D>
struct BatchNormGradients {
    Tensor<T, D>* x = nullptr;
    Gradient to_x = Gradient::assign;
    Tensor<T, D>* residual = nullptr;
    Gradient to_residual = Gradient::assign;
    Tensor<Accumulate<T>, D>* weight = nullptr;
    Gradient to_weight = Gradient::assign;
    Tensor<Accumulate<T>, D>* bias = nullptr;
    Gradient to_bias = Gradient::assign;
};

/// A pooled image and, per output element, which tap of the window (r * S + s) held the maximum.
template <Element T, Device D>
struct MaxPooled {
    Tensor<T, D> y;
    Tensor<std::uint8_t, D> place;
};

/// While it lives, gradients of parameters may be incomplete until `finish` is called: a device may have work on them that
/// it does faster for many at once. Destroyed without it, that work is left out.
template <Device D> class DeferredGradients;

/// Where a dropout mask's random numbers come from: element i belongs to counter `first + i / 4`, word i % 4.
struct DropoutMask {
    double rate = 0.5;
    std::uint64_t seed = 0, stream = 0, first = 0;
};

/// One image's augmentation. `matrix` (row-major 2x2) and `offset` map output (row, column) to input (row, column);
/// then `shift` is added per output channel and clipped to the range the warped image had; flips come last.
struct Warp {
    std::array<double, 4> matrix{1, 0, 0, 1};
    std::array<double, 2> offset{0, 0};
    std::array<float, 3> shift{0, 0, 0};
    bool flip_horizontal = false, flip_vertical = false;
};

/// How warped grey values become network input: channel k of the result is (value - mean[k]) * scale[k].
/// Outside positions take the nearest edge pixel.
struct WarpOptions {
    int channels = 3;  ///< of the result, 1..3; the input has one channel (copied) or as many
    bool bilinear = false;
    std::array<float, 3> mean{0, 0, 0}, scale{1, 1, 1};
};

/// One parameter of an optimizer's step: gradient, value and moments hold the same elements.
template <Element A, Device D>
struct AdamOperand {
    const Tensor<A, D>* gradient;
    Tensor<A, D>*value, *first, *second;
    double rate;              ///< learning rate
    double coupled = 0;       ///< added to the gradient as coupled * value (an L2 penalty lambda * sum(w^2) is 2 * lambda)
    double decoupled = 0;     ///< value -= rate * decoupled * value (AdamW)
};

/// Adam (Kingma and Ba, 2015): m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2;
/// value -= rate * (m / (1 - b1^step)) / (sqrt(v / (1 - b2^step)) + epsilon). `step` counts from 1.
/// g is the gradient times `gradient_scale`, which takes back a scaled loss, plus coupled * value.
struct AdamStep {
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
    std::int64_t step = 1;
    double gradient_scale = 1;
};

template <Element A, Device D>
struct SgdOperand {
    const Tensor<A, D>* gradient;
    Tensor<A, D>*value, *velocity;  ///< velocity may be null when momentum is 0
    double rate, coupled = 0, decoupled = 0;
};

/// velocity = momentum * velocity + g; value -= rate * (nesterov ? g + momentum * velocity : velocity). g as for Adam.
struct SgdStep {
    double momentum = 0;
    bool nesterov = false;
    double gradient_scale = 1;
};

/// What one parameter's step takes of the optimizer; see `AdamOperand`.
struct Rates {
    double rate, coupled = 0, decoupled = 0;
};

/// Asked when a step is taken: now and, where it was recorded, before each launch. Fills in the rates of the operands,
/// in their order, and says what all share.
using AdamNow = std::function<AdamStep(std::span<Rates>)>;
using SgdNow = std::function<SgdStep(std::span<Rates>)>;

/// What a step does to gradients before it takes them: times `unscale`, which takes back a scaled loss; then, where
/// their norm is above `clip` (0: any is good), down to it.
struct StepLimit {
    double unscale = 1, clip = 0;
};
using LimitNow = std::function<StepLimit()>;

}  // namespace holon::op
