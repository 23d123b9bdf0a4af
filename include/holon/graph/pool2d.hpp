// graph/pool2d.hpp: windows reduced to their largest or their mean.
#pragma once
#include <holon/graph/variable.hpp>

namespace holon {

/// The largest element under each window; its gradient goes to the first place that held it.
template <Element T, Device D>
Variable<T, D> max_pool2d(const Variable<T, D>& x, const Pool2dOptions& options) {
    Context<D>& context = x.context();
    op::MaxPooled<T, D> pooled = op::max_pool2d(context, x.value(), options);
    return Variable<T, D>::result(
        "max_pool2d", pooled.y,
        [place = pooled.place, options, &context, to_x = x.edge()](const Tensor<T, D>& dy) {
            to_x.give([&](Tensor<T, D>& g, Gradient mode) {
                op::max_pool2d_backward(context, dy, place, options, g, mode);
            });
        },
        x);
}

/// The mean over each window's positions inside the image.
template <Element T, Device D>
Variable<T, D> average_pool2d(const Variable<T, D>& x, const Pool2dOptions& options) {
    Context<D>& context = x.context();
    return Variable<T, D>::result(
        "average_pool2d", op::average_pool2d(context, x.value(), options),
        [options, &context, to_x = x.edge()](const Tensor<T, D>& dy) {
            to_x.give([&](Tensor<T, D>& g, Gradient mode) {
                op::average_pool2d_backward(context, dy, options, g, mode);
            });
        },
        x);
}

/// (n, h, w, c) -> (n, 1, 1, c): the mean over all positions.
template <Element T, Device D>
Variable<T, D> global_average(const Variable<T, D>& x) {
    Context<D>& context = x.context();
    return Variable<T, D>::result(
        "global_average", op::global_average(context, x.value()),
        [&context, to_x = x.edge()](const Tensor<T, D>& dy) {
            to_x.give([&](Tensor<T, D>& g, Gradient mode) { op::global_average_backward(context, dy, g, mode); });
        },
        x);
}

}  // namespace holon
