// op/plan/batch_norm.hpp: batch norm and sums over rows on `Plan`.
#pragma once
#include <holon/op/plan/costs.hpp>

namespace holon::op {

template <Element T>
void channel_sum(Context<Plan>& context, const Tensor<T, Plan>& dy, Tensor<Accumulate<T>, Plan>& out, Gradient) {
    expects_channels("channel_sum", dy.shape(), out);
    const auto scratch = plan::sums_of(context, dy, gpu::bias_sums);
    plan::note(context, "channel_sum", dy.shape(), out.shape(), plan::traffic(dy));
}

template <Element T>
BatchStatistics<Accumulate<T>, Plan> batch_statistics(Context<Plan>& context, const Tensor<T, Plan>& x, double,
                                                      const RunningStatistics<Accumulate<T>, Plan>& running) {
    using A = Accumulate<T>;
    expects_batch_statistics(x, running);
    const auto scratch = plan::sums_of(context, x, gpu::moment_sums);
    const Shape vector = vector_shape(x.shape().c);
    plan::note(context, "batch_statistics", x.shape(), vector, plan::traffic(x));
    return {Tensor<A, Plan>(vector, context), Tensor<A, Plan>(vector, context)};
}
template <Element A>
Tensor<A, Plan> inverse_deviation(Context<Plan>& context, const Tensor<A, Plan>& variance, double) {
    return Tensor<A, Plan>(variance.shape(), context);
}
template <Element T>
BatchNormed<T, Plan> batch_norm(Context<Plan>& context, const Tensor<T, Plan>& x, const Tensor<T, Plan>* residual,
                                const Normalization<Accumulate<T>, Plan>& normal, bool, bool masked) {
    expects_batch_norm("batch_norm", x, residual, normal);
    BatchNormed<T, Plan> out{Tensor<T, Plan>(x.shape(), context), {}};
    if (masked) out.mask = plan::mask_of(context, out.y);
    plan::note(context, "batch_norm", x.shape(), out.y.shape(),
               plan::traffic(x, out.y) + (residual ? plan::traffic(*residual) : 0) +
                   (out.mask.bits ? plan::traffic(out.mask.bits) : 0));
    return out;
}
template <Element T>
void batch_norm_backward(Context<Plan>& context, const Tensor<T, Plan>& x, const ReluMask<T, Plan>* mask,
                         const Tensor<T, Plan>& dy, const Normalization<Accumulate<T>, Plan>& normal, bool, bool batch,
                         BatchNormGradients<T, Plan> wanted) {
    expects_batch_norm("batch_norm_backward", x, static_cast<const Tensor<T, Plan>*>(nullptr), normal);
    expects_batch_norm_gradients("batch_norm_backward", x, mask, dy, wanted);
    const auto scratch = plan::sums_of(context, x, gpu::gradient_sums);
    const bool sums = wanted.weight || wanted.bias || (wanted.x && batch);
    // The pass that sums leaves the masked gradient, so that the pass that writes reads it in the place of dy and mask.
    const bool kept = sums && mask && wanted.residual && wanted.to_residual == Gradient::assign;
    const double image = plan::traffic(x, dy),
                 masked = !mask ? 0 : mask->bits ? plan::traffic(mask->bits) : plan::traffic(mask->y);
    double bytes = sums ? image + masked : 0;
    if (wanted.x || (wanted.residual && !kept)) bytes += image + (kept ? 0 : masked);
    if (wanted.x) bytes += plan::traffic(*wanted.x) * (wanted.to_x == Gradient::add ? 2 : 1);
    if (wanted.residual) bytes += plan::traffic(*wanted.residual) * (wanted.to_residual == Gradient::add ? 2 : 1);
    plan::note(context, "batch_norm_backward", x.shape(), x.shape(), bytes);
}

template <Element T>
BatchNormed<T, Plan> batch_norm_pair(Context<Plan>& context, const Tensor<T, Plan>& x,
                                     const Normalization<Accumulate<T>, Plan>& normal, const Tensor<T, Plan>& residual,
                                     const Normalization<Accumulate<T>, Plan>& residual_normal, bool masked) {
    expects_batch_norm("batch_norm_pair", x, &residual, normal);
    expects_batch_norm("batch_norm_pair", residual, &x, residual_normal);
    BatchNormed<T, Plan> out{Tensor<T, Plan>(x.shape(), context), {}};
    if (masked) out.mask = plan::mask_of(context, out.y);
    plan::note(context, "batch_norm_pair", x.shape(), out.y.shape(),
               plan::traffic(x, residual, out.y) + (out.mask.bits ? plan::traffic(out.mask.bits) : 0));
    return out;
}
template <Element T>
void batch_norm_pair_backward(Context<Plan>& context, const Tensor<T, Plan>& x,
                              const Normalization<Accumulate<T>, Plan>& normal, const Tensor<T, Plan>& residual,
                              const Normalization<Accumulate<T>, Plan>& residual_normal, const ReluMask<T, Plan>& mask,
                              const Tensor<T, Plan>& dy, bool batch, BatchNormGradients<T, Plan> wanted,
                              BatchNormGradients<T, Plan> residual_wanted) {
    expects_batch_norm_pair_backward(x, normal, residual, residual_normal, mask, dy, wanted, residual_wanted);
    const auto scratch = plan::sums_of(context, x, gpu::pair_gradient_sums);
    const double read = plan::traffic(x, residual, dy) + (mask.bits ? plan::traffic(mask.bits) : plan::traffic(mask.y));
    double bytes = wanted.x || residual_wanted.x ? read : 0;
    for (const auto* side : {&wanted, &residual_wanted})
        if (side->x) bytes += plan::traffic(*side->x) * (side->to_x == Gradient::add ? 2 : 1);
    const bool sums = wanted.weight || wanted.bias || residual_wanted.weight || residual_wanted.bias ||
                      (batch && (wanted.x || residual_wanted.x));
    plan::note(context, "batch_norm_pair_backward", x.shape(), x.shape(), bytes + (sums ? read : 0));
}

}  // namespace holon::op
