// op/cpu/elementwise.hpp: what acts on each number by itself, at the speed of copying.
#pragma once
#include <holon/op/cpu/loop.hpp>
#include <holon/op/types.hpp>

namespace holon::op {

namespace cpu {
/// to[i] += from[i].
template <Element T>
void accumulate(const T* from, T* to, std::int64_t count) {
    each(count, [=](std::int64_t i) { put(to[i], widen(from[i]), true); });
}
/// to[i] = max(from[i], 0); NaN stays NaN. `to` may be `from`.
template <Element T>
void relu(const T* from, T* to, std::int64_t count) {
    each(count, [=](std::int64_t i) {
        const auto v = widen(from[i]);
        to[i] = narrow<T>(v < 0 ? decltype(v)(0) : v);
    });
}
}  // namespace cpu

/// y = max(x, 0); NaN stays NaN.
template <Element T>
Tensor<T, Cpu> relu(Context<Cpu>& context, const Tensor<T, Cpu>& x) {
    Tensor<T, Cpu> y(x.shape(), context);
    cpu::relu(x.data(), y.data(), x.size());
    return y;
}

/// dx = dy where y > 0, else 0.
template <Element T>
void relu_backward(Context<Cpu>&, const Tensor<T, Cpu>& y, const Tensor<T, Cpu>& dy, Tensor<T, Cpu>& dx, Gradient mode) {
    expects_same("relu_backward", y, dy);
    expects_same("relu_backward", y, dx);
    const T *at = y.data(), *from = dy.data();
    T* to = dx.data();
    const auto pass = [=](bool add) {
        cpu::each(y.size(), [=](std::int64_t i) {
            const auto slope = cpu::widen(from[i]);  // read in any case: a load that may not happen is not vectorised
            cpu::put(to[i], cpu::widen(at[i]) > 0 ? slope : 0, add);
        });
    };
    if (mode == Gradient::add)
        pass(true);
    else
        pass(false);
}

/// a + b, of equal shapes.
template <Element T>
Tensor<T, Cpu> add(Context<Cpu>& context, const Tensor<T, Cpu>& a, const Tensor<T, Cpu>& b) {
    expects_same("add", a, b);
    Tensor<T, Cpu> y(a.shape(), context);
    const T *left = a.data(), *right = b.data();
    T* to = y.data();
    cpu::each(a.size(), [=](std::int64_t i) { to[i] = cpu::narrow<T>(cpu::widen(left[i]) + cpu::widen(right[i])); });
    return y;
}

/// into += from.
template <Element T>
void accumulate(Context<Cpu>&, const Tensor<T, Cpu>& from, Tensor<T, Cpu>& into) {
    expects_same("accumulate", from, into);
    cpu::accumulate(from.data(), into.data(), from.size());
}

/// x *= factor.
template <Element T>
void scale(Context<Cpu>&, Tensor<T, Cpu>& x, double factor) {
    T* to = x.data();
    const Accumulate<T> by = Accumulate<T>(factor);
    cpu::each(x.size(), [=](std::int64_t i) { to[i] = cpu::narrow<T>(cpu::widen(to[i]) * by); });
}

/// The same numbers as another element type, rounded to nearest; the same type shares the storage.
template <Element To, Element From>
Tensor<To, Cpu> convert(Context<Cpu>&, const Tensor<From, Cpu>& x) {
    return cast<To>(x);
}

}  // namespace holon::op
