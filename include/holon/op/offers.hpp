// op/offers.hpp: the list of what every device must be able to do, written once; a missing op is an error with a name. Not
// in holon.hpp: the tests ask, so that programs need not.
#pragma once
#include <concepts>
#include <span>
#include <vector>

#include <holon/op/op.hpp>

namespace holon::op {

/// Device D offers every op for activations of type T; parameters and statistics are A = Accumulate<T>.
/// Each op is documented where a device defines it (op/cpu).
template <class D, class T, class A = Accumulate<T>>
concept Offers = requires(Context<D>& context, const Tensor<T, D>& x, Tensor<T, D>& dx, const Tensor<A, D>& p,
                          Tensor<A, D>& dp, const Tensor<A, D>* maybe, const Tensor<T, D>* residual,
                          const Conv2dOptions& conv, const Pool2dOptions& pool, Gradient mode, Shape shape,
                          const Normalization<A, D>& normal, const RunningStatistics<A, D>& running,
                          const ReluMask<T, D>* relu_mask, BatchNormGradients<T, D> wanted,
                          const Tensor<std::uint8_t, D>& place, std::span<const int> labels,
                          std::span<const float> weights, std::span<const Warp> warps, const WarpOptions& warp,
                          const DropoutMask& mask, std::span<const AdamOperand<A, D>> adams, const AdamStep& adam_step,
                          std::span<const SgdOperand<A, D>> sgds, const SgdStep& sgd_step,
                          std::span<const Tensor<A, D>* const> many, DropoutMask (*draw)(), const Targets<D>& targets,
                          const Warps<D>& warp_list, std::vector<AdamOperand<A, D>> some_adams,
                          std::vector<SgdOperand<A, D>> some_sgds, const AdamNow& adam_now, const SgdNow& sgd_now,
                          const LimitNow& limit) {
    { pad_for_conv2d(context, x, conv) } -> std::same_as<Tensor<T, D>>;
    { conv2d(context, x, p, maybe, conv) } -> std::same_as<Tensor<T, D>>;
    { conv2d_relu(context, x, p, maybe, conv) } -> std::same_as<Tensor<T, D>>;
    conv2d_relu_backward(context, x, x, dx, &dp, mode);
    conv2d_backward_input(context, x, p, conv, dx, mode);
    conv2d_backward_filter(context, x, x, conv, dp, mode);
    channel_sum(context, x, dp, mode);

    { linear(context, x, p, maybe) } -> std::same_as<Tensor<T, D>>;
    linear_backward_input(context, x, p, dx, mode);
    linear_backward_weight(context, x, x, dp, mode);

    { batch_statistics(context, x, 1e-5, running) } -> std::same_as<BatchStatistics<A, D>>;
    { inverse_deviation(context, p, 1e-5) } -> std::same_as<Tensor<A, D>>;
    { batch_norm(context, x, residual, normal, true, true) } -> std::same_as<BatchNormed<T, D>>;
    batch_norm_backward(context, x, relu_mask, x, normal, true, true, wanted);
    { batch_norm_pair(context, x, normal, x, normal, true) } -> std::same_as<BatchNormed<T, D>>;
    batch_norm_pair_backward(context, x, normal, x, normal, *relu_mask, x, true, wanted, wanted);

    { relu(context, x) } -> std::same_as<Tensor<T, D>>;
    relu_backward(context, x, x, dx, mode);
    { add(context, x, x) } -> std::same_as<Tensor<T, D>>;
    accumulate(context, x, dx);
    scale(context, dp, 0.5);
    { convert<A>(context, x) } -> std::same_as<Tensor<A, D>>;

    { max_pool2d(context, x, pool) } -> std::same_as<MaxPooled<T, D>>;
    max_pool2d_backward(context, x, place, pool, dx, mode);
    { average_pool2d(context, x, pool) } -> std::same_as<Tensor<T, D>>;
    average_pool2d_backward(context, x, pool, dx, mode);
    { global_average(context, x) } -> std::same_as<Tensor<T, D>>;
    global_average_backward(context, x, dx, mode);

    { softmax(context, x) } -> std::same_as<Tensor<T, D>>;
    softmax_backward(context, x, x, dx, mode);
    { cross_entropy(context, p, labels, weights) } -> std::same_as<Tensor<A, D>>;
    cross_entropy_backward(context, p, labels, weights, p, dp, mode);
    { cross_entropy(context, p, targets) } -> std::same_as<Tensor<A, D>>;
    cross_entropy_backward(context, p, targets, p, dp, mode);

    { dropout(context, x, mask) } -> std::same_as<Tensor<T, D>>;
    dropout_backward(context, x, mask, dx, mode);
    { dropout(context, x, dropout_mask(context, draw)) } -> std::same_as<Tensor<T, D>>;
    dropout_backward(context, x, dropout_mask(context, draw), dx, mode);
    { affine_warp(context, x, warps, warp) } -> std::same_as<Tensor<T, D>>;
    affine_warp_backward(context, x, x, warps, warp, dx, mode);
    { affine_warp(context, x, warp_list, warp) } -> std::same_as<Tensor<T, D>>;
    affine_warp_backward(context, x, x, warp_list, warp, dx, mode);

    adam(context, adams, adam_step);
    sgd(context, sgds, sgd_step);
    { step_scale(context, many, maybe, limit) } -> std::same_as<Tensor<A, D>>;
    adam(context, some_adams, adam_now, maybe);
    sgd(context, some_sgds, sgd_now, maybe);
    { squared_norm(context, x) } -> std::same_as<double>;
    { squared_norm(context, many) } -> std::same_as<double>;
    { all_finite(context, x) } -> std::same_as<bool>;
};

static_assert(Offers<Cpu, float> && Offers<Cpu, bfloat16> && Offers<Cpu, double>);
static_assert(Offers<Plan, float> && Offers<Plan, bfloat16> && Offers<Plan, float16>);
#ifdef HOLON_CUDA
static_assert(Offers<Gpu, float> && Offers<Gpu, bfloat16> && Offers<Gpu, float16>);
#endif

}  // namespace holon::op
