// op/gpu/elementwise.hpp: ops that act on each number by itself, on a card.
#pragma once
#include <holon/op/gpu/queue.hpp>

namespace holon::op {

template <Element T> Tensor<T, Gpu> relu(Context<Gpu>& context, const Tensor<T, Gpu>& x) {
    Tensor<T, Gpu> y(x.shape(), context);
    gpu::relu(gpu_detail::queue(context), x.size(), x.data(), y.data());
    return y;
}
template <Element T>
void relu_backward(Context<Gpu>& context, const Tensor<T, Gpu>& y, const Tensor<T, Gpu>& dy, Tensor<T, Gpu>& dx,
                   Gradient mode) {
    expects_same("relu_backward", y, dy);
    expects_same("relu_backward", y, dx);
    gpu::relu_backward(gpu_detail::queue(context), y.size(), y.data(), dy.data(), dx.data(), gpu_detail::adds(mode));
}
template <Element T> Tensor<T, Gpu> add(Context<Gpu>& context, const Tensor<T, Gpu>& a, const Tensor<T, Gpu>& b) {
    expects_same("add", a, b);
    Tensor<T, Gpu> y(a.shape(), context);
    gpu::add(gpu_detail::queue(context), a.size(), a.data(), b.data(), y.data());
    return y;
}
template <Element T> void accumulate(Context<Gpu>& context, const Tensor<T, Gpu>& from, Tensor<T, Gpu>& into) {
    expects_same("accumulate", from, into);
    T* const to = into.data();
    gpu::add(gpu_detail::queue(context), from.size(), from.data(), static_cast<const T*>(to), to);
}
template <Element T> void scale(Context<Gpu>& context, Tensor<T, Gpu>& x, double factor) {
    gpu::scale(gpu_detail::queue(context), x.size(), float(factor), x.data());
}
template <Element To, Element From> Tensor<To, Gpu> convert(Context<Gpu>& context, const Tensor<From, Gpu>& x) {
    if constexpr (std::same_as<To, From>) {
        return x;
    } else {
        Tensor<To, Gpu> y(x.shape(), context);
        gpu::carry(gpu_detail::queue(context), x.size(), x.data(), y.data(), false);
        return y;
    }
}

}  // namespace holon::op
