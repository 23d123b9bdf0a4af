// op/cpu/conv2d.hpp: convolution through oneDNN in the layouts that it is fast in: images n h w c, filters as it likes.
#pragma once
#include <algorithm>
#include <unordered_map>

#include <holon/op/cpu/direct.hpp>
#include <holon/op/cpu/elementwise.hpp>
#include <holon/op/cpu/engine.hpp>

namespace holon::op {

namespace cpu {

template <Element T>
std::shared_ptr<Prepared> prepare_convolution(Engine& engine, Direction direction, const Shape& x, const Conv2dOptions& o,
                                              bool biased) {
    expects_processor<T>();
    const Shape y = conv2d_shape(x, o), f = filter_shape(o);
    const Key key{1 + int(direction), std::same_as<T, bfloat16>, biased, x.n, x.h, x.w, x.c, o.out, o.kernel.h, o.kernel.w,
                  o.stride.h, o.stride.w, o.padding.top, o.padding.bottom, o.padding.left, o.padding.right, o.dilation.h,
                  o.dilation.w};
    return engine.prepared(key, [&] {
        // Image layouts must both be nhwc and the filter's `any`: any other mix falls to oneDNN's reference code.
        constexpr auto type = dnnl_type<T>(), real = dnnl::memory::data_type::f32;
        ConvolutionSetup s{direction,
                           {{x.n, x.c, x.h, x.w}, type, Tag::nhwc},
                           {{f.n, f.c, f.h, f.w}, type, Tag::any},
                           {{f.n}, real, Tag::x},
                           {{y.n, y.c, y.h, y.w}, type, Tag::nhwc},
                           biased,
                           {o.stride.h, o.stride.w},
                           {o.dilation.h - 1, o.dilation.w - 1},
                           {o.padding.top, o.padding.left},
                           {o.padding.bottom, o.padding.right}};
        const dnnl::memory::desc ours({f.n, f.c, f.h, f.w}, real, Tag::ohwi);
        const auto attr = own_scratch();
        Prepared p;
        try {
            const auto forward = forward_desc(engine.engine(), s, attr);
            const auto fill = [&](const auto& desc, const dnnl::memory::desc& filter) {
                p.filter = filter;
                p.x = s.x, p.y = s.y, p.bias = s.bias;
                p.implementation = desc.impl_info_str();
                p.scratch = std::int64_t(desc.scratchpad_desc().get_size());
            };
            const auto carry = [&](const dnnl::memory::desc& from, const dnnl::memory::desc& to, bool adding) {
                dnnl::primitive_attr how = own_scratch();
                if (adding) {
                    dnnl::post_ops sum;
                    sum.append_sum(1.0f);
                    how.set_post_ops(sum);
                }
                const dnnl::reorder::primitive_desc desc(engine.engine(), from, engine.engine(), to, how);
                p.scratch = std::max(p.scratch, std::int64_t(desc.scratchpad_desc().get_size()));
                return dnnl::reorder(desc);
            };
            if (direction == Direction::forward) {
                fill(forward, forward.weights_desc());
                p.primitive = dnnl::convolution_forward(forward);
                if (p.filter != ours) p.reorder = carry(ours, p.filter, false);
            } else if (direction == Direction::to_input) {
                const auto desc = to_input_desc(engine.engine(), s, attr, forward);
                fill(desc, desc.weights_desc());
                p.primitive = dnnl::convolution_backward_data(desc);
                if (p.filter != ours) p.reorder = carry(ours, p.filter, false);
            } else {
                s.filter = {{f.n, f.c, f.h, f.w}, real, Tag::any};  // gradients in float whatever T is
                const auto desc = to_filter_desc(engine.engine(), s, attr, forward);
                fill(desc, desc.diff_weights_desc());
                p.primitive = dnnl::convolution_backward_weights(desc);
                if (p.filter != ours) p.reorder = carry(p.filter, ours, false);
                p.reorder_adding = carry(p.filter, ours, true);
            }
        } catch (const dnnl::error& error) {
            refuse("conv2d", error, text(element_name<T>(), " image ", x, ", filter ", f, ", stride ", o.stride, ", dilation ",
                                         o.dilation));
        }
        return p;
    });
}

using Bytes = Tensor<std::uint8_t, Cpu>;

inline Bytes bytes(Context<Cpu>& context, std::int64_t count) { return Bytes({1, 1, 1, count}, context); }

/// The filter as the primitive wants it; see `Storage::form`.
inline Bytes formed_filter(Context<Cpu>& context, Engine& engine, const Prepared& p, const Tensor<float, Cpu>& filter,
                           const Bytes& scratch) {
    if (!p.reorder) return Bytes::over(reinterpret_cast<std::uint8_t*>(const_cast<float*>(filter.data())),
                                       {1, 1, 1, filter.size() * 4}, filter.storage(), context);
    return filter.storage()->form(p.number, [&] {
        Bytes form = bytes(context, std::int64_t(p.filter.get_size()));
        const Shape f = filter.shape();
        const dnnl::memory::desc ours({f.n, f.c, f.h, f.w}, dnnl::memory::data_type::f32, Tag::ohwi);
        p.reorder.execute(
            engine.stream(),
            {{DNNL_ARG_FROM, view(engine, ours, filter)},
             {DNNL_ARG_TO, view(engine, p.filter, form)},
             {DNNL_ARG_SCRATCHPAD, view(engine, {{p.scratch}, dnnl::memory::data_type::u8, Tag::x}, scratch)}});
        ++engine.reorders;
        return form;
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
        const cpu::Bytes form = cpu::formed_filter(context, engine, *p, filter, scratch);
        std::unordered_map<int, dnnl::memory> arguments{
            {DNNL_ARG_SRC, cpu::view(engine, p->x, x)},
            {DNNL_ARG_WEIGHTS, cpu::view(engine, p->filter, form)},
            {DNNL_ARG_DST, cpu::view(engine, p->y, y)},
            {DNNL_ARG_SCRATCHPAD, cpu::view(engine, {{p->scratch}, dnnl::memory::data_type::u8, cpu::Tag::x}, scratch)}};
        if (bias) arguments.emplace(DNNL_ARG_BIAS, cpu::view(engine, p->bias, *bias));
        p->primitive.execute(engine.stream(), arguments);
        engine.stream().wait();
        y.storage()->written();
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
    } else {
        auto& engine = context.state<cpu::Engine>();
        const Shape ys = dy.shape();
        const std::int64_t images = mode == Gradient::add ? cpu::images_aside<T>(xs) : xs.n;
        const Shape some{images, xs.h, xs.w, xs.c};
        const auto p = cpu::prepare_convolution<T>(engine, Direction::to_input, some, o, false);
        const cpu::Bytes scratch = cpu::bytes(context, p->scratch);
        const cpu::Bytes form = cpu::formed_filter(context, engine, *p, filter, scratch);
        const Tensor<T, Cpu> aside = mode == Gradient::add ? Tensor<T, Cpu>(some, context) : Tensor<T, Cpu>();
        T* const to = dx.data();
        for (std::int64_t n = 0; n < xs.n; n += images) {
            p->primitive.execute(
                engine.stream(),
                {{DNNL_ARG_DIFF_DST, cpu::view(engine, p->y, dy.data() + ys.at(n, 0, 0, 0))},
                 {DNNL_ARG_WEIGHTS, cpu::view(engine, p->filter, form)},
                 {DNNL_ARG_DIFF_SRC, aside ? cpu::view(engine, p->x, aside) : cpu::view(engine, p->x, to)},
                 {DNNL_ARG_SCRATCHPAD,
                  cpu::view(engine, {{p->scratch}, dnnl::memory::data_type::u8, cpu::Tag::x}, scratch)}});
            engine.stream().wait();
            if (aside) cpu::accumulate(std::as_const(aside).data(), to + xs.at(n, 0, 0, 0), some.size());
        }
        dx.storage()->written();
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
    } else {
        auto& engine = context.state<cpu::Engine>();
        const auto p = cpu::prepare_convolution<T>(engine, Direction::to_filter, x.shape(), o, false);
        const cpu::Bytes scratch = cpu::bytes(context, p->scratch);
        const dnnl::memory scratch_view =
            cpu::view(engine, {{p->scratch}, dnnl::memory::data_type::u8, cpu::Tag::x}, scratch);
        const bool straight = !p->reorder && mode == Gradient::assign;
        const cpu::Bytes own = straight ? cpu::Bytes() : cpu::bytes(context, std::int64_t(p->filter.get_size()));
        const dnnl::memory result = straight ? cpu::view(engine, p->filter, dfilter) : cpu::view(engine, p->filter, own);
        p->primitive.execute(engine.stream(), {{DNNL_ARG_SRC, cpu::view(engine, p->x, x)},
                                               {DNNL_ARG_DIFF_DST, cpu::view(engine, p->y, dy)},
                                               {DNNL_ARG_DIFF_WEIGHTS, result},
                                               {DNNL_ARG_SCRATCHPAD, scratch_view}});
        if (!straight) {
            const Shape f = dfilter.shape();
            const dnnl::memory::desc ours({f.n, f.c, f.h, f.w}, dnnl::memory::data_type::f32, cpu::Tag::ohwi);
            const dnnl::primitive& carry = mode == Gradient::add ? p->reorder_adding : p->reorder;
            carry.execute(engine.stream(), {{DNNL_ARG_FROM, result},
                                            {DNNL_ARG_TO, cpu::view(engine, ours, dfilter)},
                                            {DNNL_ARG_SCRATCHPAD, scratch_view}});
        }
        engine.stream().wait();
        dfilter.storage()->written();
    }
}

}  // namespace holon::op
