// average_pool2d.cuh: means over windows and over whole images; backward gathers.
#pragma once
#include <holon/windows.cuh>

namespace holon::gpu {

/// Positions of a window inside the image along one axis.
__device__ inline int inside(int at, int pad, int window, int step, std::int64_t size) {
    const int begin = at * step - pad;
    return minimum(begin + window, int(size)) - maximum(begin, 0);
}

/// The mean over each window's positions inside the image. Grid: packs / blockDim.x, lines of y as wanted.
template <class T, int W> __global__ void average_pool_forward(Pooling o, const T* x, T* y) {
    const int packs = o.channels / W, pack = int(blockIdx.x * blockDim.x + threadIdx.x);
    if (pack >= packs) return;
    const int h = int(o.h), w = int(o.w);
    each_position(o.n, o.rows, o.columns, [&](std::int64_t line, const Line& at, int column) {
        const int yy = at.row * o.step_h - o.top, xx = column * o.step_w - o.left;
        float sum[W] = {};
        for (int r = maximum(0, -yy); r < minimum(o.window_h, h - yy); ++r)
            for (int q = maximum(0, -xx); q < minimum(o.window_w, w - xx); ++q) {
                float v[W];
                read<W>(x, ((at.image * h + yy + r) * w + xx + q) * packs + pack, v);
                for (int i = 0; i < W; ++i) sum[i] += v[i];
            }
        const float positions = float(inside(at.row, o.top, o.window_h, o.step_h, o.h)) *
                                float(inside(column, o.left, o.window_w, o.step_w, o.w));
        for (int i = 0; i < W; ++i) sum[i] /= positions;
        write<W>(y, (line * o.columns + column) * packs + pack, sum);
    });
}

/// Grid: packs / blockDim.x, lines of dx as wanted.
template <class T, int W> __global__ void average_pool_backward(Pooling o, const T* dy, T* dx, bool add) {
    const int packs = o.channels / W, pack = int(blockIdx.x * blockDim.x + threadIdx.x);
    if (pack >= packs) return;
    each_position(o.n, o.h, o.w, [&](std::int64_t line, const Line& at, int column) {
        const Covering down(at.row, o.top, o.window_h, o.step_h, o.rows),
            across(column, o.left, o.window_w, o.step_w, o.columns);
        float sum[W] = {};
        for (int y = down.first; y <= down.last; ++y)
            for (int x = across.first; x <= across.last; ++x) {
                float g[W];
                read<W>(dy, ((at.image * o.rows + y) * o.columns + x) * packs + pack, g);
                const float positions = float(inside(y, o.top, o.window_h, o.step_h, o.h)) *
                                        float(inside(x, o.left, o.window_w, o.step_w, o.w));
                for (int i = 0; i < W; ++i) sum[i] += g[i] / positions;
            }
        put<W>(dx, (line * o.w + column) * packs + pack, sum, add);
    });
}

/// A block of `global_average_forward`: 32 packs of channels by 8 stretches of positions.
constexpr int average_lanes = 32, average_lines = 8;

/// (n, positions, c) -> (n, c). Grid: packs of channels / 32, images.
template <class T, int W>
__global__ void global_average_forward(std::int64_t positions, int channels, const T* x, T* y) {
    HOLON_SHARED(float, sums, average_lines* average_lanes* W);
    const int lane = int(threadIdx.x), line = int(threadIdx.y), across = channels / W,
              pack = int(blockIdx.x) * average_lanes + lane;
    float sum[W] = {};
    if (pack < across)
        for (std::int64_t at = line; at < positions; at += average_lines) {
            float v[W];
            read<W>(x, (std::int64_t(blockIdx.y) * positions + at) * across + pack, v);
            for (int i = 0; i < W; ++i) sum[i] += v[i];
        }
    for (int i = 0; i < W; ++i) sums[(line * average_lanes + lane) * W + i] = sum[i];
    __syncthreads();
    if (line == 0 && pack < across) {
        for (int r = 1; r < average_lines; ++r)
            for (int i = 0; i < W; ++i) sum[i] += sums[(r * average_lanes + lane) * W + i];
        for (int i = 0; i < W; ++i) sum[i] /= float(positions);
        write<W>(y, std::int64_t(blockIdx.y) * across + pack, sum);
    }
}

/// dx = dy / positions at every position. One pack a step.
template <class T, int W>
__global__ void global_average_backward(std::int64_t images, std::int64_t positions, int channels, const T* dy, T* dx,
                                        bool add) {
    const int across = channels / W;
    const std::int64_t count = images * positions * across;
    for (std::int64_t p = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; p < count;
         p += std::int64_t(gridDim.x) * blockDim.x) {
        float g[W];
        read<W>(dy, p / across / positions * across + p % across, g);
        for (int i = 0; i < W; ++i) g[i] /= float(positions);
        put<W>(dx, p, g, add);
    }
}

}  // namespace holon::gpu
