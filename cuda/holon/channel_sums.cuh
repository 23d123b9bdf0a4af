// channel_sums.cuh: sums over all rows for each channel. No sum is made by atomics: each block leaves its own in a table of
// partial sums, which the last block joins in the table's order, so that every run gives the same bits.
#pragma once
#include <holon/columns.cuh>

namespace holon::gpu {

/// Blocks that a multiprocessor is to hold of `bias_rows`.
constexpr int bias_blocks = 4;

/// A channel's sums over one part of the rows.
template <int N> struct Part { float sum[N]; };
/// Reads them past the first cache, which may hold what was there before another block wrote.
template <int N>
__device__ __forceinline__ Part<N> part_of_sums(const float* partial, std::int64_t part, int channels, int channel) {
    Part<N> out;
    for (int n = 0; n < N; ++n) out.sum[n] = __ldcg(partial + (part * N + n) * channels + channel);
    return out;
}

/// Takes `Rows::sums` sums for each channel over the rows, and calls rows.finish(channel, sums, count) with them. Every
/// thread calls rows.open(pack, count) once, then rows.take for each of its rows, with rows.ahead of them loaded
/// beforehand. Part blockIdx.y of the rows is written to partial[part][sum][channel]; the last block of its channels to
/// come finishes them. `blocks_done` counts, for each blockIdx.x, the blocks that have written theirs, and is left at 0.
/// Each thread adds in float; the launcher keeps its rows few, and parts are joined in double.
template <class Rows>
__global__ void __launch_bounds__(column_threads, Rows::blocks)
    channel_sums(std::int64_t count, int channels, Rows rows, float* partial, unsigned* blocks_done) {
    constexpr int W = Rows::Channels::width, N = Rows::sums, block_sums = column_threads * W;
    static_assert(N * sum_lanes * W <= column_threads, "a thread for each sum of the block's channels");
    HOLON_SHARED(float, sums, N * block_sums);
    HOLON_SHARED(double, shares, N * column_threads);
    HOLON_SHARED(int, is_last, 1);
    const Column me = column();
    const int lanes = int(blockDim.x), lines = int(blockDim.y), width = lanes * W,
              thread = int(threadIdx.y) * lanes + int(threadIdx.x);
    const typename Rows::Channels mine(channels, me.pack);
    float taken[N][W] = {};
    rows.open(mine, count);
    if (mine.inside())
        each_row<Rows::ahead>(
            me, count, [&](std::int64_t row) { return rows.load(mine, row); },
            [&](std::int64_t row, const typename Rows::Loaded& loaded) { rows.take(mine, row, loaded, taken); });
    for (int n = 0; n < N; ++n)
        for (int i = 0; i < W; ++i) sums[n * block_sums + thread * W + i] = taken[n][i];
    __syncthreads();
    if (thread < N * width) {
        const int n = thread / width, at = thread % width, channel = int(blockIdx.x) * width + at;
        float sum = 0;
        for (int line = 0; line < lines; ++line) sum += sums[n * block_sums + line * width + at];
        if (channel < channels) __stcg(partial + (std::int64_t(blockIdx.y) * N + n) * channels + channel, sum);
    }
    // The last block is to see what this one wrote: first the fence, then the count.
    __threadfence();
    __syncthreads();
    if (thread == 0) is_last[0] = atomicAdd(blocks_done + blockIdx.x, 1u) == gridDim.y - 1;
    __syncthreads();
    if (!is_last[0]) return;

    const int at = thread % width, channel = int(blockIdx.x) * width + at;
    double total[N] = {};
    if (channel < channels)
        each_row<8 / N>(
            {0, thread / width, column_threads / width}, gridDim.y,
            [&](std::int64_t part) { return part_of_sums<N>(partial, part, channels, channel); },
            [&](std::int64_t, const Part<N>& part) {
                for (int n = 0; n < N; ++n) total[n] += double(part.sum[n]);
            });
    for (int n = 0; n < N; ++n) shares[n * column_threads + thread] = total[n];
    __syncthreads();
    if (thread < width && channel < channels) {
        for (int n = 0; n < N; ++n)
            for (int from = thread + width; from < column_threads; from += width) total[n] += shares[n * column_threads + from];
        rows.finish(channel, total, count);
    }
    if (thread == 0) blocks_done[blockIdx.x] = 0;
}

/// Finishes the gradient of a bias.
struct BiasGradient {
    float* to;
    bool add;
    __device__ void finish(int channel, const double (&sum)[1], std::int64_t) const {
        to[channel] = (add ? to[channel] : 0) + float(sum[0]);
    }
};

/// Rows for the gradient of a bias: the values themselves.
template <class T, bool Whole> struct SumRows : BiasGradient {
    static constexpr int sums = 1, blocks = most_sum_blocks, ahead = rows_ahead<Whole>(4);
    using Channels = ChannelPack<T, Whole>;
    using Loaded = typename Channels::Raw;
    static constexpr int W = Channels::width;
    const T* x;

    __device__ void open(const Channels&, std::int64_t) {}
    __device__ Loaded load(const Channels& mine, std::int64_t row) const { return mine.load(x, row); }
    __device__ void take(const Channels&, std::int64_t, const Loaded& loaded, float (&taken)[1][W]) const {
        for (int i = 0; i < W; ++i) taken[0][i] += widen(loaded.element[i]);
    }
};

/// Rows for the gradient of a bias before a ReLU whose result is y: dy where y > 0, which is written to `masked` (it may be
/// dy) on the way.
template <class T, bool Whole> struct ReluRows : BiasGradient {
    static constexpr int sums = 1, blocks = most_sum_blocks, ahead = rows_ahead<Whole>(2);
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
    __device__ void take(const Channels& mine, std::int64_t row, const Loaded& loaded,
                         float (&taken)[1][W]) const {
        float g[W];
        for (int i = 0; i < W; ++i) {
            g[i] = widen(loaded.y.element[i]) > 0 ? widen(loaded.dy.element[i]) : 0;
            taken[0][i] += g[i];
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
