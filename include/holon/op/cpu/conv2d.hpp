// op/cpu/conv2d.hpp: convolution through oneDNN in the layouts that it is fast in: images n h w c, filters as it likes.
#pragma once
#include <algorithm>

#include <holon/op/cpu/direct.hpp>
#include <holon/op/cpu/elementwise.hpp>
#include <holon/op/cpu/engine.hpp>
#include <holon/op/cpu/one_tap.hpp>

namespace holon::op {

namespace cpu {

/// For images of `type`, which `name` names in messages.
inline std::shared_ptr<Prepared> prepare_convolution(Engine& engine, dnnl_data_type_t type, std::string_view name,
                                                     Direction direction, const Shape& x, const Conv2dOptions& o,
                                                     bool biased) {
    const Shape y = conv2d_shape(x, o), f = filter_shape(o);
    const Key key{1 + int(direction), type, biased, x.n, x.h, x.w, x.c, o.out, o.kernel.h, o.kernel.w,
                  o.stride.h, o.stride.w, o.padding.top, o.padding.bottom, o.padding.left, o.padding.right, o.dilation.h,
                  o.dilation.w};
    return engine.prepared(key, [&] {
        // Image layouts must both be nhwc and the filter's `any`: any other mix falls to oneDNN's reference code.
        ConvolutionSetup s{{{x.n, x.c, x.h, x.w}, type, dnnl_nhwc},
                           {{f.n, f.c, f.h, f.w}, type, dnnl_format_tag_any},
                           {{f.n}, dnnl_f32, dnnl_x},
                           {{y.n, y.c, y.h, y.w}, type, dnnl_nhwc},
                           biased,
                           {o.stride.h, o.stride.w},
                           {o.dilation.h - 1, o.dilation.w - 1},
                           {o.padding.top, o.padding.left},
                           {o.padding.bottom, o.padding.right}};
        Prepared p;
        p.ours = Layout({f.n, f.c, f.h, f.w}, dnnl_f32, dnnl_ohwi);
        const Layout& ours = p.ours;
        const auto carry = [&](const Layout& from, const Layout& to, bool adding) {
            const PrimitiveDescriptor how = reorder_descriptor(engine.get(), from, to, own_scratch(adding));
            p.scratch = std::max(p.scratch, scratch_bytes(how));
            return primitive(how);
        };
        try {
            const Attributes attributes = own_scratch();
            PrimitiveDescriptor how = convolution_descriptor(engine.get(), Direction::forward, s, attributes);
            const bool gradient = direction == Direction::to_filter;
            if (gradient) s.filter = {{f.n, f.c, f.h, f.w}, dnnl_f32, dnnl_format_tag_any};  // in float whatever the type is
            if (direction != Direction::forward)
                how = convolution_descriptor(engine.get(), direction, s, attributes, how);
            p.primitive = primitive(how);
            p.implementation = implementation_of(how);
            p.scratch = scratch_bytes(how);
            p.filter = chosen_layout(how, gradient ? dnnl_query_diff_weights_md : dnnl_query_weights_md);
            const bool carried = !(p.filter == ours);
            if (gradient) {
                if (carried) p.reorder = carry(p.filter, ours, false);
                p.reorder_adding = carry(p.filter, ours, true);
            } else if (carried) {
                p.reorder = carry(ours, p.filter, false);
            }
        } catch (const DeviceError& error) {
            refuse("conv2d", error, text(name, " image ", x, ", filter ", f, ", stride ", o.stride, ", dilation ", o.dilation));
        }
        p.x = std::move(s.x), p.y = std::move(s.y), p.bias = std::move(s.bias);
        return p;
    });
}
template <Element T>
std::shared_ptr<Prepared> prepare_convolution(Engine& engine, Direction direction, const Shape& x, const Conv2dOptions& o,
                                              bool biased) {
    expects_processor<T>();
    return prepare_convolution(engine, dnnl_type<T>(), element_name<T>(), direction, x, o, biased);
}

using Bytes = Tensor<std::uint8_t, Cpu>;

inline Bytes bytes(Context<Cpu>& context, std::int64_t count) { return Bytes({1, 1, 1, count}, context); }

/// The filter as the primitive wants it; see `Storage::form`.
inline std::shared_ptr<Storage<Cpu>> formed_filter(Context<Cpu>& context, Engine& engine, const Prepared& p,
                                                   const Tensor<float, Cpu>& filter, const Bytes& scratch) {
    if (!p.reorder) return filter.storage();
    return filter.storage()->form(p.number, [&] {
        Bytes form = bytes(context, std::int64_t(p.filter.bytes()));
        engine.run(p.reorder, {{DNNL_ARG_FROM, p.ours, filter.data()},
                               {DNNL_ARG_TO, p.filter, form.data()},
                               {DNNL_ARG_SCRATCHPAD, p.scratch_layout, scratch.data()}});
        ++engine.reorders;
        return form.storage();
    });
}

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

/// Which of oneDNN's implementations computes a direction of this convolution, e.g. "brgconv:avx512_core".
template <Element T>
std::string conv2d_implementation(Context<Cpu>& context, const Shape& x, const Conv2dOptions& o, Direction direction) {
    auto& engine = context.state<cpu::Engine>();
    if (direction == Direction::to_filter && cpu::filter_by_product<T>(x, o))
        return cpu::prepare_product<T>(engine, true, false, o.out, o.in, conv2d_shape(x, o).rows())->implementation;
    return cpu::prepare_convolution<T>(engine, direction, x, o, o.bias && direction == Direction::forward)->implementation;
}

/// Cross-correlation of x (n, h, w, in) with filter (out, r, s, in), plus `bias` (1, 1, 1, out) if not null. Padding is with
/// zeros. Shape: `conv2d_shape`. double by plain loops, float and bfloat16 by oneDNN with float sums.
template <Element T>
Tensor<T, Cpu> conv2d(Context<Cpu>& context, const Tensor<T, Cpu>& x, const Tensor<Accumulate<T>, Cpu>& filter,
                      const Tensor<Accumulate<T>, Cpu>* bias, const Conv2dOptions& o) {
    const Shape ys = expects_conv2d(x.shape(), filter, bias, o);
    Tensor<T, Cpu> y(ys, context);
    if (ys.size() == 0) return y;
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

/// Gradient of `conv2d` with respect to its image, whose shape is that of dx.
template <Element T>
void conv2d_backward_input(Context<Cpu>& context, const Tensor<T, Cpu>& dy, const Tensor<Accumulate<T>, Cpu>& filter,
                           const Conv2dOptions& o, Tensor<T, Cpu>& dx, Gradient mode) {
    const Shape xs = dx.shape();
    expects_conv2d_gradient("conv2d_backward_input", xs, dy.shape(), filter.shape(), o);
    if (dx.size() == 0) return;
    if constexpr (std::same_as<T, double>) {
        double* to = dx.data();
        if (mode == Gradient::assign) std::fill_n(to, dx.size(), 0.0);
        cpu::convolve_to_input(dy.data(), dy.shape(), filter.data(), to, xs, o);
    } else if (mode == Gradient::add && cpu::adds_turned<T>(o)) {
        auto& engine = context.state<cpu::Engine>();
        const auto p = cpu::prepare_turned<T>(engine, xs, o);
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
