// op/plan/plan.hpp: every op of `Plan`: the shapes, the refusals and the memory of `Gpu`, and no numbers.
#pragma once
#include <initializer_list>
#include <span>

#include <holon/op/plan/batch_norm.hpp>
#include <holon/op/plan/conv2d.hpp>

namespace holon::op {

template <Element T>
Tensor<T, Plan> linear(Context<Plan>& context, const Tensor<T, Plan>& x, const Tensor<Accumulate<T>, Plan>& weight,
                       const Tensor<Accumulate<T>, Plan>* bias) {
    const Shape s = x.shape(), w = weight.shape();
    expects_matrix("linear", s, w);
    if (bias) expects(bias->shape() == vector_shape(w.n), "linear: bias ", bias->shape(), " for ", w.n, " outputs");
    Tensor<T, Plan> y({s.n, s.h, s.w, w.n}, context);
    plan::note(context, "linear", s, y.shape(), plan::traffic(x, y, weight), 2.0 * double(y.size()) * double(s.c));
    return y;
}
template <Element T>
void linear_backward_input(Context<Plan>& context, const Tensor<T, Plan>& dy, const Tensor<Accumulate<T>, Plan>& weight,
                           Tensor<T, Plan>& dx, Gradient) {
    expects_linear_gradient("linear_backward_input", dx.shape(), dy.shape(), weight.shape());
    plan::note(context, "linear_backward_input", dx.shape(), dy.shape(), plan::traffic(dy, dx, weight),
               2.0 * double(dy.size()) * double(dx.shape().c));
}
template <Element T>
void linear_backward_weight(Context<Plan>& context, const Tensor<T, Plan>& x, const Tensor<T, Plan>& dy,
                            Tensor<Accumulate<T>, Plan>& dweight, Gradient) {
    expects_linear_gradient("linear_backward_weight", x.shape(), dy.shape(), dweight.shape());
    plan::note(context, "linear_backward_weight", x.shape(), dy.shape(), plan::traffic(dy, x, dweight),
               2.0 * double(dy.size()) * double(x.shape().c));
}

template <Element T> Tensor<T, Plan> relu(Context<Plan>& context, const Tensor<T, Plan>& x) {
    Tensor<T, Plan> y(x.shape(), context);
    plan::note(context, "relu", x.shape(), y.shape(), plan::traffic(x, y));
    return y;
}
template <Element T>
void relu_backward(Context<Plan>& context, const Tensor<T, Plan>& y, const Tensor<T, Plan>& dy, Tensor<T, Plan>& dx,
                   Gradient) {
    expects_same("relu_backward", y, dy);
    expects_same("relu_backward", y, dx);
    plan::note(context, "relu_backward", y.shape(), dx.shape(), plan::traffic(y, dy, dx));
}
template <Element T> Tensor<T, Plan> add(Context<Plan>& context, const Tensor<T, Plan>& a, const Tensor<T, Plan>& b) {
    expects_same("add", a, b);
    Tensor<T, Plan> y(a.shape(), context);
    plan::note(context, "add", a.shape(), y.shape(), plan::traffic(a, b, y));
    return y;
}
template <Element T> void accumulate(Context<Plan>& context, const Tensor<T, Plan>& from, Tensor<T, Plan>& into) {
    expects_same("accumulate", from, into);
    plan::note(context, "accumulate", from.shape(), into.shape(), plan::traffic(from, into, into));
}
template <Element T> void scale(Context<Plan>& context, Tensor<T, Plan>& x, double) {
    plan::note(context, "scale", x.shape(), x.shape(), plan::traffic(x, x));
}
template <Element To, Element From> Tensor<To, Plan> convert(Context<Plan>& context, const Tensor<From, Plan>& x) {
    if constexpr (std::same_as<To, From>) {
        return x;
    } else {
        Tensor<To, Plan> y(x.shape(), context);
        plan::note(context, "convert", x.shape(), y.shape(), plan::traffic(x, y));
        return y;
    }
}

template <Element T>
MaxPooled<T, Plan> max_pool2d(Context<Plan>& context, const Tensor<T, Plan>& x, const Pool2dOptions& o) {
    const Shape t = pool2d_shape(x.shape(), o);
    expects_taps(o);
    MaxPooled<T, Plan> out{Tensor<T, Plan>(t, context), Tensor<std::uint8_t, Plan>(t, context)};
    plan::note(context, "max_pool2d", x.shape(), t, plan::traffic(x, out.y, out.place));
    return out;
}
template <Element T>
void max_pool2d_backward(Context<Plan>& context, const Tensor<T, Plan>& dy, const Tensor<std::uint8_t, Plan>& place,
                         const Pool2dOptions& o, Tensor<T, Plan>& dx, Gradient) {
    expects_pooled("max_pool2d_backward", dx.shape(), dy.shape(), o);
    expects_places(dy.shape(), place.shape());
    plan::note(context, "max_pool2d_backward", dx.shape(), dy.shape(), plan::traffic(dy, place, dx));
}
template <Element T>
Tensor<T, Plan> average_pool2d(Context<Plan>& context, const Tensor<T, Plan>& x, const Pool2dOptions& o) {
    Tensor<T, Plan> y(pool2d_shape(x.shape(), o), context);
    plan::note(context, "average_pool2d", x.shape(), y.shape(), plan::traffic(x, y));
    return y;
}
template <Element T>
void average_pool2d_backward(Context<Plan>& context, const Tensor<T, Plan>& dy, const Pool2dOptions& o,
                             Tensor<T, Plan>& dx, Gradient) {
    expects_pooled("average_pool2d_backward", dx.shape(), dy.shape(), o);
    plan::note(context, "average_pool2d_backward", dx.shape(), dy.shape(), plan::traffic(dy, dx));
}
template <Element T> Tensor<T, Plan> global_average(Context<Plan>& context, const Tensor<T, Plan>& x) {
    const Shape s = x.shape();
    expects(s.h * s.w > 0, "global_average: no positions in ", s);
    Tensor<T, Plan> y({s.n, 1, 1, s.c}, context);
    plan::note(context, "global_average", s, y.shape(), plan::traffic(x, y));
    return y;
}
template <Element T>
void global_average_backward(Context<Plan>& context, const Tensor<T, Plan>& dy, Tensor<T, Plan>& dx, Gradient) {
    expects_averaged(dx.shape(), dy.shape());
    plan::note(context, "global_average_backward", dx.shape(), dy.shape(), plan::traffic(dy, dx));
}

template <Element T> Tensor<T, Plan> softmax(Context<Plan>& context, const Tensor<T, Plan>& x) {
    expects(x.shape().c > 0, "softmax: no channels in ", x.shape());
    Tensor<T, Plan> y(x.shape(), context);
    plan::note(context, "softmax", x.shape(), y.shape(), plan::traffic(x, y));
    return y;
}
template <Element T>
void softmax_backward(Context<Plan>& context, const Tensor<T, Plan>& y, const Tensor<T, Plan>& dy, Tensor<T, Plan>& dx,
                      Gradient) {
    expects_same("softmax_backward", y, dy);
    expects_same("softmax_backward", y, dx);
    plan::note(context, "softmax_backward", y.shape(), dx.shape(), plan::traffic(y, dy, dx));
}
template <Element A>
Tensor<A, Plan> cross_entropy(Context<Plan>& context, const Tensor<A, Plan>& logits, std::span<const int> labels,
                              std::span<const float> weights) {
    expects_labels(logits.shape(), labels, weights);
    return Tensor<A, Plan>({1, 1, 1, 1}, context);
}
template <Element A>
void cross_entropy_backward(Context<Plan>&, const Tensor<A, Plan>& logits, std::span<const int> labels,
                            std::span<const float> weights, const Tensor<A, Plan>&, Tensor<A, Plan>& dlogits,
                            Gradient) {
    expects_labels(logits.shape(), labels, weights);
    expects_same("cross_entropy_backward", logits, dlogits);
}

template <Element T>
Tensor<T, Plan> dropout(Context<Plan>& context, const Tensor<T, Plan>& x, const DropoutMask& mask) {
    expects_rate(mask);
    Tensor<T, Plan> y(x.shape(), context);
    plan::note(context, "dropout", x.shape(), y.shape(), plan::traffic(x, y));
    return y;
}
template <Element T>
void dropout_backward(Context<Plan>& context, const Tensor<T, Plan>& dy, const DropoutMask& mask, Tensor<T, Plan>& dx,
                      Gradient) {
    expects_rate(mask);
    expects_same("dropout_backward", dy, dx);
    plan::note(context, "dropout_backward", dy.shape(), dx.shape(), plan::traffic(dy, dx));
}
template <Element T>
Tensor<T, Plan> affine_warp(Context<Plan>& context, const Tensor<T, Plan>& x, std::span<const Warp> warps,
                            const WarpOptions& o) {
    const Shape s = x.shape();
    expects_warp(s, warps, o);
    Tensor<T, Plan> y({s.n, s.h, s.w, o.channels}, context);
    plan::note(context, "affine_warp", s, y.shape(), plan::traffic(x, y));
    return y;
}
template <Element T>
void affine_warp_backward(Context<Plan>& context, const Tensor<T, Plan>& x, const Tensor<T, Plan>& dy,
                          std::span<const Warp> warps, const WarpOptions& o, Tensor<T, Plan>& dx, Gradient) {
    expects_warp(x.shape(), warps, o);
    expects_warp_gradient(x.shape(), dy.shape(), dx.shape(), o);
    plan::note(context, "affine_warp_backward", dx.shape(), dy.shape(), plan::traffic(x, dy, dx));
}

template <Element A>
void adam(Context<Plan>& context, std::span<const AdamOperand<A, Plan>> operands, const AdamStep& o) {
    expects_step(o);
    double bytes = 0;
    for (const auto& p : operands) {
        expects_operand(p);
        bytes += 7 * plan::traffic(*p.value);  // gradient read; value and moments read and written
        bytes += plan::step_value(*p.value);
    }
    plan::note(context, "adam", {}, {}, bytes);
}
template <Element A> void sgd(Context<Plan>& context, std::span<const SgdOperand<A, Plan>> operands, const SgdStep& o) {
    double bytes = 0;
    for (const auto& p : operands) {
        expects_operand(p, o.momentum);
        bytes += (p.velocity ? 5 : 3) * plan::traffic(*p.value) + plan::step_value(*p.value);
    }
    plan::note(context, "sgd", {}, {}, bytes);
}
/// A plan has no numbers: 0.
template <Element T> double squared_norm(Context<Plan>& context, const Tensor<T, Plan>& x) {
    plan::note(context, "squared_norm", x.shape(), {}, plan::traffic(x));
    return 0;
}
template <Element T> double squared_norm(Context<Plan>& context, std::span<const Tensor<T, Plan>* const> all) {
    for (const Tensor<T, Plan>* x : all) squared_norm(context, *x);
    return 0;
}
/// A plan has no numbers, so none that is not finite.
template <Element T> bool all_finite(Context<Plan>& context, const Tensor<T, Plan>& x) {
    plan::note(context, "all_finite", x.shape(), {}, plan::traffic(x));
    return true;
}

}  // namespace holon::op
