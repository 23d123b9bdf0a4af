// batch_norm.cuh: batch norm with the residual and the ReLU that follow it, forward and backward, over rows of n h w c
// memory. No atomics: sums go through a table of partial sums, so that every run gives the same bits.
//
// All passes cut the rows x channels matrix the same way: a thread keeps to one pack of channels, whose coefficients it
// holds in registers, and walks down the rows. Nothing is divided on the way, and neighbouring threads read
// neighbouring memory.
#pragma once
#include <holon/vocabulary.cuh>

namespace holon::gpu {

/// Threads of a block: blockDim.x packs side by side, blockDim.y rows. Grid: packs / blockDim.x, rows as wanted.
constexpr int column_threads = 256;

/// The pack and the rows of a thread: from `row` on, every `stride`-th.
struct Column {
    int pack;
    std::int64_t row, stride;
};
__device__ inline Column column() {
    return {int(blockIdx.x * blockDim.x + threadIdx.x), std::int64_t(blockIdx.y) * blockDim.y + threadIdx.y,
            std::int64_t(gridDim.y) * blockDim.y};
}

/// Writes into partial[part][0 and 1][channel] the sums that `rows` takes over the rows of part blockIdx.y. `rows` is
/// told its channels once, then given every row's pack. Each thread adds in float; the launcher keeps its rows few, and
/// parts are joined in double.
template <int W, class Rows> __global__ void channel_sums(std::int64_t count, int channels, Rows rows, float* partial) {
    HOLON_SHARED(float, sums, 2 * column_threads * W);
    const Column me = column();
    const int lanes = int(blockDim.x), lane = int(threadIdx.x), line = int(threadIdx.y), lines = int(blockDim.y);
    const bool inside = me.pack * W < channels;
    float a[W] = {}, b[W] = {};
    if (inside) {
        rows.open(me.pack * W);
        for (std::int64_t row = me.row; row < count; row += me.stride) rows.take(row * (channels / W) + me.pack, a, b);
    }
    for (int i = 0; i < W; ++i) {
        sums[(line * lanes + lane) * W + i] = a[i];
        sums[(column_threads + line * lanes + lane) * W + i] = b[i];
    }
    __syncthreads();
    if (line < 2 && inside)  // line 0 joins the first sums, line 1 the second
        for (int i = 0; i < W; ++i) {
            float sum = 0;
            for (int r = 0; r < lines; ++r) sum += sums[(line * column_threads + r * lanes + lane) * W + i];
            partial[(std::int64_t(blockIdx.y) * 2 + line) * channels + me.pack * W + i] = sum;
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
template <class T, int W> struct SumRows {
    const T* x;
    __device__ void open(int) {}
    __device__ void take(std::int64_t pack, float (&a)[W], float (&)[W]) const {
        float v[W];
        read<W>(x, pack, v);
        for (int i = 0; i < W; ++i) a[i] += v[i];
    }
};

__global__ void __launch_bounds__(finish_lanes* finish_lines)
    finish_sum(int parts, int channels, const float* partial, float* out, bool add) {
    const Totals sum = totals(parts, channels, partial);
    const int k = finished_channel(channels);
    if (k >= 0) out[k] = (add ? out[k] : 0) + float(sum.first);
}

/// A mean over up to 32 rows spread over the image, one thread a channel: the level that values are taken relative to,
/// so that a large common one costs no digits. It is a number of T: the others differ from it by what float holds, and
/// sums of 16-bit numbers do not round the same way at every step.
template <class T> __global__ void sample_level(std::int64_t count, int channels, const T* x, float* level) {
    const int channel = int(blockIdx.x * blockDim.x + threadIdx.x);
    if (channel >= channels) return;
    const int samples = int(minimum<std::int64_t>(count, 32));
    float sum = 0;
    for (int i = 0; i < samples; ++i) sum += widen(x[count * i / samples * channels + channel]) / float(samples);
    level[channel] = widen(narrow<T>(sum));
}

/// Rows for the moments: value - level and its square.
template <class T, int W> struct MomentRows {
    const T* x;
    const float* level;
    float here[W];
    __device__ void open(int first) {
        for (int i = 0; i < W; ++i) here[i] = level[first + i];
    }
    __device__ void take(std::int64_t pack, float (&a)[W], float (&b)[W]) const {
        float v[W];
        read<W>(x, pack, v);
        for (int i = 0; i < W; ++i) {
            const float away = v[i] - here[i];
            a[i] += away;
            b[i] += away * away;
        }
    }
};

/// Mean and biased variance from the parts' sums.
__global__ void __launch_bounds__(finish_lanes* finish_lines)
    finish_moments(int parts, std::int64_t count, int channels, const float* partial, const float* level, float* mean,
                   float* variance) {
    const Totals sum = totals(parts, channels, partial);
    const int k = finished_channel(channels);
    if (k < 0) return;
    const double away = sum.first / double(count), spread = sum.second / double(count) - away * away;
    mean[k] = float(double(level[k]) + away);
    variance[k] = float(maximum(0.0, spread));
}

/// The coefficients of a thread's channels: y = (x - mean) * slope + bias.
template <int W> struct Coefficients {
    float mean[W], slope[W], bias[W];
    __device__ void open(const Channels& normal, int first) {
        for (int i = 0; i < W; ++i) {
            mean[i] = normal.mean[first + i];
            slope[i] = normal.inverse_deviation[first + i] * normal.weight[first + i];
            bias[i] = normal.bias[first + i];
        }
    }
};

/// y = (x - mean) * inverse_deviation * weight + bias, + residual if not null, max(., 0) if `relu`. Blocks as above.
template <class T, int W>
__global__ void batch_norm_forward(std::int64_t rows, int channels, const T* x, const T* residual, Channels normal,
                                   bool relu, T* y) {
    const Column me = column();
    if (me.pack * W >= channels) return;
    Coefficients<W> by;
    by.open(normal, me.pack * W);
    for (std::int64_t row = me.row; row < rows; row += me.stride) {
        const std::int64_t p = row * (channels / W) + me.pack;
        float v[W], beside[W] = {};
        read<W>(x, p, v);
        if (residual) read<W>(residual, p, beside);
        for (int i = 0; i < W; ++i) {
            v[i] = (v[i] - by.mean[i]) * by.slope[i] + by.bias[i];
            if (residual) v[i] += beside[i];
            if (relu) v[i] = v[i] < 0 ? 0 : v[i];
        }
        write<W>(y, p, v);
    }
}

/// What the ReLU let through: dy where y > 0 (y given), where the normalised x > 0 (relu alone), or all of dy.
template <class T, int W> struct Masked {
    const T *x, *y, *dy;
    Channels normal;
    bool relu;
    Coefficients<W> by;
    __device__ void open(int first) { by.open(normal, first); }
    /// Pack p's masked gradient, and x relative to the mean.
    __device__ void get(std::int64_t p, float (&g)[W], float (&away)[W]) const {
        read<W>(dy, p, g);
        read<W>(x, p, away);
        for (int i = 0; i < W; ++i) away[i] -= by.mean[i];
        if (!relu) return;
        float at[W];
        if (y) read<W>(y, p, at);
        for (int i = 0; i < W; ++i) g[i] = (y ? at[i] : away[i] * by.slope[i] + by.bias[i]) > 0 ? g[i] : 0;
    }
};

/// Rows for the gradients: g and g * (x - mean).
template <class T, int W> struct GradientRows {
    Masked<T, W> masked;
    __device__ void open(int first) { masked.open(first); }
    __device__ void take(std::int64_t pack, float (&a)[W], float (&b)[W]) const {
        float g[W], away[W];
        masked.get(pack, g, away);
        for (int i = 0; i < W; ++i) {
            a[i] += g[i];
            b[i] += g[i] * away[i];
        }
    }
};

/// From the parts' sums: the gradients of weight and bias, where wanted, and, where `tilt` is not null, the
/// coefficients of x' = slope * g + tilt * (x - mean) + level, which come from normalising by the batch's own
/// statistics.
__global__ void __launch_bounds__(finish_lanes* finish_lines)
    finish_gradients(int parts, std::int64_t count, int channels, const float* partial, Channels normal, float* dweight,
                     bool add_weight, float* dbias, bool add_bias, float* tilt, float* level) {
    const Totals sum = totals(parts, channels, partial);
    const int k = finished_channel(channels);
    if (k < 0) return;
    const double deviation = double(normal.inverse_deviation[k]), product = sum.second * deviation;
    if (dweight) dweight[k] = (add_weight ? dweight[k] : 0) + float(product);
    if (dbias) dbias[k] = (add_bias ? dbias[k] : 0) + float(sum.first);
    if (!tilt) return;
    const double slope = deviation * double(normal.weight[k]);
    tilt[k] = float(-slope * deviation * product / double(count));
    level[k] = float(-slope * sum.first / double(count));
}

/// dx and the residual's gradient, each where not null; `tilt` and `level` null: zeros. Blocks as above.
template <class T, int W>
__global__ void batch_norm_backward(std::int64_t rows, int channels, Masked<T, W> masked, const float* tilt,
                                    const float* level, T* dx, bool add_x, T* dresidual, bool add_residual) {
    const Column me = column();
    if (me.pack * W >= channels) return;
    masked.open(me.pack * W);
    float lean[W] = {}, lift[W] = {};
    for (int i = 0; i < W && tilt; ++i) {
        lean[i] = tilt[me.pack * W + i];
        lift[i] = level[me.pack * W + i];
    }
    for (std::int64_t row = me.row; row < rows; row += me.stride) {
        const std::int64_t p = row * (channels / W) + me.pack;
        float g[W], away[W];
        masked.get(p, g, away);
        if (dx) {
            float d[W];
            for (int i = 0; i < W; ++i) d[i] = masked.by.slope[i] * g[i] + lean[i] * away[i] + lift[i];
            put<W>(dx, p, d, add_x);
        }
        if (dresidual) put<W>(dresidual, p, g, add_residual);
    }
}

/// y_k += bias_k in every row. Blocks as above.
template <class T, int W> __global__ void bias_rows(std::int64_t rows, int channels, const float* bias, T* y) {
    const Column me = column();
    if (me.pack * W >= channels) return;
    float by[W];
    for (int i = 0; i < W; ++i) by[i] = bias[me.pack * W + i];
    for (std::int64_t row = me.row; row < rows; row += me.stride) {
        const std::int64_t p = row * (channels / W) + me.pack;
        float v[W];
        read<W>(y, p, v);
        for (int i = 0; i < W; ++i) v[i] += by[i];
        write<W>(y, p, v);
    }
}

}  // namespace holon::gpu
