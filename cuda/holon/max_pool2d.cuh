// max_pool2d.cuh: the largest element under each window and a byte that says where it was; backward gathers by that
// byte, so that every element is written once, in the same order, in every run.
#pragma once
#include <holon/vocabulary.cuh>

namespace holon::gpu {

/// One pack of channels of one result a step. `place` is r * window_w + q of the first tap that held the maximum; NaN
/// wins.
template <class T, int W> __global__ void max_pool_forward(Pooling o, const T* x, T* y, std::uint8_t* place) {
    const int across = o.channels / W;
    const std::int64_t count = o.n * o.rows * o.columns * across;
    for (std::int64_t p = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; p < count;
         p += std::int64_t(gridDim.x) * blockDim.x) {
        const std::int64_t at = p / across, column = at % o.columns, row = at / o.columns % o.rows,
                           image = at / o.columns / o.rows;
        float best[W] = {};
        std::uint8_t tap[W] = {};
        bool any = false;
        for (int r = 0; r < o.window_h; ++r) {
            const std::int64_t yy = row * o.step_h - o.top + r;
            if (yy < 0 || yy >= o.h) continue;
            for (int q = 0; q < o.window_w; ++q) {
                const std::int64_t xx = column * o.step_w - o.left + q;
                if (xx < 0 || xx >= o.w) continue;
                float v[W];
                read<W>(x, ((image * o.h + yy) * o.w + xx) * across + p % across, v);
                for (int i = 0; i < W; ++i)
                    if (!any || v[i] > best[i] || (v[i] != v[i] && best[i] == best[i])) {
                        best[i] = v[i];
                        tap[i] = std::uint8_t(r * o.window_w + q);
                    }
                any = true;
            }
        }
        write<W>(y, p, best);
        Pack<std::uint8_t, W> where;
        for (int i = 0; i < W; ++i) where.element[i] = tap[i];
        reinterpret_cast<Pack<std::uint8_t, W>*>(place)[p] = where;
    }
}

/// Where windows that cover position `at` begin and end along one axis (last inclusive).
__device__ inline void covering(std::int64_t at, int pad, int window, int step, std::int64_t count, std::int64_t& first,
                                std::int64_t& last) {
    first = maximum<std::int64_t>(at + pad - window + step, 0) / step;  // (at + pad - window + 1) / step, rounded up
    last = minimum((at + pad) / step, count - 1);
}

/// One pack of channels of one image position a step.
template <class T, int W>
__global__ void max_pool_backward(Pooling o, const T* dy, const std::uint8_t* place, T* dx, bool add) {
    const int across = o.channels / W;
    const std::int64_t count = o.n * o.h * o.w * across;
    for (std::int64_t p = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; p < count;
         p += std::int64_t(gridDim.x) * blockDim.x) {
        const std::int64_t at = p / across, column = at % o.w, row = at / o.w % o.h, image = at / o.w / o.h;
        std::int64_t top, bottom, left, right;
        covering(row, o.top, o.window_h, o.step_h, o.rows, top, bottom);
        covering(column, o.left, o.window_w, o.step_w, o.columns, left, right);
        float sum[W] = {};
        for (std::int64_t y = top; y <= bottom; ++y)
            for (std::int64_t x = left; x <= right; ++x) {
                const std::int64_t from = ((image * o.rows + y) * o.columns + x) * across + p % across;
                const int me = int((row + o.top - y * o.step_h) * o.window_w + (column + o.left - x * o.step_w));
                float g[W];
                read<W>(dy, from, g);
                const Pack<std::uint8_t, W> where = reinterpret_cast<const Pack<std::uint8_t, W>*>(place)[from];
                for (int i = 0; i < W; ++i) sum[i] += where.element[i] == me ? g[i] : 0;
            }
        put<W>(dx, p, sum, add);
    }
}

}  // namespace holon::gpu
