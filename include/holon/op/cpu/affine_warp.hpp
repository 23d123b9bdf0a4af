// op/cpu/affine_warp.hpp: the augmentation: sample, shift, clip, normalise and flip, image by image.
#pragma once
#include <cmath>
#include <limits>
#include <span>

#include <holon/op/cpu/loop.hpp>
#include <holon/op/types.hpp>

namespace holon::op {

namespace cpu {

/// One pixel's four sources and their shares; nearest sampling has one source with share 1.
struct Taps {
    std::int64_t place[4];
    double share[4];
    int count;
};

/// Where output pixel (row, column) of a warp reads from an h x w plane. Nearest is floor(v + 0.5); positions outside take
/// the nearest edge pixel.
inline Taps taps(const Warp& warp, bool bilinear, std::int64_t row, std::int64_t column, std::int64_t h, std::int64_t w) {
    const double y = warp.matrix[0] * double(row) + warp.matrix[1] * double(column) + warp.offset[0];
    const double x = warp.matrix[2] * double(row) + warp.matrix[3] * double(column) + warp.offset[1];
    const auto clamp = [](double at, std::int64_t size) {  // far-off values must not overflow the integer
        return std::int64_t(std::min(std::max(at, 0.0), double(size - 1)));
    };
    if (!bilinear) return {{clamp(std::floor(y + 0.5), h) * w + clamp(std::floor(x + 0.5), w)}, {1.0}, 1};
    const double top = std::floor(y), left = std::floor(x), fy = y - top, fx = x - left;
    const std::int64_t y0 = clamp(top, h), y1 = clamp(top + 1, h), x0 = clamp(left, w), x1 = clamp(left + 1, w);
    return {{y0 * w + x0, y0 * w + x1, y1 * w + x0, y1 * w + x1},
            {(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx},
            4};
}

/// Samples one image into `plane` (h x w x channels, not flipped) and returns least and largest value.
template <Element T>
std::pair<Accumulate<T>, Accumulate<T>> sample(const T* from, const Shape& s, const Warp& warp, const WarpOptions& o,
                                               Accumulate<T>* plane) {
    using A = Accumulate<T>;
    A low = std::numeric_limits<A>::infinity(), high = -low;
    for (std::int64_t row = 0; row < s.h; ++row)
        for (std::int64_t column = 0; column < s.w; ++column) {
            const Taps at = taps(warp, o.bilinear, row, column, s.h, s.w);
            for (int k = 0; k < o.channels; ++k) {
                A v = 0;
                for (int t = 0; t < at.count; ++t)
                    v += A(at.share[t]) * widen(from[at.place[t] * s.c + (s.c == 1 ? 0 : k)]);
                low = std::min(low, v);
                high = std::max(high, v);
                plane[(row * s.w + column) * o.channels + k] = v;
            }
        }
    return {low, high};
}

}  // namespace cpu

/// (n, h, w, 1 or channels) -> (n, h, w, channels). For each image: sample by `matrix` and `offset`; add `shift` and clip to
/// the range that the sampled image had, if any shift is not 0; (value - mean) * scale; flip.
template <Element T>
Tensor<T, Cpu> affine_warp(Context<Cpu>& context, const Tensor<T, Cpu>& x, std::span<const Warp> warps,
                           const WarpOptions& o) {
    using A = Accumulate<T>;
    const Shape s = x.shape();
    expects_warp(s, warps, o);
    Tensor<T, Cpu> y({s.n, s.h, s.w, o.channels}, context);
    const T* from = x.data();
    T* to = y.data();
    cpu::split(s.n, std::min<int>(cpu::threads_for(s.size()), int(s.n)), [&](std::int64_t begin, std::int64_t end, int) {
        std::vector<A> plane(std::size_t(s.h * s.w * o.channels));
        for (std::int64_t n = begin; n < end; ++n) {
            const Warp& warp = warps[std::size_t(n)];
            const auto [low, high] = cpu::sample(from + n * s.h * s.w * s.c, s, warp, o, plane.data());
            const bool shifted = warp.shift != std::array<float, 3>{0, 0, 0};
            for (std::int64_t row = 0; row < s.h; ++row)
                for (std::int64_t column = 0; column < s.w; ++column) {
                    const std::int64_t r = warp.flip_vertical ? s.h - 1 - row : row;
                    const std::int64_t q = warp.flip_horizontal ? s.w - 1 - column : column;
                    for (int k = 0; k < o.channels; ++k) {
                        A v = plane[std::size_t((r * s.w + q) * o.channels + k)];
                        if (shifted) v = std::min(std::max(v + A(warp.shift[std::size_t(k)]), low), high);
                        to[((n * s.h + row) * s.w + column) * o.channels + k] =
                            cpu::narrow<T>((v - A(o.mean[std::size_t(k)])) * A(o.scale[std::size_t(k)]));
                    }
                }
        }
    });
    return y;
}

/// dx gathers scale * dy from the pixels that sampled it; values that the clip cut pass none. (The clip's own bounds are
/// taken as constants.)
template <Element T>
void affine_warp_backward(Context<Cpu>&, const Tensor<T, Cpu>& x, const Tensor<T, Cpu>& dy, std::span<const Warp> warps,
                          const WarpOptions& o, Tensor<T, Cpu>& dx, Gradient mode) {
    using A = Accumulate<T>;
    const Shape s = x.shape();
    expects_warp(s, warps, o);
    expects_warp_gradient(s, dy.shape(), dx.shape(), o);
    const T *from = x.data(), *upstream = dy.data();
    T* to = dx.data();
    cpu::split(s.n, std::min<int>(cpu::threads_for(s.size()), int(s.n)), [&](std::int64_t begin, std::int64_t end, int) {
        const std::int64_t size = s.h * s.w * s.c;
        std::vector<A> plane(std::size_t(s.h) * std::size_t(s.w) * std::size_t(o.channels));
        std::vector<A> sum(std::size_t(size), A(0));
        for (std::int64_t n = begin; n < end; ++n) {
            const Warp& warp = warps[std::size_t(n)];
            const auto [low, high] = cpu::sample(from + n * size, s, warp, o, plane.data());
            const bool shifted = warp.shift != std::array<float, 3>{0, 0, 0};
            std::fill(sum.begin(), sum.end(), A(0));
            for (std::int64_t row = 0; row < s.h; ++row)
                for (std::int64_t column = 0; column < s.w; ++column) {
                    const std::int64_t r = warp.flip_vertical ? s.h - 1 - row : row;
                    const std::int64_t q = warp.flip_horizontal ? s.w - 1 - column : column;
                    const cpu::Taps at = cpu::taps(warp, o.bilinear, r, q, s.h, s.w);
                    for (int k = 0; k < o.channels; ++k) {
                        const A v = plane[std::size_t((r * s.w + q) * o.channels + k)] + A(warp.shift[std::size_t(k)]);
                        if (shifted && (v < low || v > high)) continue;
                        const A g = cpu::widen(upstream[((n * s.h + row) * s.w + column) * o.channels + k]) *
                                    A(o.scale[std::size_t(k)]);
                        for (int t = 0; t < at.count; ++t)
                            sum[std::size_t(at.place[t] * s.c + (s.c == 1 ? 0 : k))] += A(at.share[t]) * g;
                    }
                }
            for (std::int64_t i = 0; i < size; ++i)
                cpu::put(to[n * size + i], sum[std::size_t(i)], mode == Gradient::add);
        }
    });
}

}  // namespace holon::op
