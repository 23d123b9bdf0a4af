// graph/elementwise.hpp: what acts on each number by itself.
#pragma once
#include <holon/graph/variable.hpp>

namespace holon {

/// y = max(x, 0); dx = dy where y > 0. Where x is let go of, y is too, and made again from it.
template <Element T, Device D>
Variable<T, D> relu(const Variable<T, D>& x) {
    Context<D>& context = x.context();
    const Tensor<T, D> y = op::relu(context, x.value());
    std::shared_ptr<Redone<T, D>> redone;
    if (x.let_go()) {
        redone.reset(new Redone<T, D>([&context, source = x.source()] { return op::relu(context, source.get()); },
                                      Remaking::dear));
        redone->want();
    }
    return Variable<T, D>::result(
               "relu", y,
               [mask = redone ? Saved<T, D>(redone) : Saved<T, D>(y), &context,
                to_x = x.edge()](const Tensor<T, D>& dy) {
                   const Tensor<T, D> seen = mask.get();
                   to_x.give([&](Tensor<T, D>& g, Gradient mode) { op::relu_backward(context, seen, dy, g, mode); });
               },
               x)
        .remade_by(redone);
}

/// y = a + b, of equal shapes; both get dy.
template <Element T, Device D>
Variable<T, D> add(const Variable<T, D>& a, const Variable<T, D>& b) {
    return Variable<T, D>::result(
        "add", op::add(a.context(), a.value(), b.value()),
        [to_a = a.edge(), to_b = b.edge()](const Tensor<T, D>& dy) {
            to_a.take(dy);
            to_b.take(dy);
        },
        a, b);
}

/// Sets a share of the mask's rate of the elements to zero and scales the rest by 1 / (1 - rate) (Srivastava et al. 2014,
/// "inverted"); dx likewise, by the same mask, which is drawn again rather than kept. `mask` is an `op::DropoutMask`, or
/// what `op::dropout_mask` gave, which a recorded step draws anew before each launch.
template <Element T, Device D, class Mask = op::DropoutMask>
Variable<T, D> dropout(const Variable<T, D>& x, const Mask& mask) {
    Context<D>& context = x.context();
    return Variable<T, D>::result(
        "dropout", op::dropout(context, x.value(), mask),
        [mask, &context, to_x = x.edge()](const Tensor<T, D>& dy) {
            to_x.give([&](Tensor<T, D>& g, Gradient mode) { op::dropout_backward(context, dy, mask, g, mode); });
        },
        x);
}

/// The same numbers as another element type; the gradient comes back as T.
template <Element To, Element T, Device D>
Variable<To, D> convert(const Variable<T, D>& x) {
    if constexpr (std::same_as<To, T>) {
        return x;
    } else {
        Context<D>& context = x.context();
        return Variable<To, D>::result(
            "convert", op::template convert<To>(context, x.value()),
            [&context, to_x = x.edge()](const Tensor<To, D>& dy) { to_x.take(op::template convert<T>(context, dy)); },
            x);
    }
}

/// The same elements under another shape of equal size.
template <Element T, Device D>
Variable<T, D> reshape(const Variable<T, D>& x, Shape shape) {
    return Variable<T, D>::result(
        "reshape", x.value().reshape(shape),
        [from = x.shape(), to_x = x.edge()](const Tensor<T, D>& dy) { to_x.take(dy.reshape(from)); }, x);
}

/// (n, h, w, c) -> (n, 1, 1, h w c), in that order.
template <Element T, Device D>
Variable<T, D> flatten(const Variable<T, D>& x) {
    const Shape s = x.shape();
    return reshape(x, {s.n, 1, 1, s.h * s.w * s.c});
}

}  // namespace holon
