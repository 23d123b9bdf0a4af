// graph/linear.hpp: y = W x + b at every position; on a map it is a 1x1 convolution.
#pragma once
#include <holon/graph/variable.hpp>

namespace holon {

/// x is (n, h, w, in), weight (out, 1, 1, in), bias (1, 1, 1, out) or empty; the result is (n, h, w, out).
template <Element T, Device D>
Variable<T, D> linear(const Variable<T, D>& x, const Variable<Accumulate<T>, D>& weight,
                      const Variable<Accumulate<T>, D>& bias) {
    using A = Accumulate<T>;
    Context<D>& context = x.context();
    const bool biased = bool(bias.value());
    Tensor<T, D> y = op::linear(context, x.value(), weight.value(), biased ? &bias.value() : nullptr);
    const auto to_x = x.edge();
    const auto to_weight = weight.edge(), to_bias = bias.edge();
    auto backward = [=, &context, seen = to_weight ? x.saved() : Saved<T, D>(),
                     matrix = to_x ? weight.value() : Tensor<A, D>()](const Tensor<T, D>& dy) {
        to_bias.give([&](Tensor<A, D>& g, Gradient mode) { op::channel_sum(context, dy, g, mode); });
        to_weight.give([&](Tensor<A, D>& g, Gradient mode) {
            op::linear_backward_weight(context, seen.get(), dy, g, mode);
        });
        if (to_weight || to_bias) detail::lap("linear", Pass::to_filter);
        to_x.give([&](Tensor<T, D>& g, Gradient mode) { op::linear_backward_input(context, dy, matrix, g, mode); });
        if (to_x) detail::lap("linear", Pass::to_input);
    };
    return Variable<T, D>::result("linear", std::move(y), std::move(backward), x, weight, bias);
}

}  // namespace holon
