// graph/conv2d.hpp: y = x * filter (+ bias), and of its three gradients only those that someone wants.
#pragma once
#include <holon/graph/variable.hpp>

namespace holon {

/// Cross-correlation (what this field calls convolution) of x (n, h, w, in) with filter (out, r, s, in) and an optional
/// bias (1, 1, 1, out); the result's shape is `op::conv2d_shape`. From the policy `redone` on the result is made again
/// for whoever needs it in backward; without one it is kept.
template <Element T, Device D>
Variable<T, D> conv2d(const Variable<T, D>& x, const Variable<Accumulate<T>, D>& filter,
                      const Variable<Accumulate<T>, D>& bias, const Conv2dOptions& options,
                      std::optional<Recompute> redone = {}) {
    using A = Accumulate<T>;
    Context<D>& context = x.context();
    const Tensor<A, D>* shift = options.bias ? &bias.value() : nullptr;
    Tensor<T, D> y = op::conv2d(context, x.value(), filter.value(), shift, options);
    const auto to_x = x.edge();
    const auto to_filter = filter.edge(), to_bias = bias.edge();
    auto backward = [=, &context, seen = to_filter ? x.saved() : Saved<T, D>(),
                     weight = to_x ? filter.value() : Tensor<A, D>()](const Tensor<T, D>& dy) {
        to_bias.give([&](Tensor<A, D>& g, Gradient mode) { op::channel_sum(context, dy, g, mode); });
        to_filter.give([&](Tensor<A, D>& g, Gradient mode) {
            op::conv2d_backward_filter(context, seen.get(), dy, options, g, mode);
        });
        if (to_filter || to_bias) detail::lap("conv2d", Pass::to_filter);
        to_x.give([&](Tensor<T, D>& g, Gradient mode) {
            op::conv2d_backward_input(context, dy, weight, options, g, mode);
        });
        if (to_x) detail::lap("conv2d", Pass::to_input);
    };
    // A backend may keep its own form of a filter that it sees twice between writes: worth it for a frozen one, while
    // that of a learning one is soon stale. The second time it is shown the same numbers under another storage.
    const Tensor<A, D> again = filter.requires_grad()
                                   ? Tensor<A, D>::over(const_cast<A*>(filter.value().data()), filter.shape(),
                                                        filter.value().storage(), filter.context())
                                   : filter.value();
    return Variable<T, D>::result("conv2d", std::move(y), std::move(backward), x, filter, bias)
        .remade_by(redone, Remaking::dear,
                   [&context, source = x.source(), again, biased = options.bias, shift_values = bias.value(), options] {
                       return op::conv2d(context, source.get(), again, biased ? &shift_values : nullptr, options);
                   });
}

}  // namespace holon
