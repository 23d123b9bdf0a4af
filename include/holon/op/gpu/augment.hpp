// op/gpu/augment.hpp: what training does to its inputs at random, on a card: dropout's mask and the affine warp.
#pragma once
#include <holon/op/gpu/queue.hpp>

namespace holon::op {

namespace gpu_detail {
template <Element T>
void masked_copy(Context<Gpu>& context, const Tensor<T, Gpu>& from, Tensor<T, Gpu>& to, const DropoutMask& mask,
                 bool add) {
    expects_rate(mask);
    const gpu::Mask words{mask.seed, mask.stream, mask.first, std::uint64_t(mask.rate * 0x1p32),
                          float(1.0 / (1.0 - mask.rate))};
    gpu::dropout(queue(context), from.size(), words, from.data(), to.data(), add);
}

/// The warps on the card, and room for what cutting needs.
struct Warped {
    gpu::Warping warping;
    bool shifted = false;
    Bytes images;
    Tensor<float, Gpu> range;

    Warped(Context<Gpu>& context, const Shape& s, std::span<const Warp> warps, const WarpOptions& o)
        : warping{s.n, s.h, s.w, int(s.c), o.channels, o.bilinear, {}, {}}, range(scratch<float>(context, 2 * s.n)) {
        std::copy(o.mean.begin(), o.mean.end(), warping.mean);
        std::copy(o.scale.begin(), o.scale.end(), warping.scale);
        std::vector<gpu::WarpImage> host;
        for (const Warp& w : warps) {
            gpu::WarpImage& image = host.emplace_back();
            std::copy(w.matrix.begin(), w.matrix.end(), image.matrix);
            std::copy(w.offset.begin(), w.offset.end(), image.offset);
            std::copy(w.shift.begin(), w.shift.end(), image.shift);
            image.flip_horizontal = w.flip_horizontal, image.flip_vertical = w.flip_vertical;
            image.shifted = w.shift != std::array<float, 3>{0, 0, 0};
            shifted = shifted || image.shifted;
        }
        images = on_card(context, std::span<const gpu::WarpImage>(host));
    }
};
}  // namespace gpu_detail

template <Element T> Tensor<T, Gpu> dropout(Context<Gpu>& context, const Tensor<T, Gpu>& x, const DropoutMask& mask) {
    Tensor<T, Gpu> y(x.shape(), context);
    gpu_detail::masked_copy(context, x, y, mask, false);
    return y;
}
template <Element T>
void dropout_backward(Context<Gpu>& context, const Tensor<T, Gpu>& dy, const DropoutMask& mask, Tensor<T, Gpu>& dx,
                      Gradient mode) {
    expects_same("dropout_backward", dy, dx);
    gpu_detail::masked_copy(context, dy, dx, mask, gpu_detail::adds(mode));
}

template <Element T>
Tensor<T, Gpu> affine_warp(Context<Gpu>& context, const Tensor<T, Gpu>& x, std::span<const Warp> warps,
                           const WarpOptions& o) {
    const Shape s = x.shape();
    expects_warp(s, warps, o);
    gpu_detail::Warped by(context, s, warps, o);
    Tensor<T, Gpu> y({s.n, s.h, s.w, o.channels}, context);
    gpu::affine_warp(gpu_detail::queue(context), by.warping, gpu_detail::as<gpu::WarpImage>(std::as_const(by.images)),
                     by.shifted, x.data(), by.range.data(), y.data());
    return y;
}
template <Element T>
void affine_warp_backward(Context<Gpu>& context, const Tensor<T, Gpu>& x, const Tensor<T, Gpu>& dy,
                          std::span<const Warp> warps, const WarpOptions& o, Tensor<T, Gpu>& dx, Gradient mode) {
    const Shape s = x.shape();
    expects_warp(s, warps, o);
    expects_warp_gradient(s, dy.shape(), dx.shape(), o);
    gpu_detail::Warped by(context, s, warps, o);
    gpu::affine_warp_backward(gpu_detail::queue(context), by.warping,
                              gpu_detail::as<gpu::WarpImage>(std::as_const(by.images)), by.shifted, x.data(), dy.data(),
                              by.range.data(), dx.data(), gpu_detail::adds(mode));
}

}  // namespace holon::op
