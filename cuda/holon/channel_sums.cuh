// channel_sums.cuh: two sums over all rows for each channel. No atomics: sums go through a table of partial sums, so
// that every run gives the same bits.
#pragma once
#include <holon/columns.cuh>

namespace holon::gpu {

/// Blocks that a multiprocessor is to hold of `bias_rows`.
constexpr int bias_blocks = 4;

/// Writes into partial[part][0 and 1][channel] the sums that `rows` takes over the rows of part blockIdx.y. Every thread
/// calls rows.open(pack, count) once, then rows.take for each of its rows, with rows.ahead of them loaded beforehand.
/// Each thread adds in float; the launcher keeps its rows few, and parts are joined in double.
template <class Rows>
__global__ void __launch_bounds__(column_threads, Rows::blocks)
    channel_sums(std::int64_t count, int channels, Rows rows, float* partial) {
    constexpr int W = Rows::Channels::width;
    HOLON_SHARED(float, sums, 2 * column_threads * W);
    const Column me = column();
    const int lanes = int(blockDim.x), lane = int(threadIdx.x), line = int(threadIdx.y), lines = int(blockDim.y);
    const typename Rows::Channels mine(channels, me.pack);
    float a[W] = {}, b[W] = {};
    rows.open(mine, count);
    if (mine.inside())
        each_row<Rows::ahead>(
            me, count, [&](std::int64_t row) { return rows.load(mine, row); },
            [&](std::int64_t row, const typename Rows::Loaded& loaded) { rows.take(mine, row, loaded, a, b); });
    for (int i = 0; i < W; ++i) {
        sums[(line * lanes + lane) * W + i] = a[i];
        sums[(column_threads + line * lanes + lane) * W + i] = b[i];
    }
    __syncthreads();
    if (line < 2 && mine.inside())  // line 0 joins the first sums, line 1 the second
        for (int i = 0; i < W; ++i) {
            float sum = 0;
            for (int r = 0; r < lines; ++r) sum += sums[(line * column_threads + r * lanes + lane) * W + i];
            if (mine.holds(i)) partial[(std::int64_t(blockIdx.y) * 2 + line) * channels + mine.first + i] = sum;
        }
}

/// A block of the kernels that finish sums: channels by shares of the parts.
constexpr int finish_lanes = 32, finish_lines = 32;

/// Both sums of the thread's channel over all parts, for line 0 of a block of `finish_lanes` x `finish_lines`. Every
/// thread of the block calls it.
struct Totals {
    double first, second;
};
__device__ inline Totals totals(int parts, int channels, const float* partial) {
    HOLON_SHARED(double, sums, 2 * finish_lanes * finish_lines);
    const int lane = int(threadIdx.x), line = int(threadIdx.y), k = int(blockIdx.x) * finish_lanes + lane;
    double first = 0, second = 0;
    if (k < channels)
        for (int part = line; part < parts; part += finish_lines) {
            first += double(partial[(std::int64_t(part) * 2) * channels + k]);
            second += double(partial[(std::int64_t(part) * 2 + 1) * channels + k]);
        }
    sums[line * finish_lanes + lane] = first;
    sums[(finish_lines + line) * finish_lanes + lane] = second;
    __syncthreads();
    if (line == 0)
        for (int l = 1; l < finish_lines; ++l) {
            first += sums[l * finish_lanes + lane];
            second += sums[(finish_lines + l) * finish_lanes + lane];
        }
    return {first, second};
}

/// The thread's channel if it is to finish one, else -1.
__device__ inline int finished_channel(int channels) {
    const int k = int(blockIdx.x) * finish_lanes + int(threadIdx.x);
    return threadIdx.y == 0 && k < channels ? k : -1;
}

/// Rows for the gradient of a bias: the values themselves.
template <class T, bool Whole> struct SumRows {
    static constexpr int blocks = most_sum_blocks, ahead = rows_ahead<Whole>(4);
    using Channels = ChannelPack<T, Whole>;
    using Loaded = typename Channels::Raw;
    static constexpr int W = Channels::width;
    const T* x;

    __device__ void open(const Channels&, std::int64_t) {}
    __device__ Loaded load(const Channels& mine, std::int64_t row) const { return mine.load(x, row); }
    __device__ void take(const Channels&, std::int64_t, const Loaded& loaded, float (&a)[W], float (&)[W]) const {
        for (int i = 0; i < W; ++i) a[i] += widen(loaded.element[i]);
    }
};

__global__ void __launch_bounds__(finish_lanes* finish_lines)
    finish_sum(int parts, int channels, const float* partial, float* out, bool add) {
    const Totals sum = totals(parts, channels, partial);
    const int k = finished_channel(channels);
    if (k >= 0) out[k] = (add ? out[k] : 0) + float(sum.first);
}

/// Rows for the gradient of a bias before a ReLU whose result is y: dy where y > 0, which is written to `masked` (it may be
/// dy) on the way.
template <class T, bool Whole> struct ReluRows {
    static constexpr int blocks = most_sum_blocks, ahead = rows_ahead<Whole>(2);
    using Channels = ChannelPack<T, Whole>;
    struct Loaded {
        typename Channels::Raw y, dy;
    };
    static constexpr int W = Channels::width;
    const T *y, *dy;
    T* masked;

    __device__ void open(const Channels&, std::int64_t) {}
    __device__ Loaded load(const Channels& mine, std::int64_t row) const {
        return {mine.load(y, row), mine.load(dy, row)};
    }
    __device__ void take(const Channels& mine, std::int64_t row, const Loaded& loaded, float (&a)[W],
                         float (&)[W]) const {
        float g[W];
        for (int i = 0; i < W; ++i) {
            g[i] = widen(loaded.y.element[i]) > 0 ? widen(loaded.dy.element[i]) : 0;
            a[i] += g[i];
        }
        mine.store(masked, row, g);
    }
};

/// y_k += bias_k (not null) in every row, then max(., 0) if `Relu`.
template <class T, bool Whole, bool Relu>
__global__ void __launch_bounds__(column_threads, bias_blocks)
    bias_rows(std::int64_t rows, int channels, const float* bias, T* y) {
    const Column me = column();
    const ChannelPack<T, Whole> mine(channels, me.pack);
    constexpr int W = pack_width<T>;
    if (!mine.inside()) return;
    float by[W];
    mine.coefficients(bias, by);
    each_row<rows_ahead<Whole>(4)>(
        me, rows, [&](std::int64_t row) { return mine.load(y, row); },
        [&](std::int64_t row, const Pack<T, W>& loaded) {
            float v[W];
            for (int i = 0; i < W; ++i) {
                v[i] = widen(loaded.element[i]) + by[i];
                if constexpr (Relu) v[i] = v[i] < 0 ? 0 : v[i];
            }
            mine.store(y, row, v);
        });
}

}  // namespace holon::gpu
