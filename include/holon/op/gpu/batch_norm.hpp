// op/gpu/batch_norm.hpp: batch norm with the residual and the ReLU that follow it, and sums over rows, on a card.
#pragma once
#include <holon/op/gpu/columns.hpp>
#include <holon/op/gpu/queue.hpp>

namespace holon::op {

template <Element T>
void channel_sum(Context<Gpu>& context, const Tensor<T, Gpu>& dy, Tensor<Accumulate<T>, Gpu>& out, Gradient mode) {
    const Shape s = dy.shape();
    expects_channels("channel_sum", s, out);
    const auto queue = gpu_detail::queue(context);
    const int c = gpu_detail::narrow("channel_sum", s.c);
    auto scratch = gpu_detail::scratch<float>(context, gpu::sums_scratch<T>(queue.multiprocessors, s.rows(), c));
    gpu::channel_sum(queue, s.rows(), c, dy.data(), scratch.data(), out.data(), gpu_detail::adds(mode));
}

template <Element T>
BatchStatistics<Accumulate<T>, Gpu> batch_statistics(Context<Gpu>& context, const Tensor<T, Gpu>& x, double epsilon,
                                                     const RunningStatistics<Accumulate<T>, Gpu>& running) {
    const Shape s = x.shape();
    expects_batch_statistics(x, running);
    const auto queue = gpu_detail::queue(context);
    const int c = gpu_detail::narrow("batch_statistics", s.c);
    auto scratch = gpu_detail::scratch<float>(context, gpu::sums_scratch<T>(queue.multiprocessors, s.rows(), c));
    BatchStatistics<float, Gpu> out{gpu_detail::scratch<float>(context, c), gpu_detail::scratch<float>(context, c)};
    const double keep = 1 - running.momentum, correction = running.correction(s.rows());
    gpu::batch_statistics(queue, s.rows(), c, x.data(), float(epsilon),
                          {running.mean->data(), running.variance->data(), float(keep), float(running.momentum),
                           float(running.momentum * correction), running.shift ? running.shift->data() : nullptr},
                          scratch.data(), out.mean.data(), out.inverse_deviation.data());
    return out;
}

inline Tensor<float, Gpu> inverse_deviation(Context<Gpu>& context, const Tensor<float, Gpu>& variance, double epsilon) {
    Tensor<float, Gpu> out(variance.shape(), context);
    gpu::inverse_deviation(gpu_detail::queue(context), gpu_detail::narrow("inverse_deviation", variance.size()),
                           variance.data(), float(epsilon), out.data());
    return out;
}

template <Element T>
BatchNormed<T, Gpu> batch_norm(Context<Gpu>& context, const Tensor<T, Gpu>& x, const Tensor<T, Gpu>* residual,
                               const Normalization<Accumulate<T>, Gpu>& normal, bool relu, bool masked) {
    expects_batch_norm("batch_norm", x, residual, normal);
    const Shape s = x.shape();
    BatchNormed<T, Gpu> out{Tensor<T, Gpu>(s, context), {}};
    static_assert(ReluMask<T, Gpu>::bits_shape({1, 1, 1, gpu::pack_width<T>}).c == 1 &&
                  ReluMask<T, Gpu>::bits_shape({1, 1, 1, gpu::pack_width<T> + 1}).c == 2);
    if (masked) out.mask.bits = Tensor<std::uint8_t, Gpu>(ReluMask<T, Gpu>::bits_shape(s), context);
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
    expects_batch_norm_gradients(x, mask, dy, wanted);
    const auto queue = gpu_detail::queue(context);
    const Shape s = x.shape();
    const int c = gpu_detail::narrow("batch_norm_backward", s.c);
    const auto to = [](auto* tensor) { return tensor ? tensor->data() : nullptr; };
    const gpu::BatchNormTargets<T> targets{to(wanted.x),
                                           to(wanted.residual),
                                           to(wanted.weight),
                                           to(wanted.bias),
                                           gpu_detail::adds(wanted.to_x),
                                           gpu_detail::adds(wanted.to_residual),
                                           gpu_detail::adds(wanted.to_weight),
                                           gpu_detail::adds(wanted.to_bias)};
    auto scratch = gpu_detail::scratch<float>(context, gpu::sums_scratch<T>(queue.multiprocessors, s.rows(), c));
    gpu::batch_norm_backward(queue, s.rows(), c, x.data(), mask ? mask->bits.data() : nullptr, dy.data(),
                             gpu_detail::channels(normal), relu, batch_statistics, targets, scratch.data());
}

}  // namespace holon::op
