// op/gpu/batch_norm.hpp: batch norm with the residual and the ReLU that follow it, and sums over rows, on a card.
#pragma once
#include <holon/op/gpu/queue.hpp>

namespace holon::op {

template <Element T>
void channel_sum(Context<Gpu>& context, const Tensor<T, Gpu>& dy, Tensor<Accumulate<T>, Gpu>& out, Gradient mode) {
    const Shape s = dy.shape();
    expects_channels("channel_sum", s, out);
    const auto queue = gpu_detail::queue(context);
    const int c = gpu_detail::narrow("channel_sum", s.c);
    auto scratch = gpu_detail::scratch<float>(context, gpu::sums_scratch<T>(queue, s.rows(), c));
    gpu::channel_sum(queue, s.rows(), c, dy.data(), scratch.data(), out.data(), gpu_detail::adds(mode));
}

template <Element T> Moments<Accumulate<T>, Gpu> channel_moments(Context<Gpu>& context, const Tensor<T, Gpu>& x) {
    const Shape s = x.shape();
    expects(s.rows() > 0, "channel_moments: no positions in ", s);
    const auto queue = gpu_detail::queue(context);
    const int c = gpu_detail::narrow("channel_moments", s.c);
    auto scratch = gpu_detail::scratch<float>(context, gpu::sums_scratch<T>(queue, s.rows(), c));
    Moments<float, Gpu> out{gpu_detail::scratch<float>(context, c), gpu_detail::scratch<float>(context, c)};
    gpu::channel_moments(queue, s.rows(), c, x.data(), scratch.data(), out.mean.data(), out.variance.data());
    return out;
}

inline Tensor<float, Gpu> inverse_deviation(Context<Gpu>& context, const Tensor<float, Gpu>& variance, double epsilon) {
    Tensor<float, Gpu> out(variance.shape(), context);
    gpu::inverse_deviation(gpu_detail::queue(context), gpu_detail::narrow("inverse_deviation", variance.size()),
                           variance.data(), float(epsilon), out.data());
    return out;
}
inline void running_update(Context<Gpu>& context, const Tensor<float, Gpu>& batch, Tensor<float, Gpu>& running,
                           double momentum, double correction) {
    expects_same("running_update", batch, running);
    gpu::running_update(gpu_detail::queue(context), gpu_detail::narrow("running_update", batch.size()), batch.data(),
                        float(1 - momentum), float(momentum * correction), running.data());
}

template <Element T>
Tensor<T, Gpu> batch_norm(Context<Gpu>& context, const Tensor<T, Gpu>& x, const Tensor<T, Gpu>* residual,
                          const Normalization<Accumulate<T>, Gpu>& normal, bool relu) {
    expects_batch_norm("batch_norm", x, residual, normal);
    const Shape s = x.shape();
    Tensor<T, Gpu> y(s, context);
    gpu::batch_norm(gpu_detail::queue(context), s.rows(), gpu_detail::narrow("batch_norm", s.c), x.data(),
                    residual ? residual->data() : nullptr, gpu_detail::channels(normal), relu, y.data());
    return y;
}

template <Element T>
void batch_norm_backward(Context<Gpu>& context, const Tensor<T, Gpu>& x, const Tensor<T, Gpu>* y,
                         const Tensor<T, Gpu>& dy, const Normalization<Accumulate<T>, Gpu>& normal, bool relu,
                         bool batch_statistics, BatchNormGradients<T, Gpu> wanted) {
    expects_batch_norm("batch_norm_backward", x, y, normal);
    expects_batch_norm_gradients(x, y, dy, wanted);
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
    auto scratch = gpu_detail::scratch<float>(context, gpu::sums_scratch<T>(queue, s.rows(), c));
    gpu::batch_norm_backward(queue, s.rows(), c, x.data(), y ? y->data() : nullptr, dy.data(),
                             gpu_detail::channels(normal), relu, batch_statistics, targets, scratch.data());
}

}  // namespace holon::op
