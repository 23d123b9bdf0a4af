// compiled/graph.hpp: the functions of the graph that the library holon::compiled holds; see compiled/op.hpp.
#pragma once
#include <holon/compiled/op.hpp>
#include <holon/graph/affine_warp.hpp>
#include <holon/graph/batch_norm.hpp>
#include <holon/graph/conv2d.hpp>
#include <holon/graph/elementwise.hpp>
#include <holon/graph/linear.hpp>
#include <holon/graph/pool2d.hpp>
#include <holon/graph/softmax.hpp>

/// Every function of the graph for images of elements T on device D.
#define HOLON_INSTANCES_OF_GRAPH(how, T, D)                                                                            \
    how class Node<T, D>;                                                                                              \
    how class Variable<T, D>;                                                                                          \
    how Variable<T, D> conv2d(const Variable<T, D>&, const Variable<Accumulate<T>, D>&,                                \
                              const Variable<Accumulate<T>, D>&, const Conv2dOptions&, std::optional<Recompute>);      \
    how Variable<T, D> linear(const Variable<T, D>&, const Variable<Accumulate<T>, D>&,                                \
                              const Variable<Accumulate<T>, D>&);                                                      \
    how Variable<T, D> batch_norm(const Variable<T, D>&, const Variable<T, D>*, const Variable<Accumulate<T>, D>&,     \
                                  const Variable<Accumulate<T>, D>&, Tensor<Accumulate<T>, D>&,                        \
                                  Tensor<Accumulate<T>, D>&, bool, BatchNormState, const BatchNormOptions&);           \
    how Variable<T, D> relu(const Variable<T, D>&);                                                                    \
    how Variable<T, D> add(const Variable<T, D>&, const Variable<T, D>&);                                              \
    how Variable<T, D> reshape(const Variable<T, D>&, Shape);                                                          \
    how Variable<T, D> flatten(const Variable<T, D>&);                                                                 \
    how Variable<T, D> max_pool2d(const Variable<T, D>&, const Pool2dOptions&);                                        \
    how Variable<T, D> average_pool2d(const Variable<T, D>&, const Pool2dOptions&);                                    \
    how Variable<T, D> global_average(const Variable<T, D>&);                                                          \
    how Variable<T, D> softmax(const Variable<T, D>&);                                                                 \
    how Variable<T, D> affine_warp(const Variable<T, D>&, const op::Warps<D>&, const op::WarpOptions&);                \
    how Variable<T, D> affine_warp(const Variable<T, D>&, std::span<const op::Warp>, const op::WarpOptions&);

/// Dropout of elements T on device D by masks of type `Mask`: what `op::dropout_mask` gives there.
#define HOLON_INSTANCES_OF_DROPOUT(how, T, D, Mask) how Variable<T, D> dropout(const Variable<T, D>&, const Mask&);

/// Losses of logits in A = float or double.
#define HOLON_INSTANCES_OF_LOSSES(how, A, D)                                                                           \
    how Variable<A, D> cross_entropy(const Variable<A, D>&, const op::Targets<D>&);                                    \
    how Variable<A, D> cross_entropy(const Variable<A, D>&, std::span<const int>, std::span<const float>);

/// The conversion between 16-bit elements T and A = float, which logits are in.
#define HOLON_INSTANCES_OF_GRAPH_CONVERT(how, A, T, D)                                                                 \
    how Variable<A, D> convert<A>(const Variable<T, D>&);                                                              \
    how Variable<T, D> convert<T>(const Variable<A, D>&);

namespace holon {
HOLON_INSTANCES_OF_GRAPH(extern template, float, Cpu)
HOLON_INSTANCES_OF_GRAPH(extern template, bfloat16, Cpu)
HOLON_INSTANCES_OF_GRAPH(extern template, double, Cpu)
HOLON_INSTANCES_OF_DROPOUT(extern template, float, Cpu, op::DropoutMask)
HOLON_INSTANCES_OF_DROPOUT(extern template, double, Cpu, op::DropoutMask)
HOLON_INSTANCES_OF_LOSSES(extern template, float, Cpu)
HOLON_INSTANCES_OF_LOSSES(extern template, double, Cpu)
HOLON_INSTANCES_OF_GRAPH_CONVERT(extern template, float, bfloat16, Cpu)

HOLON_INSTANCES_OF_GRAPH(extern template, float, Plan)
HOLON_INSTANCES_OF_GRAPH(extern template, bfloat16, Plan)
HOLON_INSTANCES_OF_GRAPH(extern template, float16, Plan)
HOLON_INSTANCES_OF_DROPOUT(extern template, float, Plan, op::DropoutMask)
HOLON_INSTANCES_OF_LOSSES(extern template, float, Plan)
HOLON_INSTANCES_OF_GRAPH_CONVERT(extern template, float, bfloat16, Plan)
HOLON_INSTANCES_OF_GRAPH_CONVERT(extern template, float, float16, Plan)

#ifdef HOLON_CUDA
HOLON_INSTANCES_OF_GRAPH(extern template, float, Gpu)
HOLON_INSTANCES_OF_GRAPH(extern template, bfloat16, Gpu)
HOLON_INSTANCES_OF_GRAPH(extern template, float16, Gpu)
HOLON_INSTANCES_OF_DROPOUT(extern template, float, Gpu, op::CardMask)
HOLON_INSTANCES_OF_LOSSES(extern template, float, Gpu)
HOLON_INSTANCES_OF_GRAPH_CONVERT(extern template, float, bfloat16, Gpu)
HOLON_INSTANCES_OF_GRAPH_CONVERT(extern template, float, float16, Gpu)
#endif
}  // namespace holon
