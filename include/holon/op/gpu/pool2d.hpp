// op/gpu/pool2d.hpp: windows and whole images reduced, on a card.
#pragma once
#include <holon/op/gpu/queue.hpp>

namespace holon::op {

namespace gpu_detail {
inline gpu::Pooling pooling(const char* op, const Shape& x, const Pool2dOptions& o) {
    const Shape y = pool2d_shape(x, o);
    narrow(op, x.h + o.padding.top + o.padding.bottom + o.step().h);
    narrow(op, x.w + o.padding.left + o.padding.right + o.step().w);
    return {x.n,        x.h,        x.w,        y.h,        y.w,           narrow(op, x.c),
            o.window.h, o.window.w, o.step().h, o.step().w, o.padding.top, o.padding.left};
}
}  // namespace gpu_detail

template <Element T>
MaxPooled<T, Gpu> max_pool2d(Context<Gpu>& context, const Tensor<T, Gpu>& x, const Pool2dOptions& o) {
    const Shape t = pool2d_shape(x.shape(), o);
    expects_taps(o);
    MaxPooled<T, Gpu> out{Tensor<T, Gpu>(t, context), Tensor<std::uint8_t, Gpu>(t, context)};
    gpu::max_pool(gpu_detail::queue(context), gpu_detail::pooling("max_pool2d", x.shape(), o), x.data(), out.y.data(),
                  out.place.data());
    return out;
}
template <Element T>
void max_pool2d_backward(Context<Gpu>& context, const Tensor<T, Gpu>& dy, const Tensor<std::uint8_t, Gpu>& place,
                         const Pool2dOptions& o, Tensor<T, Gpu>& dx, Gradient mode) {
    expects_pooled("max_pool2d_backward", dx.shape(), dy.shape(), o);
    expects_places(dy.shape(), place.shape());
    gpu::max_pool_backward(gpu_detail::queue(context), gpu_detail::pooling("max_pool2d_backward", dx.shape(), o),
                           dy.data(), place.data(), dx.data(), gpu_detail::adds(mode));
}
template <Element T>
Tensor<T, Gpu> average_pool2d(Context<Gpu>& context, const Tensor<T, Gpu>& x, const Pool2dOptions& o) {
    Tensor<T, Gpu> y(pool2d_shape(x.shape(), o), context);
    gpu::average_pool(gpu_detail::queue(context), gpu_detail::pooling("average_pool2d", x.shape(), o), x.data(),
                      y.data());
    return y;
}
template <Element T>
void average_pool2d_backward(Context<Gpu>& context, const Tensor<T, Gpu>& dy, const Pool2dOptions& o,
                             Tensor<T, Gpu>& dx, Gradient mode) {
    expects_pooled("average_pool2d_backward", dx.shape(), dy.shape(), o);
    gpu::average_pool_backward(gpu_detail::queue(context),
                               gpu_detail::pooling("average_pool2d_backward", dx.shape(), o), dy.data(), dx.data(),
                               gpu_detail::adds(mode));
}
template <Element T> Tensor<T, Gpu> global_average(Context<Gpu>& context, const Tensor<T, Gpu>& x) {
    const Shape s = x.shape();
    expects(s.h * s.w > 0, "global_average: no positions in ", s);
    Tensor<T, Gpu> y({s.n, 1, 1, s.c}, context);
    gpu::global_average(gpu_detail::queue(context), s.n, s.h * s.w, gpu_detail::narrow("global_average", s.c), x.data(),
                        y.data());
    return y;
}
template <Element T>
void global_average_backward(Context<Gpu>& context, const Tensor<T, Gpu>& dy, Tensor<T, Gpu>& dx, Gradient mode) {
    const Shape s = dx.shape();
    expects_averaged(s, dy.shape());
    gpu::global_average_backward(gpu_detail::queue(context), s.n, s.h * s.w,
                                 gpu_detail::narrow("global_average_backward", s.c), dy.data(), dx.data(),
                                 gpu_detail::adds(mode));
}

}  // namespace holon::op
