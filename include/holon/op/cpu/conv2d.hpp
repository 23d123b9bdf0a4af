// op/cpu/conv2d.hpp: convolution through oneDNN in the layouts that it is fast in: images n h w c, filters as it likes.
#pragma once
#include <algorithm>

#include <holon/op/cpu/direct.hpp>
#include <holon/op/cpu/elementwise.hpp>
#include <holon/op/cpu/one_tap.hpp>
#include <holon/op/cpu/sums.hpp>
#include <holon/op/cpu/widened.hpp>

namespace holon::op {

namespace cpu {

/// How many images at a time have their gradient computed aside, to be added to one that is there: a divisor of all, and
/// few enough that it is still in the cache when it is added, if it fits at all.
template <Element T>
std::int64_t images_aside(const Shape& x) {
    constexpr std::int64_t cached = std::int64_t(1) << 24;
    std::int64_t images = x.n;
    while (images > 1 && (x.n % images != 0 || images * (x.size() / x.n) * std::int64_t(sizeof(T)) > cached)) --images;
    return images;
}

}  // namespace cpu

/// Which of oneDNN's implementations computes a direction of this convolution, e.g. "brgconv:avx512_core"; "widened:jit:avx2"
/// where bfloat16 is widened to float for it.
template <Element T>
std::string conv2d_implementation(Context<Cpu>& context, const Shape& x, const Conv2dOptions& o, Direction direction) {
    auto& engine = context.state<cpu::Engine>();
    const bool biased = o.bias && direction == Direction::forward;
    if (cpu::widens<T>(context))
        return cpu::prepare_widened(context, direction, x, o, biased, false).implementation();
    if (direction == Direction::to_filter && cpu::filter_by_product<T>(x, o))
        return cpu::prepare_product<T>(engine, true, false, o.out, o.in, conv2d_shape(x, o).rows())->implementation;
    if (direction == Direction::to_input && cpu::input_by_forward<T>(o, false)) return cpu::prepare_input_by_forward<T>(engine, x, o)->implementation;
    return cpu::prepare_convolution<T>(engine, direction, x, o, biased)->implementation;
}

/// Cross-correlation of x (n, h, w, in) with filter (out, r, s, in), plus `bias` (1, 1, 1, out) if not null. Padding is with
/// zeros. Shape: `conv2d_shape`. double by plain loops, float and bfloat16 by oneDNN with float sums; see `Bfloat16Means`.
template <Element T>
Tensor<T, Cpu> conv2d(Context<Cpu>& context, const Tensor<T, Cpu>& x, const Tensor<Accumulate<T>, Cpu>& filter,
                      const Tensor<Accumulate<T>, Cpu>* bias, const Conv2dOptions& o) {
    const Shape ys = expects_conv2d(x.shape(), filter, bias, o);
    Tensor<T, Cpu> y(ys, context);
    if (ys.size() == 0) return y;
    if constexpr (std::same_as<T, bfloat16>)
        if (cpu::widens<T>(context)) {
            cpu::widened_forward(context, x, filter, bias, o, y);
            return y;
        }
    if constexpr (std::same_as<T, double>) {
        cpu::convolve(x.data(), x.shape(), filter.data(), bias ? bias->data() : nullptr, y.data(), ys, o);
    } else {
        auto& engine = context.state<cpu::Engine>();
        const auto p = cpu::prepare_convolution<T>(engine, Direction::forward, x.shape(), o, bias != nullptr);
        const cpu::Bytes scratch = cpu::bytes(context, p->scratch);
        const auto form = cpu::formed_filter(context, engine, *p, filter, scratch);
        engine.run(p->primitive, {{DNNL_ARG_SRC, p->x, x.data()},
                                  {DNNL_ARG_WEIGHTS, p->filter, form->data()},
                                  {bias ? DNNL_ARG_BIAS : 0, p->bias, bias ? bias->data() : nullptr},
                                  {DNNL_ARG_DST, p->y, y.data()},
                                  {DNNL_ARG_SCRATCHPAD, p->scratch_layout, scratch.data()}});
    }
    return y;
}

/// max(., 0) of `conv2d`.
template <Element T>
Tensor<T, Cpu> conv2d_relu(Context<Cpu>& context, const Tensor<T, Cpu>& x, const Tensor<Accumulate<T>, Cpu>& filter,
                           const Tensor<Accumulate<T>, Cpu>* bias, const Conv2dOptions& o) {
    Tensor<T, Cpu> y = conv2d(context, x, filter, bias, o);
    cpu::relu(std::as_const(y).data(), y.data(), y.size());
    return y;
}
/// With y the result of `conv2d_relu`: `masked` = dy where y > 0, else 0, which is the gradient of `conv2d`'s result; it may
/// share the storage of dy. `dbias`, where not null, gets its sum over n, h, w, assigned or added.
template <Element T>
void conv2d_relu_backward(Context<Cpu>& context, const Tensor<T, Cpu>& y, const Tensor<T, Cpu>& dy,
                          Tensor<T, Cpu>& masked, Tensor<Accumulate<T>, Cpu>* dbias, Gradient mode) {
    using A = Accumulate<T>;
    expects_conv2d_relu(y, dy, masked, dbias);
    if (!dbias) return relu_backward(context, y, dy, masked, Gradient::assign);
    const Shape s = y.shape();
    std::vector<double> sum;
    const T *at = y.data(), *from = dy.data();
    T* to = masked.data();
    cpu::row_sums<A>(s.rows(), s.c, {&sum}, [=](std::int64_t r, A* a) {
        const std::int64_t row = r * s.c;
#pragma omp simd
        for (std::int64_t k = 0; k < s.c; ++k) {
            const A slope = cpu::widen(from[row + k]), g = cpu::widen(at[row + k]) > 0 ? slope : A(0);
            to[row + k] = cpu::narrow<T>(g);
            a[k] += g;
        }
    });
    A* out = dbias->data();
    for (std::int64_t k = 0; k < s.c; ++k) cpu::put(out[k], A(sum[std::size_t(k)]), mode == Gradient::add);
}

/// Gradient of `conv2d` with respect to its image, whose shape is that of dx.
template <Element T>
void conv2d_backward_input(Context<Cpu>& context, const Tensor<T, Cpu>& dy, const Tensor<Accumulate<T>, Cpu>& filter,
                           const Conv2dOptions& o, Tensor<T, Cpu>& dx, Gradient mode) {
    const Shape xs = dx.shape();
    expects_conv2d_gradient("conv2d_backward_input", xs, dy.shape(), filter.shape(), o);
    if (dx.size() == 0) return;
    if constexpr (std::same_as<T, bfloat16>)
        if (cpu::widens<T>(context))
            return cpu::widened_to_input(context, dy, filter, o, dx, mode == Gradient::add);
    if constexpr (std::same_as<T, double>) {
        double* to = dx.data();
        if (mode == Gradient::assign) std::fill_n(to, dx.size(), 0.0);
        cpu::convolve_to_input(dy.data(), dy.shape(), filter.data(), to, xs, o);
    } else if (cpu::input_by_forward<T>(o, mode == Gradient::add)) {
        if (mode == Gradient::assign) std::fill_n(dx.data(), dx.size(), T(0.0f));
        auto& engine = context.state<cpu::Engine>();
        const auto p = cpu::prepare_input_by_forward<T>(engine, xs, o);
        const cpu::Bytes scratch = cpu::bytes(context, p->scratch);
        const auto form = cpu::formed_filter(context, engine, *p, filter, scratch);
        engine.run(p->primitive, {{DNNL_ARG_SRC, p->y, dy.data()},
                                  {DNNL_ARG_WEIGHTS, p->filter, form->data()},
                                  {DNNL_ARG_DST, p->x, dx.data()},
                                  {DNNL_ARG_SCRATCHPAD, p->scratch_layout, scratch.data()}});
    } else {
        auto& engine = context.state<cpu::Engine>();
        const Shape ys = dy.shape();
        const std::int64_t images = mode == Gradient::add ? cpu::images_aside<T>(xs) : xs.n;
        const Shape some{images, xs.h, xs.w, xs.c};
        const auto p = cpu::prepare_convolution<T>(engine, Direction::to_input, some, o, false);
        const cpu::Bytes scratch = cpu::bytes(context, p->scratch);
        const auto form = cpu::formed_filter(context, engine, *p, filter, scratch);
        Tensor<T, Cpu> aside = mode == Gradient::add ? Tensor<T, Cpu>(some, context) : Tensor<T, Cpu>();
        T* const to = dx.data();
        for (std::int64_t n = 0; n < xs.n; n += images) {
            engine.run(p->primitive, {{DNNL_ARG_DIFF_DST, p->y, dy.data() + ys.at(n, 0, 0, 0)},
                                      {DNNL_ARG_WEIGHTS, p->filter, form->data()},
                                      {DNNL_ARG_DIFF_SRC, p->x, aside ? aside.data() : to},
                                      {DNNL_ARG_SCRATCHPAD, p->scratch_layout, scratch.data()}});
            if (aside) cpu::accumulate(std::as_const(aside).data(), to + xs.at(n, 0, 0, 0), some.size());
        }
    }
}

/// Gradient of `conv2d` with respect to its filter, in float for bfloat16.
template <Element T>
void conv2d_backward_filter(Context<Cpu>& context, const Tensor<T, Cpu>& x, const Tensor<T, Cpu>& dy,
                            const Conv2dOptions& o, Tensor<Accumulate<T>, Cpu>& dfilter, Gradient mode) {
    expects_conv2d_gradient("conv2d_backward_filter", x.shape(), dy.shape(), dfilter.shape(), o);
    if constexpr (std::same_as<T, bfloat16>)
        if (cpu::widens<T>(context))
            return cpu::widened_to_filter(context, x, dy, o, dfilter, mode == Gradient::add);
    if constexpr (std::same_as<T, double>) {
        double* to = dfilter.data();
        if (mode == Gradient::assign) std::fill_n(to, dfilter.size(), 0.0);
        cpu::convolve_to_filter(x.data(), x.shape(), dy.data(), dy.shape(), to, o);
    } else if (cpu::filter_by_product<T>(x.shape(), o)) {
        const Tensor<T, Cpu> seen = x.shape().rows() == dy.shape().rows() ? x : cpu::seen_positions(context, x, o);
        linear_backward_weight(context, seen, dy, dfilter, mode);
    } else {
        auto& engine = context.state<cpu::Engine>();
        const auto p = cpu::prepare_convolution<T>(engine, Direction::to_filter, x.shape(), o, false);
        const cpu::Bytes scratch = cpu::bytes(context, p->scratch);
        const bool straight = !p->reorder && mode == Gradient::assign;
        cpu::Bytes own = straight ? cpu::Bytes() : cpu::bytes(context, std::int64_t(p->filter.bytes()));
        void* const result = straight ? static_cast<void*>(dfilter.data()) : own.data();
        engine.run(p->primitive, {{DNNL_ARG_SRC, p->x, x.data()},
                                  {DNNL_ARG_DIFF_DST, p->y, dy.data()},
                                  {DNNL_ARG_DIFF_WEIGHTS, p->filter, result},
                                  {DNNL_ARG_SCRATCHPAD, p->scratch_layout, scratch.data()}});
        if (straight) return;
        engine.run(mode == Gradient::add ? p->reorder_adding : p->reorder,
                   {{DNNL_ARG_FROM, p->filter, result},
                    {DNNL_ARG_TO, p->ours, dfilter.data()},
                    {DNNL_ARG_SCRATCHPAD, p->scratch_layout, scratch.data()}});
    }
}

}  // namespace holon::op
