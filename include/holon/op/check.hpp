// op/check.hpp: what every device refuses in the same words: shapes that do not belong together.
#pragma once
#include <span>

#include <holon/op/types.hpp>

namespace holon::op {

template <class T, Device D> void expects_same(const char* op, const Tensor<T, D>& a, const Tensor<T, D>& b) {
    expects(a.shape() == b.shape(), op, ": shapes differ: ", a.shape(), " against ", b.shape());
}

template <class A, Device D> void expects_channels(const char* op, const Shape& x, const Tensor<A, D>& vector) {
    expects(vector.shape() == vector_shape(x.c), op, ": image ", x, " against a vector ", vector.shape(), "; 1x1x1x",
            x.c, " is needed");
}

inline void expects_filter(const char* op, const Shape& filter, const Conv2dOptions& o) {
    expects(filter == filter_shape(o), op, ": filter ", filter, " does not fit its options, which say ",
            filter_shape(o));
}

/// The operands of a convolution; returns its result's shape.
template <class A, Device D>
Shape expects_conv2d(const Shape& x, const Tensor<A, D>& filter, const Tensor<A, D>* bias, const Conv2dOptions& o) {
    const Shape y = conv2d_shape(x, o);
    expects_filter("conv2d", filter.shape(), o);
    if (bias)
        expects(bias->shape() == vector_shape(o.out), "conv2d: bias ", bias->shape(), " for ", o.out, " channels out");
    return y;
}

/// A gradient dy of an image x against the filter (or its gradient) of a convolution.
inline void expects_conv2d_gradient(const char* op, const Shape& x, const Shape& dy, const Shape& filter,
                                    const Conv2dOptions& o) {
    expects(dy == conv2d_shape(x, o), op, ": gradient ", dy, " for an image ", x, "; ", conv2d_shape(x, o),
            " is needed");
    expects_filter(op, filter, o);
}

inline void expects_matrix(const char* op, const Shape& x, const Shape& weight) {
    expects(weight.h == 1 && weight.w == 1 && weight.c == x.c, op, ": image ", x, " against the matrix ", weight,
            "; out x 1 x 1 x ", x.c, " is needed");
}

inline void expects_linear_gradient(const char* op, const Shape& x, const Shape& dy, const Shape& weight) {
    expects_matrix(op, x, weight);
    expects(dy == Shape({x.n, x.h, x.w, weight.n}), op, ": gradient ", dy, " for an image ", x, " and the matrix ",
            weight);
}

inline void expects_pooled(const char* op, const Shape& x, const Shape& dy, const Pool2dOptions& o) {
    expects(dy == pool2d_shape(x, o), op, ": gradient ", dy, " does not belong to an image ", x, " pooled by ",
            o.window, "; ", pool2d_shape(x, o), " does");
}

inline void expects_taps(const Pool2dOptions& o) {
    expects(o.window.h * o.window.w <= 255, "max_pool2d: window ", o.window, " has more than 255 taps");
}

inline void expects_places(const Shape& dy, const Shape& place) {
    expects(place == dy, "max_pool2d_backward: places ", place, " for a gradient ", dy);
}

inline void expects_averaged(const Shape& x, const Shape& dy) {
    expects(dy == Shape({x.n, 1, 1, x.c}), "global_average_backward: gradient ", dy, " for an image ", x);
}

inline void expects_logits(const Shape& logits) {
    expects(logits.h == 1 && logits.w == 1 && logits.n > 0, "cross_entropy: logits ", logits,
            " must be n x 1 x 1 x classes with at least one image");
}
inline void expects_labels(const Shape& logits, std::span<const int> labels, std::span<const float> weights) {
    expects_logits(logits);
    expects(std::int64_t(labels.size()) == logits.n, "cross_entropy: ", labels.size(), " labels for logits ", logits);
    expects(weights.empty() || weights.size() == labels.size(), "cross_entropy: ", weights.size(), " weights for ",
            labels.size(), " labels");
    for (std::size_t i = 0; i < labels.size(); ++i)
        expects(labels[i] >= 0 && labels[i] < logits.c, "cross_entropy: label ", labels[i], " at ", i,
                " is not one of the ", logits.c, " classes");
}

inline void expects_rate(const DropoutMask& mask) {
    expects(mask.rate >= 0 && mask.rate < 1, "dropout: rate ", mask.rate, " is not in [0, 1)");
}

inline void expects_warp(const Shape& x, std::int64_t warps, const WarpOptions& o) {
    expects(o.channels >= 1 && o.channels <= 3, "affine_warp: ", o.channels,
            " channels asked for; 1 to 3 are possible");
    expects(x.c == 1 || x.c == o.channels, "affine_warp: image ", x, " has neither 1 nor ", o.channels, " channels");
    expects(warps == x.n, "affine_warp: ", warps, " warps for ", x.n, " images");
    expects(x.h > 0 && x.w > 0, "affine_warp: no pixels in ", x);
}
inline void expects_warp(const Shape& x, std::span<const Warp> warps, const WarpOptions& o) {
    expects_warp(x, std::int64_t(warps.size()), o);
}

inline void expects_warp_gradient(const Shape& x, const Shape& dy, const Shape& dx, const WarpOptions& o) {
    expects(dx == x, "affine_warp_backward: shapes differ: ", x, " against ", dx);
    expects(dy == Shape({x.n, x.h, x.w, o.channels}), "affine_warp_backward: gradient ", dy, " for an image ", x);
}

/// The operands of one parameter's Adam step.
template <class A, Device D> void expects_operand(const AdamOperand<A, D>& p) {
    expects_same("adam", *p.gradient, *p.value);
    expects_same("adam", *p.first, *p.value);
    expects_same("adam", *p.second, *p.value);
}
template <class A, Device D> void expects_operand(const SgdOperand<A, D>& p, double momentum) {
    expects_same("sgd", *p.gradient, *p.value);
    expects(p.velocity || momentum == 0, "sgd: momentum ", momentum, " needs a velocity");
    if (p.velocity) expects_same("sgd", *p.velocity, *p.value);
}
inline void expects_step(const AdamStep& o) { expects(o.step >= 1, "adam: steps count from 1, not ", o.step); }

/// All vectors of a normalisation, and what goes along with the image.
template <Element T, Device D>
void expects_batch_norm(const char* op, const Tensor<T, D>& x, const Tensor<T, D>* beside,
                        const Normalization<Accumulate<T>, D>& normal) {
    for (const auto* vector : {&normal.mean, &normal.inverse_deviation, &normal.weight, &normal.bias})
        expects_channels(op, x.shape(), *vector);
    if (beside) expects_same(op, x, *beside);
}
template <Element T, Device D>
void expects_conv2d_relu(const Tensor<T, D>& y, const Tensor<T, D>& dy, const Tensor<T, D>& masked,
                         const Tensor<Accumulate<T>, D>* dbias) {
    expects_same("conv2d_relu_backward", y, dy);
    expects_same("conv2d_relu_backward", y, masked);
    if (dbias) expects_channels("conv2d_relu_backward", y.shape(), *dbias);
}
template <Element T, Device D>
void expects_batch_statistics(const Tensor<T, D>& x, const RunningStatistics<Accumulate<T>, D>& running) {
    expects(x.shape().rows() > 0, "batch_statistics: no positions in ", x.shape());
    expects_channels("batch_statistics", x.shape(), *running.mean);
    expects_channels("batch_statistics", x.shape(), *running.variance);
    if (running.shift) expects_channels("batch_statistics", x.shape(), *running.shift);
}
template <Element A, Device D>
void expects_statistics_of_sums(const ChannelSums<A, D>& sums, std::int64_t count, const RunningStatistics<A, D>& running) {
    expects(count > 0, "batch_statistics: sums over ", count, " positions");
    for (const Tensor<A, D>* vector : {&sums.squares, static_cast<const Tensor<A, D>*>(running.mean),
                                       static_cast<const Tensor<A, D>*>(running.variance)})
        expects_same("batch_statistics", sums.sum, *vector);
    if (running.shift) expects_same("batch_statistics", sums.sum, *running.shift);
}
template <Element T, Device D>
void expects_batch_norm_gradients(const char* op, const Tensor<T, D>& x, const ReluMask<T, D>* mask,
                                  const Tensor<T, D>& dy, const BatchNormGradients<T, D>& wanted) {
    expects_same(op, x, dy);
    if (mask && mask->y) expects_same(op, x, mask->y);
    if (mask && mask->bits)
        expects(mask->bits.shape() == mask->bits_shape(x.shape()), op, ": image ", x.shape(), " against a mask ",
                mask->bits.shape(), "; ", mask->bits_shape(x.shape()), " is needed");
    if (wanted.x) expects_same(op, x, *wanted.x);
    if (wanted.residual) expects_same(op, x, *wanted.residual);
    if (wanted.weight) expects_channels(op, x.shape(), *wanted.weight);
    if (wanted.bias) expects_channels(op, x.shape(), *wanted.bias);
}
template <Element T, Device D>
void expects_batch_norm_pair_backward(const Tensor<T, D>& x, const Normalization<Accumulate<T>, D>& normal,
                                      const Tensor<T, D>& residual,
                                      const Normalization<Accumulate<T>, D>& residual_normal,
                                      const ReluMask<T, D>& mask, const Tensor<T, D>& dy,
                                      const BatchNormGradients<T, D>& wanted,
                                      const BatchNormGradients<T, D>& residual_wanted) {
    const char* op = "batch_norm_pair_backward";
    expects_batch_norm(op, x, &residual, normal);
    expects_batch_norm(op, residual, &x, residual_normal);
    expects(bool(mask), op, ": needs the mask that batch_norm_pair gives where it is asked for it");
    expects(!wanted.residual && !residual_wanted.residual, op, ": has no residual but its second image");
    expects_batch_norm_gradients(op, x, &mask, dy, wanted);
    expects_batch_norm_gradients(op, residual, &mask, dy, residual_wanted);
}

}  // namespace holon::op
