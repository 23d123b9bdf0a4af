// affine_warp.cuh: the augmentation: sample, shift, cut, normalise and flip; backward gathers, so that no two threads
// add to one place.
#pragma once
#include <holon/vocabulary.cuh>

namespace holon::gpu {

/// Up to four sources of a pixel, by their place in the h x w plane, and their shares.
struct Taps {
    std::int64_t place[4];
    double share[4];
    int count;
};

__device__ inline std::int64_t clamped(double at, std::int64_t size) {
    return std::int64_t(minimum(maximum(at, 0.0), double(size - 1)));
}

/// Where pixel (row, column) of the not yet flipped result reads from. Nearest is floor(v + 0.5); positions outside
/// take the nearest edge pixel.
__device__ inline Taps taps(const WarpImage& warp, const Warping& o, std::int64_t row, std::int64_t column) {
    const double y = warp.matrix[0] * double(row) + warp.matrix[1] * double(column) + warp.offset[0];
    const double x = warp.matrix[2] * double(row) + warp.matrix[3] * double(column) + warp.offset[1];
    Taps at;
    if (!o.bilinear) {
        at.place[0] = clamped(floor(y + 0.5), o.h) * o.w + clamped(floor(x + 0.5), o.w);
        at.share[0] = 1;
        at.count = 1;
        return at;
    }
    const double top = floor(y), left = floor(x), fy = y - top, fx = x - left;
    const std::int64_t y0 = clamped(top, o.h), y1 = clamped(top + 1, o.h), x0 = clamped(left, o.w),
                       x1 = clamped(left + 1, o.w);
    at.place[0] = y0 * o.w + x0, at.share[0] = (1 - fy) * (1 - fx);
    at.place[1] = y0 * o.w + x1, at.share[1] = (1 - fy) * fx;
    at.place[2] = y1 * o.w + x0, at.share[2] = fy * (1 - fx);
    at.place[3] = y1 * o.w + x1, at.share[3] = fy * fx;
    at.count = 4;
    return at;
}

/// What channel k of a pixel with these sources is before anything else is done to it.
template <class T> __device__ float sampled(const Taps& at, const Warping& o, const T* image, int k) {
    float v = 0;
    for (int t = 0; t < at.count; ++t)
        v += float(at.share[t]) * widen(image[at.place[t] * o.from + (o.from == 1 ? 0 : k)]);
    return v;
}

/// A block of `warp_range`.
constexpr int range_threads = 256;

/// range[2 n], range[2 n + 1]: least and largest value of sampled image n. One block an image.
template <class T> __global__ void warp_range(Warping o, const WarpImage* images, const T* x, float* range) {
    HOLON_SHARED(float, low, range_threads);
    HOLON_SHARED(float, high, range_threads);
    const WarpImage warp = images[blockIdx.x];
    const T* image = x + std::int64_t(blockIdx.x) * o.h * o.w * o.from;
    const int me = int(threadIdx.x);
    float least = 0, largest = 0;
    bool any = false;
    for (std::int64_t p = me; p < o.h * o.w; p += blockDim.x) {
        const Taps at = taps(warp, o, p / o.w, p % o.w);
        for (int k = 0; k < o.channels; ++k) {
            const float v = sampled(at, o, image, k);
            least = !any || v < least ? v : least;
            largest = !any || v > largest ? v : largest;
            any = true;
        }
    }
    // A thread without a pixel repeats the first, which there always is.
    const float first = any ? 0 : sampled(taps(warp, o, 0, 0), o, image, 0);
    low[me] = any ? least : first;
    high[me] = any ? largest : first;
    __syncthreads();
    for (int half = range_threads / 2; half > 0; half /= 2) {
        if (me < half) {
            low[me] = minimum<float>(low[me], low[me + half]);
            high[me] = maximum<float>(high[me], high[me + half]);
        }
        __syncthreads();
    }
    if (me == 0) {
        range[2 * blockIdx.x] = low[0];
        range[2 * blockIdx.x + 1] = high[0];
    }
}

/// One pixel of the result a step.
template <class T>
__global__ void warp_forward(Warping o, const WarpImage* images, const T* x, const float* range, T* y) {
    const std::int64_t plane = o.h * o.w, count = o.n * plane;
    for (std::int64_t p = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; p < count;
         p += std::int64_t(gridDim.x) * blockDim.x) {
        const std::int64_t n = p / plane, row = p % plane / o.w, column = p % o.w;
        const WarpImage& warp = images[n];
        const Taps at =
            taps(warp, o, warp.flip_vertical ? o.h - 1 - row : row, warp.flip_horizontal ? o.w - 1 - column : column);
        for (int k = 0; k < o.channels; ++k) {
            float v = sampled(at, o, x + n * plane * o.from, k);
            if (warp.shifted) {
                v += warp.shift[k];
                v = v < range[2 * n] ? range[2 * n] : v > range[2 * n + 1] ? range[2 * n + 1] : v;
            }
            y[p * o.channels + k] = narrow<T>((v - o.mean[k]) * o.scale[k]);
        }
    }
}

/// Rows and columns of the result, both ends included, that may have read a pixel.
struct Box {
    std::int64_t top, bottom, left, right;
};

/// Inside the image: the inverse map of the square around the pixel. At an edge, where all positions beyond it land
/// too, and where the map has no inverse: everything.
__device__ inline Box readers(const WarpImage& warp, const Warping& o, std::int64_t row, std::int64_t column) {
    const Box everything{0, o.h - 1, 0, o.w - 1};
    const double a = warp.matrix[0], b = warp.matrix[1], c = warp.matrix[2], d = warp.matrix[3];
    const double determinant = a * d - b * c;
    const bool edge = row == 0 || column == 0 || row == o.h - 1 || column == o.w - 1;
    if (edge || determinant * determinant < 1e-12) return everything;
    const double y = double(row) - warp.offset[0], x = double(column) - warp.offset[1];
    const double r = (d * y - b * x) / determinant, q = (a * x - c * y) / determinant;
    const double reach_r = (fabs(d) + fabs(b)) / fabs(determinant), reach_q = (fabs(a) + fabs(c)) / fabs(determinant);
    return {clamped(floor(r - reach_r), o.h), clamped(ceil(r + reach_r), o.h), clamped(floor(q - reach_q), o.w),
            clamped(ceil(q + reach_q), o.w)};
}

/// One pixel of the image a step: it gathers from the results that read it, in their order. Values that were cut pass
/// nothing.
template <class T>
__global__ void warp_backward(Warping o, const WarpImage* images, const T* x, const T* dy, const float* range, T* dx,
                              bool add) {
    const std::int64_t plane = o.h * o.w, count = o.n * plane;
    for (std::int64_t p = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; p < count;
         p += std::int64_t(gridDim.x) * blockDim.x) {
        const std::int64_t n = p / plane, me = p % plane;
        const WarpImage& warp = images[n];
        const T* image = x + n * plane * o.from;
        const Box box = readers(warp, o, me / o.w, me % o.w);
        float sum[3] = {};
        for (std::int64_t r = box.top; r <= box.bottom; ++r)
            for (std::int64_t q = box.left; q <= box.right; ++q) {
                const Taps at = taps(warp, o, r, q);
                double share = 0;
                for (int t = 0; t < at.count; ++t) share += at.place[t] == me ? at.share[t] : 0;
                if (share == 0) continue;
                const std::int64_t row = warp.flip_vertical ? o.h - 1 - r : r,
                                   column = warp.flip_horizontal ? o.w - 1 - q : q;
                for (int k = 0; k < o.channels; ++k) {
                    if (warp.shifted) {
                        const float v = sampled(at, o, image, k) + warp.shift[k];
                        if (v < range[2 * n] || v > range[2 * n + 1]) continue;
                    }
                    const float g = widen(dy[((n * o.h + row) * o.w + column) * o.channels + k]) * o.scale[k];
                    sum[o.from == 1 ? 0 : k] += float(share) * g;
                }
            }
        for (int k = 0; k < o.from; ++k) {
            T& to = dx[p * o.from + k];
            to = narrow<T>(add ? widen(to) + sum[k] : sum[k]);
        }
    }
}

}  // namespace holon::gpu
