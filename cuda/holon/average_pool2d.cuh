// average_pool2d.cuh: means over windows and over whole images; backward gathers.
#pragma once
#include <holon/max_pool2d.cuh>

namespace holon::gpu {

/// Positions of a window inside the image along one axis.
__device__ inline std::int64_t inside(std::int64_t at, int pad, int window, int step, std::int64_t size) {
    const std::int64_t begin = at * step - pad;
    return minimum(begin + window, size) - maximum<std::int64_t>(begin, 0);
}

/// The mean over each window's positions inside the image. One pack of channels of one result a step.
template <class T, int W> __global__ void average_pool_forward(Pooling o, const T* x, T* y) {
    const int across = o.channels / W;
    const std::int64_t count = o.n * o.rows * o.columns * across;
    for (std::int64_t p = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; p < count;
         p += std::int64_t(gridDim.x) * blockDim.x) {
        const std::int64_t at = p / across, column = at % o.columns, row = at / o.columns % o.rows,
                           image = at / o.columns / o.rows;
        float sum[W] = {};
        for (int r = 0; r < o.window_h; ++r)
            for (int q = 0; q < o.window_w; ++q) {
                const std::int64_t yy = row * o.step_h - o.top + r, xx = column * o.step_w - o.left + q;
                if (yy < 0 || yy >= o.h || xx < 0 || xx >= o.w) continue;
                float v[W];
                read<W>(x, ((image * o.h + yy) * o.w + xx) * across + p % across, v);
                for (int i = 0; i < W; ++i) sum[i] += v[i];
            }
        const float positions =
            float(inside(row, o.top, o.window_h, o.step_h, o.h) * inside(column, o.left, o.window_w, o.step_w, o.w));
        for (int i = 0; i < W; ++i) sum[i] /= positions;
        write<W>(y, p, sum);
    }
}

/// One pack of channels of one image position a step.
template <class T, int W> __global__ void average_pool_backward(Pooling o, const T* dy, T* dx, bool add) {
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
                float g[W];
                read<W>(dy, ((image * o.rows + y) * o.columns + x) * across + p % across, g);
                const float positions =
                    float(inside(y, o.top, o.window_h, o.step_h, o.h) * inside(x, o.left, o.window_w, o.step_w, o.w));
                for (int i = 0; i < W; ++i) sum[i] += g[i] / positions;
            }
        put<W>(dx, p, sum, add);
    }
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
