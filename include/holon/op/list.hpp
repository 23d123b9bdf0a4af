// op/list.hpp: the ops that the library holon::compiled holds, in lists from which they are declared and instantiated.
#pragma once
#include <holon/op/types.hpp>

// `how` is `template <Element T>` or `template <Element A>` for declarations, `extern template` where the library has the
// instances, and `template` in its sources.

/// Every op of elements T on device D that works on images.
#define HOLON_INSTANCES_OF_OPS(how, T, D)                                                                              \
    how Tensor<T, D> conv2d(Context<D>&, const Tensor<T, D>&, const Tensor<Accumulate<T>, D>&,                         \
                            const Tensor<Accumulate<T>, D>*, const Conv2dOptions&);                                    \
    how Tensor<T, D> conv2d_relu(Context<D>&, const Tensor<T, D>&, const Tensor<Accumulate<T>, D>&,                    \
                                 const Tensor<Accumulate<T>, D>*, const Conv2dOptions&);                               \
    how void conv2d_relu_backward(Context<D>&, const Tensor<T, D>&, const Tensor<T, D>&, Tensor<T, D>&,                \
                                  Tensor<Accumulate<T>, D>*, Gradient);                                                \
    how void conv2d_backward_input(Context<D>&, const Tensor<T, D>&, const Tensor<Accumulate<T>, D>&,                  \
                                   const Conv2dOptions&, Tensor<T, D>&, Gradient);                                     \
    how void conv2d_backward_filter(Context<D>&, const Tensor<T, D>&, const Tensor<T, D>&, const Conv2dOptions&,       \
                                    Tensor<Accumulate<T>, D>&, Gradient);                                              \
    how void channel_sum(Context<D>&, const Tensor<T, D>&, Tensor<Accumulate<T>, D>&, Gradient);                       \
    how Tensor<T, D> linear(Context<D>&, const Tensor<T, D>&, const Tensor<Accumulate<T>, D>&,                         \
                            const Tensor<Accumulate<T>, D>*);                                                          \
    how void linear_backward_input(Context<D>&, const Tensor<T, D>&, const Tensor<Accumulate<T>, D>&, Tensor<T, D>&,   \
                                   Gradient);                                                                          \
    how void linear_backward_weight(Context<D>&, const Tensor<T, D>&, const Tensor<T, D>&, Tensor<Accumulate<T>, D>&,  \
                                    Gradient);                                                                         \
    how BatchStatistics<Accumulate<T>, D> batch_statistics(Context<D>&, const Tensor<T, D>&, double,                   \
                                                           const RunningStatistics<Accumulate<T>, D>&);                \
    how BatchNormed<T, D> batch_norm(Context<D>&, const Tensor<T, D>&, const Tensor<T, D>*,                            \
                                     const Normalization<Accumulate<T>, D>&, bool, bool);                              \
    how void batch_norm_backward(Context<D>&, const Tensor<T, D>&, const ReluMask<T, D>*, const Tensor<T, D>&,         \
                                 const Normalization<Accumulate<T>, D>&, bool, bool, BatchNormGradients<T, D>);        \
    how BatchNormed<T, D> batch_norm_pair(Context<D>&, const Tensor<T, D>&, const Normalization<Accumulate<T>, D>&,    \
                                          const Tensor<T, D>&, const Normalization<Accumulate<T>, D>&, bool);          \
    how void batch_norm_pair_backward(Context<D>&, const Tensor<T, D>&, const Normalization<Accumulate<T>, D>&,        \
                                      const Tensor<T, D>&, const Normalization<Accumulate<T>, D>&,                     \
                                      const ReluMask<T, D>&, const Tensor<T, D>&, bool, BatchNormGradients<T, D>,      \
                                      BatchNormGradients<T, D>);                                                       \
    how Tensor<T, D> relu(Context<D>&, const Tensor<T, D>&);                                                           \
    how void relu_backward(Context<D>&, const Tensor<T, D>&, const Tensor<T, D>&, Tensor<T, D>&, Gradient);            \
    how Tensor<T, D> add(Context<D>&, const Tensor<T, D>&, const Tensor<T, D>&);                                       \
    how void accumulate(Context<D>&, const Tensor<T, D>&, Tensor<T, D>&);                                              \
    how void scale(Context<D>&, Tensor<T, D>&, double);                                                                \
    how MaxPooled<T, D> max_pool2d(Context<D>&, const Tensor<T, D>&, const Pool2dOptions&);                            \
    how void max_pool2d_backward(Context<D>&, const Tensor<T, D>&, const Tensor<std::uint8_t, D>&,                     \
                                 const Pool2dOptions&, Tensor<T, D>&, Gradient);                                       \
    how Tensor<T, D> average_pool2d(Context<D>&, const Tensor<T, D>&, const Pool2dOptions&);                           \
    how void average_pool2d_backward(Context<D>&, const Tensor<T, D>&, const Pool2dOptions&, Tensor<T, D>&, Gradient); \
    how Tensor<T, D> global_average(Context<D>&, const Tensor<T, D>&);                                                 \
    how void global_average_backward(Context<D>&, const Tensor<T, D>&, Tensor<T, D>&, Gradient);                       \
    how Tensor<T, D> softmax(Context<D>&, const Tensor<T, D>&);                                                        \
    how void softmax_backward(Context<D>&, const Tensor<T, D>&, const Tensor<T, D>&, Tensor<T, D>&, Gradient);         \
    how Tensor<T, D> dropout(Context<D>&, const Tensor<T, D>&, const DropoutMask&);                                    \
    how void dropout_backward(Context<D>&, const Tensor<T, D>&, const DropoutMask&, Tensor<T, D>&, Gradient);          \
    how Tensor<T, D> affine_warp(Context<D>&, const Tensor<T, D>&, std::span<const Warp>, const WarpOptions&);         \
    how void affine_warp_backward(Context<D>&, const Tensor<T, D>&, const Tensor<T, D>&, std::span<const Warp>,        \
                                  const WarpOptions&, Tensor<T, D>&, Gradient);                                        \
    how double squared_norm(Context<D>&, const Tensor<T, D>&);                                                         \
    how bool all_finite(Context<D>&, const Tensor<T, D>&);

/// Every op that works on statistics, logits and gradients of parameters, which are kept in A = float or double.
#define HOLON_INSTANCES_OF_ACCUMULATOR_OPS(how, A, D)                                                                  \
    how Tensor<A, D> inverse_deviation(Context<D>&, const Tensor<A, D>&, double);                                      \
    how Tensor<A, D> cross_entropy(Context<D>&, const Tensor<A, D>&, std::span<const int>, std::span<const float>);    \
    how void cross_entropy_backward(Context<D>&, const Tensor<A, D>&, std::span<const int>, std::span<const float>,    \
                                    const Tensor<A, D>&, Tensor<A, D>&, Gradient);                                     \
    how double squared_norm(Context<D>&, std::span<const Tensor<A, D>* const>);                                        \
    how void adam(Context<D>&, std::span<const AdamOperand<A, D>>, const AdamStep&);                                   \
    how void sgd(Context<D>&, std::span<const SgdOperand<A, D>>, const SgdStep&);

/// An optimizer's step, and what limits it.
#define HOLON_INSTANCES_OF_OPTIMIZER_OPS(how, A, D)                                                                    \
    how void adam(Context<D>&, std::vector<AdamOperand<A, D>>, const AdamNow&, const Tensor<A, D>*);                   \
    how void sgd(Context<D>&, std::vector<SgdOperand<A, D>>, const SgdNow&, const Tensor<A, D>*);                      \
    how Tensor<A, D> step_scale(Context<D>&, std::span<const Tensor<A, D>* const>, const Tensor<A, D>*,                \
                                const LimitNow&);

/// The conversion between 16-bit elements T and float.
#define HOLON_INSTANCES_OF_CONVERT(how, T, D)                                                                          \
    how Tensor<float, D> convert<float>(Context<D>&, const Tensor<T, D>&);                                             \
    how Tensor<T, D> convert<T>(Context<D>&, const Tensor<float, D>&);

/// The conversions between all other pairs of elements on the CPU: to and from double, and of an element to itself.
#define HOLON_INSTANCES_OF_OTHER_CONVERTS(how, D)                                                                      \
    how Tensor<float, D> convert<float>(Context<D>&, const Tensor<float, D>&);                                         \
    how Tensor<double, D> convert<double>(Context<D>&, const Tensor<double, D>&);                                      \
    how Tensor<bfloat16, D> convert<bfloat16>(Context<D>&, const Tensor<bfloat16, D>&);                                \
    how Tensor<double, D> convert<double>(Context<D>&, const Tensor<float, D>&);                                       \
    how Tensor<float, D> convert<float>(Context<D>&, const Tensor<double, D>&);                                        \
    how Tensor<double, D> convert<double>(Context<D>&, const Tensor<bfloat16, D>&);                                    \
    how Tensor<bfloat16, D> convert<bfloat16>(Context<D>&, const Tensor<double, D>&);
