// op/cpu/one_tap.hpp: convolutions of one tap are matrix products, which is put to use where oneDNN gains by it.
#pragma once
#include <algorithm>

#include <holon/op/cpu/linear.hpp>

namespace holon::op::cpu {

/// Whether the gradient of this filter is computed as the matrix product dy^T x instead of by oneDNN's convolution. With
/// many channels and few positions in bfloat16 that is 1.0 to 1.3 times as fast (two Zen 4 cores, oneDNN 2.6), and comes
/// out in our layout; in float, or with more positions, it is not. For bfloat16 that oneDNN computes itself.
template <Element T>
bool filter_by_product(const Shape& x, const Conv2dOptions& o) {
    constexpr std::int64_t many = 256, few = 8192;
    return std::same_as<T, bfloat16> && o.kernel == Extent(1) && o.padding == Padding(0) && o.in >= many && o.out >= many &&
           x.size() > 0 && conv2d_shape(x, o).rows() <= few;
}

/// The positions of x that a filter of one tap sees: every `stride.h`-th row's every `stride.w`-th.
template <Element T>
Tensor<T, Cpu> seen_positions(Context<Cpu>& context, const Tensor<T, Cpu>& x, const Conv2dOptions& o) {
    const Shape s = x.shape(), y = conv2d_shape(s, o);
    Tensor<T, Cpu> seen({y.n, y.h, y.w, s.c}, context);
    const Extent stride = o.stride;
    const T* from = x.data();
    T* to = seen.data();
    split(y.n * y.h, threads_for(seen.size()), [=](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t row = begin; row < end; ++row)
            for (std::int64_t w = 0; w < y.w; ++w)
                std::copy_n(from + s.at(row / y.h, row % y.h * stride.h, w * stride.w, 0), s.c, to + (row * y.w + w) * s.c);
    });
    return seen;
}

/// Whether the gradient of an image is computed by `prepare_input_by_forward`, for bfloat16 that oneDNN computes itself. Where
/// it joins one that is there (`add`) that takes 0.81 to 1.02 of the time of a gradient aside and its addition; in float,
/// where the addition hides behind the arithmetic, up to 1.1. With an odd number of output channels it always is: for some
/// numbers of positions (30, 90, 930) the kernel that oneDNN 2.6 has for the gradient itself,
/// jit_bf16_1x1:avx512_core_bf16, gives wrong numbers.
template <Element T>
bool input_by_forward(const Conv2dOptions& o, bool add) {
    return std::same_as<T, bfloat16> && o.kernel == Extent(1) && o.stride == Extent(1) && o.padding == Padding(0) &&
           (add || o.out % 2 != 0);
}

/// For a filter of one tap that sees every position: the gradient of its image x, added to one that is there. oneDNN adds
/// only to what it computes forward, so this is a forward convolution of dy with the filter transposed (out and in exchanged).
template <Element T>
std::shared_ptr<Prepared> prepare_input_by_forward(Engine& engine, const Shape& x, const Conv2dOptions& o) {
    const Key key{4, dnnl_type<T>(), x.n, x.h, x.w, o.in, o.out};
    return engine.prepared(key, [&] {
        constexpr auto type = dnnl_type<T>();
        const dnnl_dim_t in = o.in, out = o.out;
        const ConvolutionSetup s{{{x.n, out, x.h, x.w}, type, dnnl_nhwc},
                                 {{in, out, 1, 1}, type, dnnl_format_tag_any},
                                 {},
                                 {{x.n, in, x.h, x.w}, type, dnnl_nhwc},
                                 false,
                                 {1, 1}, {0, 0}, {0, 0}, {0, 0}};
        Prepared p;
        p.ours = Layout({in, out, 1, 1}, dnnl_f32, {1, in, 1, 1});
        try {
            const auto how = convolution_descriptor(engine.get(), Direction::forward, s, own_scratch(true));
            p.primitive = primitive(how);
            p.implementation = implementation_of(how);
            p.filter = chosen_layout(how, dnnl_query_weights_md);
            const auto carry = reorder_descriptor(engine.get(), p.ours, p.filter, own_scratch());
            p.reorder = primitive(carry);
            p.scratch = std::max(scratch_bytes(how), scratch_bytes(carry));
        } catch (const DeviceError& error) {
            refuse("conv2d_backward_input", error, text(element_name<T>(), " image ", x, ", filter ", filter_shape(o)));
        }
        p.x = Layout({x.n, in, x.h, x.w}, type, dnnl_nhwc);
        p.y = Layout({x.n, out, x.h, x.w}, type, dnnl_nhwc);
        return p;
    });
}

}  // namespace holon::op::cpu
