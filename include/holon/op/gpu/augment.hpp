// op/gpu/augment.hpp: what training does to its inputs at random, on a card: dropout's mask and the affine warp.
#pragma once
#include <holon/op/gpu/queue.hpp>
#include <holon/op/step.hpp>

namespace holon::op {

/// A mask on the card: a recorded step's is drawn anew before each launch.
class CardMask {
 public:
    template <class Draw>
    CardMask(Context<Gpu>& context, const Draw& draw)
        : words_(provided<std::uint8_t, Gpu>(
              vector_shape(sizeof(gpu::Mask)),
              [draw](std::span<std::uint8_t> to) {
                  const DropoutMask mask = draw();
                  expects_rate(mask);
                  const gpu::Mask words{mask.seed, mask.stream, mask.first, std::uint64_t(mask.rate * 0x1p32),
                                        float(1.0 / (1.0 - mask.rate))};
                  std::memcpy(to.data(), &words, sizeof words);
              },
              context)) {}
    const gpu::Mask* data() const { return gpu_detail::as<gpu::Mask>(words_); }

 private:
    gpu_detail::Bytes words_;
};
template <class Draw> CardMask dropout_mask(Context<Gpu>& context, const Draw& draw) { return {context, draw}; }

template <Element T> Tensor<T, Gpu> dropout(Context<Gpu>& context, const Tensor<T, Gpu>& x, const CardMask& mask) {
    Tensor<T, Gpu> y(x.shape(), context);
    gpu::dropout(gpu_detail::queue(context), x.size(), mask.data(), x.data(), y.data(), false);
    return y;
}
template <Element T>
void dropout_backward(Context<Gpu>& context, const Tensor<T, Gpu>& dy, const CardMask& mask, Tensor<T, Gpu>& dx,
                      Gradient mode) {
    expects_same("dropout_backward", dy, dx);
    gpu::dropout(gpu_detail::queue(context), dy.size(), mask.data(), dy.data(), dx.data(), gpu_detail::adds(mode));
}
template <Element T> Tensor<T, Gpu> dropout(Context<Gpu>& context, const Tensor<T, Gpu>& x, const DropoutMask& mask) {
    return dropout(context, x, CardMask(context, [mask] { return mask; }));
}
template <Element T>
void dropout_backward(Context<Gpu>& context, const Tensor<T, Gpu>& dy, const DropoutMask& mask, Tensor<T, Gpu>& dx,
                      Gradient mode) {
    dropout_backward(context, dy, CardMask(context, [mask] { return mask; }), dx, mode);
}

template <> class Warps<Gpu> {
 public:
    explicit Warps(Context<Gpu>& context = default_context<Gpu>()) : context_(&context) {}
    void set(std::span<const Warp> warps) {
        std::vector<gpu::WarpImage> host;
        for (const Warp& w : warps) {
            gpu::WarpImage& image = host.emplace_back();
            std::copy(w.matrix.begin(), w.matrix.end(), image.matrix);
            std::copy(w.offset.begin(), w.offset.end(), image.offset);
            std::copy(w.shift.begin(), w.shift.end(), image.shift);
            image.flip_horizontal = w.flip_horizontal, image.flip_vertical = w.flip_vertical;
            image.shifted = w.shift != std::array<float, 3>{0, 0, 0};
            shifted_ = shifted_ || image.shifted;
        }
        count_ = std::int64_t(warps.size());
        gpu_detail::send(*context_, std::span<const gpu::WarpImage>(host), images_);
    }
    std::int64_t size() const { return count_; }
    const gpu::WarpImage* images() const { return gpu_detail::as<gpu::WarpImage>(images_); }
    /// Whether any image, of this batch or one before, has its grey levels moved: then the kernels look for where to
    /// cut.
    bool shifted() const { return shifted_; }

 private:
    Context<Gpu>* context_;
    std::int64_t count_ = 0;
    gpu_detail::Bytes images_;
    bool shifted_ = false;
};

namespace gpu_detail {
inline gpu::Warping warping(const Shape& s, const Warps<Gpu>& warps, const WarpOptions& o) {
    expects_warp(s, warps.size(), o);
    gpu::Warping out{s.n, s.h, s.w, int(s.c), o.channels, o.bilinear, {}, {}};
    std::copy(o.mean.begin(), o.mean.end(), out.mean);
    std::copy(o.scale.begin(), o.scale.end(), out.scale);
    return out;
}
inline Warps<Gpu> warps_of(Context<Gpu>& context, std::span<const Warp> list) {
    Warps<Gpu> warps(context);
    warps.set(list);
    return warps;
}
}  // namespace gpu_detail

template <Element T>
Tensor<T, Gpu> affine_warp(Context<Gpu>& context, const Tensor<T, Gpu>& x, const Warps<Gpu>& warps,
                           const WarpOptions& o) {
    const Shape s = x.shape();
    const gpu::Warping warping = gpu_detail::warping(s, warps, o);
    auto range = gpu_detail::scratch<float>(context, 2 * s.n);
    Tensor<T, Gpu> y({s.n, s.h, s.w, o.channels}, context);
    gpu::affine_warp(gpu_detail::queue(context), warping, warps.images(), warps.shifted(), x.data(), range.data(),
                     y.data());
    return y;
}
template <Element T>
void affine_warp_backward(Context<Gpu>& context, const Tensor<T, Gpu>& x, const Tensor<T, Gpu>& dy,
                          const Warps<Gpu>& warps, const WarpOptions& o, Tensor<T, Gpu>& dx, Gradient mode) {
    const Shape s = x.shape();
    const gpu::Warping warping = gpu_detail::warping(s, warps, o);
    expects_warp_gradient(s, dy.shape(), dx.shape(), o);
    auto range = gpu_detail::scratch<float>(context, 2 * s.n);
    gpu::affine_warp_backward(gpu_detail::queue(context), warping, warps.images(), warps.shifted(), x.data(), dy.data(),
                              range.data(), dx.data(), gpu_detail::adds(mode));
}
template <Element T>
Tensor<T, Gpu> affine_warp(Context<Gpu>& context, const Tensor<T, Gpu>& x, std::span<const Warp> warps,
                           const WarpOptions& o) {
    expects_warp(x.shape(), std::int64_t(warps.size()), o);
    return affine_warp(context, x, gpu_detail::warps_of(context, warps), o);
}
template <Element T>
void affine_warp_backward(Context<Gpu>& context, const Tensor<T, Gpu>& x, const Tensor<T, Gpu>& dy,
                          std::span<const Warp> warps, const WarpOptions& o, Tensor<T, Gpu>& dx, Gradient mode) {
    expects_warp(x.shape(), std::int64_t(warps.size()), o);
    affine_warp_backward(context, x, dy, gpu_detail::warps_of(context, warps), o, dx, mode);
}

}  // namespace holon::op
