// op/cpu/prepare.hpp: oneDNN's primitive for a convolution, and filters in the layout that it chose for them.
#pragma once
#include <algorithm>
#include <string_view>

#include <holon/op/cpu/engine.hpp>

namespace holon::op::cpu {

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
            if (gradient)
                s.filter = {{f.n, f.c, f.h, f.w}, dnnl_f32, dnnl_format_tag_any};  // in float whatever the type is
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
            refuse("conv2d", error,
                   text(name, " image ", x, ", filter ", f, ", stride ", o.stride, ", dilation ", o.dilation));
        }
        p.x = std::move(s.x), p.y = std::move(s.y), p.bias = std::move(s.bias);
        return p;
    });
}
template <Element T>
std::shared_ptr<Prepared> prepare_convolution(Engine& engine, Direction direction, const Shape& x,
                                              const Conv2dOptions& o, bool biased) {
    return prepare_convolution(engine, dnnl_type<T>(), element_name<T>(), direction, x, o, biased);
}

using Bytes = Tensor<std::uint8_t, Cpu>;

inline Bytes bytes(Context<Cpu>& context, std::int64_t count) { return Bytes({1, 1, 1, count}, context); }

/// The filter as the primitive wants it, which is not as it lies with us.
inline std::shared_ptr<Storage<Cpu>> form_filter(Context<Cpu>& context, Engine& engine, const Prepared& p,
                                                 const Tensor<float, Cpu>& filter, const Bytes& scratch) {
    Bytes form = bytes(context, std::int64_t(p.filter.bytes()));
    engine.run(p.reorder, {{DNNL_ARG_FROM, p.ours, filter.data()},
                           {DNNL_ARG_TO, p.filter, form.data()},
                           {DNNL_ARG_SCRATCHPAD, p.scratch_layout, scratch.data()}});
    ++engine.reorders;
    return form.storage();
}

/// The filter as the primitive wants it; see `Storage::form`.
inline std::shared_ptr<Storage<Cpu>> formed_filter(Context<Cpu>& context, Engine& engine, const Prepared& p,
                                                   const Tensor<float, Cpu>& filter, const Bytes& scratch) {
    if (!p.reorder) return filter.storage();
    return filter.storage()->form(p.number, [&] { return form_filter(context, engine, p, filter, scratch); });
}

}  // namespace holon::op::cpu
