// graph/instances.hpp: the functions of the graph that the library holon::compiled holds; see op/instances.hpp.
#pragma once
#include <holon/op/instances.hpp>
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
                              const Variable<Accumulate<T>, D>&, const Conv2dOptions&, std::optional<Recompute>,       \
                              bool, std::optional<op::ChannelSums<Accumulate<T>, D>>*);                                \
    how Variable<T, D> linear(const Variable<T, D>&, const Variable<Accumulate<T>, D>&,                                \
                              const Variable<Accumulate<T>, D>&);                                                      \
    how Variable<T, D> batch_norm(const BatchNormTerm<T, D>&, const Variable<T, D>*, bool, BatchNormState);            \
    how Variable<T, D> batch_norm_pair(const BatchNormTerm<T, D>&, const BatchNormTerm<T, D>&, BatchNormState);        \
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

namespace holon {
/// What `op::dropout_mask` gives on a device.
template <Device D>
using DropoutMaskOn =
    decltype(op::dropout_mask(std::declval<Context<D>&>(), std::declval<op::DropoutMask (*)()>()));
}  // namespace holon

/// Losses of logits in A = float or double, and dropout of what comes before them.
#define HOLON_INSTANCES_OF_LOSSES(how, A, D)                                                                           \
    how Variable<A, D> cross_entropy(const Variable<A, D>&, const op::Targets<D>&);                                    \
    how Variable<A, D> cross_entropy(const Variable<A, D>&, std::span<const int>, std::span<const float>);             \
    how Variable<A, D> dropout(const Variable<A, D>&, const DropoutMaskOn<D>&);

/// The conversion between 16-bit elements T and float, which logits are in.
#define HOLON_INSTANCES_OF_GRAPH_CONVERT(how, T, D)                                                                    \
    how Variable<float, D> convert<float>(const Variable<T, D>&);                                                      \
    how Variable<T, D> convert<T>(const Variable<float, D>&);

namespace holon {
HOLON_FOR_ELEMENTS(HOLON_INSTANCES_OF_GRAPH)
HOLON_FOR_ACCUMULATORS(HOLON_INSTANCES_OF_LOSSES)
HOLON_FOR_NARROW_ELEMENTS(HOLON_INSTANCES_OF_GRAPH_CONVERT)
#ifdef HOLON_COMPILED_CUDA
HOLON_INSTANCES_OF_LOSSES(extern template, float, Gpu)
#endif
}  // namespace holon
