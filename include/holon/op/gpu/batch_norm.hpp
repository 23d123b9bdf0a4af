// op/gpu/batch_norm.hpp: batch norm with the residual and the ReLU that follow it, and sums over rows, on a card.
#pragma once
#include <holon/op/gpu/sums.hpp>

namespace holon::op {

template <Element T>
void channel_sum(Context<Gpu>& context, const Tensor<T, Gpu>& dy, Tensor<Accumulate<T>, Gpu>& out, Gradient mode) {
    const Shape s = dy.shape();
    expects_channels("channel_sum", s, out);
    gpu_detail::Summing<T> sums(context, "channel_sum", s, gpu::bias_sums);
    gpu::channel_sum(sums.queue, sums.rows, sums.channels, dy.data(), sums.scratch.data(), out.data(), gpu_detail::adds(mode));
}

namespace gpu_detail {
inline gpu::RunningStatistics moved(const RunningStatistics<float, Gpu>& running, std::int64_t count) {
    const double keep = 1 - running.momentum, correction = running.correction(count);
    return {running.mean->data(), running.variance->data(), float(keep), float(running.momentum),
            float(running.momentum * correction), running.shift ? running.shift->data() : nullptr};
}
}  // namespace gpu_detail

template <Element T>
BatchStatistics<Accumulate<T>, Gpu> batch_statistics(Context<Gpu>& context, const Tensor<T, Gpu>& x, double epsilon,
                                                     const RunningStatistics<Accumulate<T>, Gpu>& running) {
    const Shape s = x.shape();
    expects_batch_statistics(x, running);
    gpu_detail::Summing<T> sums(context, "batch_statistics", s, gpu::moment_sums);
    BatchStatistics<float, Gpu> out{gpu_detail::scratch<float>(context, s.c), gpu_detail::scratch<float>(context, s.c)};
    gpu::batch_statistics(sums.queue, sums.rows, sums.channels, x.data(), float(epsilon),
                          gpu_detail::moved(running, s.rows()),
                          sums.scratch.data(), out.mean.data(), out.inverse_deviation.data());
    return out;
}

/// The same from sums over `count` positions. Those of squares are of the values as they are, not of their distance from a
/// level: where a channel's mean is many times its deviation, the variance loses digits.
inline BatchStatistics<float, Gpu> batch_statistics(Context<Gpu>& context, const ChannelSums<float, Gpu>& sums,
                                                    std::int64_t count, double epsilon,
                                                    const RunningStatistics<float, Gpu>& running) {
    expects_statistics_of_sums(sums, count, running);
    const std::int64_t c = sums.sum.shape().c;
    BatchStatistics<float, Gpu> out{gpu_detail::scratch<float>(context, c), gpu_detail::scratch<float>(context, c)};
    gpu::batch_statistics(gpu_detail::queue(context), count, gpu_detail::narrow("batch_statistics", c), sums.sum.data(),
                          sums.squares.data(), float(epsilon), gpu_detail::moved(running, count), out.mean.data(),
                          out.inverse_deviation.data());
    return out;
}

inline Tensor<float, Gpu> inverse_deviation(Context<Gpu>& context, const Tensor<float, Gpu>& variance, double epsilon) {
    Tensor<float, Gpu> out(variance.shape(), context);
    gpu::inverse_deviation(gpu_detail::queue(context), gpu_detail::narrow("inverse_deviation", variance.size()),
                           variance.data(), float(epsilon), out.data());
    return out;
}

namespace gpu_detail {
/// Room for the mask of a ReLU whose result has shape s.
template <Element T> ReluMask<T, Gpu> mask_of(Context<Gpu>& context, const Shape& s) {
    using Mask = ReluMask<T, Gpu>;
    static_assert(Mask::bits_shape({1, 1, 1, gpu::pack_width<T>}).c == 1 &&
                  Mask::bits_shape({1, 1, 1, gpu::pack_width<T> + 1}).c == 2);
    return {{}, Tensor<std::uint8_t, Gpu>(Mask::bits_shape(s), context)};
}

template <Element T> gpu::BatchNormTargets<T> targets(const BatchNormGradients<T, Gpu>& wanted) {
    const auto to = [](auto* tensor) { return tensor ? tensor->data() : nullptr; };
    return {to(wanted.x),        to(wanted.residual),        to(wanted.weight),      to(wanted.bias),
            adds(wanted.to_x), adds(wanted.to_residual), adds(wanted.to_weight), adds(wanted.to_bias)};
}
}  // namespace gpu_detail

template <Element T>
BatchNormed<T, Gpu> batch_norm(Context<Gpu>& context, const Tensor<T, Gpu>& x, const Tensor<T, Gpu>* residual,
                               const Normalization<Accumulate<T>, Gpu>& normal, bool relu, bool masked) {
    expects_batch_norm("batch_norm", x, residual, normal);
    const Shape s = x.shape();
    BatchNormed<T, Gpu> out{Tensor<T, Gpu>(s, context), {}};
    if (masked) out.mask = gpu_detail::mask_of<T>(context, s);
    gpu::batch_norm(gpu_detail::queue(context), s.rows(), gpu_detail::narrow("batch_norm", s.c), x.data(),
                    residual ? residual->data() : nullptr, gpu_detail::channels(normal), relu, out.y.data(),
                    masked ? out.mask.bits.data() : nullptr);
    return out;
}

template <Element T>
void batch_norm_backward(Context<Gpu>& context, const Tensor<T, Gpu>& x, const ReluMask<T, Gpu>* mask,
                         const Tensor<T, Gpu>& dy, const Normalization<Accumulate<T>, Gpu>& normal, bool relu,
                         bool batch_statistics, BatchNormGradients<T, Gpu> wanted) {
    expects_batch_norm("batch_norm_backward", x, static_cast<const Tensor<T, Gpu>*>(nullptr), normal);
    expects_batch_norm_gradients("batch_norm_backward", x, mask, dy, wanted);
    gpu_detail::Summing<T> sums(context, "batch_norm_backward", x.shape(), gpu::gradient_sums);
    gpu::batch_norm_backward(sums.queue, sums.rows, sums.channels, x.data(), mask ? mask->bits.data() : nullptr, dy.data(),
                             gpu_detail::channels(normal), relu, batch_statistics, gpu_detail::targets(wanted), sums.scratch.data());
}

template <Element T>
BatchNormed<T, Gpu> batch_norm_pair(Context<Gpu>& context, const Tensor<T, Gpu>& x,
                                    const Normalization<Accumulate<T>, Gpu>& normal, const Tensor<T, Gpu>& residual,
                                    const Normalization<Accumulate<T>, Gpu>& residual_normal, bool masked) {
    expects_batch_norm("batch_norm_pair", x, &residual, normal);
    expects_batch_norm("batch_norm_pair", residual, &x, residual_normal);
    const Shape s = x.shape();
    BatchNormed<T, Gpu> out{Tensor<T, Gpu>(s, context), {}};
    if (masked) out.mask = gpu_detail::mask_of<T>(context, s);
    gpu::batch_norm_pair(gpu_detail::queue(context), s.rows(), gpu_detail::narrow("batch_norm_pair", s.c), x.data(),
                         gpu_detail::channels(normal), residual.data(), gpu_detail::channels(residual_normal), out.y.data(),
                         masked ? out.mask.bits.data() : nullptr);
    return out;
}

template <Element T>
void batch_norm_pair_backward(Context<Gpu>& context, const Tensor<T, Gpu>& x,
                              const Normalization<Accumulate<T>, Gpu>& normal, const Tensor<T, Gpu>& residual,
                              const Normalization<Accumulate<T>, Gpu>& residual_normal, const ReluMask<T, Gpu>& mask,
                              const Tensor<T, Gpu>& dy, bool batch_statistics, BatchNormGradients<T, Gpu> wanted,
                              BatchNormGradients<T, Gpu> residual_wanted) {
    expects_batch_norm_pair_backward(x, normal, residual, residual_normal, mask, dy, wanted, residual_wanted);
    gpu_detail::Summing<T> sums(context, "batch_norm_pair_backward", x.shape(), gpu::pair_gradient_sums);
    gpu::batch_norm_pair_backward(sums.queue, sums.rows, sums.channels, x.data(), gpu_detail::channels(normal),
                                  residual.data(), gpu_detail::channels(residual_normal), mask.bits.data(), dy.data(),
                                  batch_statistics, gpu_detail::targets(wanted), gpu_detail::targets(residual_wanted),
                                  sums.scratch.data());
}

}  // namespace holon::op
