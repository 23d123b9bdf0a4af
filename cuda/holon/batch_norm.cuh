// batch_norm.cuh: batch norm with the residual and the ReLU that follow it, forward and backward, over rows of n h w c
// memory. No atomics: sums go through a table of partial sums, so that every run gives the same bits.
#pragma once
#include <holon/vocabulary.cuh>

namespace holon::gpu {

/// A block of `channel_sums`: 32 packs of channels by 8 rows.
constexpr int sum_lanes = 32, sum_rows = 8;

/// Writes into partial[part][0 and 1][channel] what `rows(row, pack, a, b)` adds up over the rows of a part: every
/// gridDim.y * 8th row. Grid: packs of channels / 32, parts. Each thread adds in float; parts are kept short by the
/// launcher and joined in double.
template <int W, class Rows> __global__ void channel_sums(std::int64_t count, int channels, Rows rows, float* partial) {
    HOLON_SHARED(float, sums, 2 * sum_rows * sum_lanes * W);
    const int lane = int(threadIdx.x), line = int(threadIdx.y), pack = int(blockIdx.x) * sum_lanes + lane;
    float a[W] = {}, b[W] = {};
    if (pack * W < channels)
        for (std::int64_t row = std::int64_t(blockIdx.y) * sum_rows + line; row < count;
             row += std::int64_t(gridDim.y) * sum_rows)
            rows(row, pack, a, b);
    for (int i = 0; i < W; ++i) {
        sums[(line * sum_lanes + lane) * W + i] = a[i];
        sums[((sum_rows + line) * sum_lanes + lane) * W + i] = b[i];
    }
    __syncthreads();
    if (line < 2 && pack * W < channels)  // line 0 joins the first sums, line 1 the second
        for (int i = 0; i < W; ++i) {
            float sum = 0;
            for (int r = 0; r < sum_rows; ++r) sum += sums[((line * sum_rows + r) * sum_lanes + lane) * W + i];
            partial[(std::int64_t(blockIdx.y) * 2 + line) * channels + pack * W + i] = sum;
        }
}

/// A mean over up to 32 rows spread over the image, one thread a channel: the level that values are taken relative to,
/// so that a large common one costs no digits.
template <class T> __global__ void sample_level(std::int64_t count, int channels, const T* x, float* level) {
    const int channel = int(blockIdx.x * blockDim.x + threadIdx.x);
    if (channel >= channels) return;
    const int samples = count < 32 ? int(count) : 32;
    float sum = 0;
    for (int i = 0; i < samples; ++i) sum += widen(x[count * i / samples * channels + channel]) / float(samples);
    level[channel] = sum;
}

/// Rows for the moments: value - level and its square.
template <class T, int W> struct MomentRows {
    const T* x;
    const float* level;
    int channels;
    __device__ void operator()(std::int64_t row, int pack, float (&a)[W], float (&b)[W]) const {
        float v[W];
        read<W>(x + row * channels, pack, v);
        for (int i = 0; i < W; ++i) {
            const float away = v[i] - level[pack * W + i];
            a[i] += away;
            b[i] += away * away;
        }
    }
};

/// Mean and biased variance from the parts' sums, one thread a channel.
__global__ void finish_moments(int parts, std::int64_t count, int channels, const float* partial, const float* level,
                               float* mean, float* variance) {
    const int channel = int(blockIdx.x * blockDim.x + threadIdx.x);
    if (channel >= channels) return;
    double sum = 0, square = 0;
    for (int part = 0; part < parts; ++part) {
        sum += double(partial[(std::int64_t(part) * 2) * channels + channel]);
        square += double(partial[(std::int64_t(part) * 2 + 1) * channels + channel]);
    }
    const double away = sum / double(count), spread = square / double(count) - away * away;
    mean[channel] = float(double(level[channel]) + away);
    variance[channel] = float(spread > 0 ? spread : 0);
}

/// The four vectors of a normalisation; see op::Normalization.
struct Channels {
    const float *mean, *inverse_deviation, *weight, *bias;
};

/// y = (x - mean) * inverse_deviation * weight + bias, + residual if not null, max(., 0) if `relu`. One pack a step,
/// any grid.
template <class T, int W>
__global__ void batch_norm_forward(std::int64_t packs, int channels, const T* x, const T* residual, Channels normal,
                                   bool relu, T* y) {
    const int across = channels / W;
    for (std::int64_t p = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; p < packs;
         p += std::int64_t(gridDim.x) * blockDim.x) {
        const int first = int(p % across) * W;
        float v[W], beside[W] = {};
        read<W>(x, p, v);
        if (residual) read<W>(residual, p, beside);
        for (int i = 0; i < W; ++i) {
            const int k = first + i;
            v[i] = (v[i] - normal.mean[k]) * (normal.inverse_deviation[k] * normal.weight[k]) + normal.bias[k];
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
    int channels;
    bool relu;
    /// Pack `p` of the image, whose first channel is `first`: the masked gradient and x.
    __device__ void operator()(std::int64_t p, int first, float (&g)[W], float (&v)[W]) const {
        read<W>(dy, p, g);
        read<W>(x, p, v);
        if (!relu) return;
        float at[W];
        if (y) read<W>(y, p, at);
        for (int i = 0; i < W; ++i) {
            const int k = first + i;
            const float level =
                y ? at[i] : (v[i] - normal.mean[k]) * (normal.inverse_deviation[k] * normal.weight[k]) + normal.bias[k];
            g[i] = level > 0 ? g[i] : 0;
        }
    }
};

/// Rows for the gradients: g and g * (x - mean).
template <class T, int W> struct GradientRows {
    Masked<T, W> masked;
    __device__ void operator()(std::int64_t row, int pack, float (&a)[W], float (&b)[W]) const {
        float g[W], v[W];
        masked(row * (masked.channels / W) + pack, pack * W, g, v);
        for (int i = 0; i < W; ++i) {
            a[i] += g[i];
            b[i] += g[i] * (v[i] - masked.normal.mean[pack * W + i]);
        }
    }
};

/// From the parts' sums: the gradients of weight and bias, where wanted, and with batch statistics the two coefficients
/// of x' = slope * g + tilt * (x - mean) + level; zeros without. One thread a channel.
__global__ void finish_gradients(int parts, std::int64_t count, int channels, const float* partial, Channels normal,
                                 bool batch_statistics, float* dweight, bool add_weight, float* dbias, bool add_bias,
                                 float* tilt, float* level) {
    const int k = int(blockIdx.x * blockDim.x + threadIdx.x);
    if (k >= channels) return;
    double sum = 0, product = 0;
    for (int part = 0; part < parts; ++part) {
        sum += double(partial[(std::int64_t(part) * 2) * channels + k]);
        product += double(partial[(std::int64_t(part) * 2 + 1) * channels + k]);
    }
    product *= double(normal.inverse_deviation[k]);
    if (dweight) dweight[k] = (add_weight ? dweight[k] : 0) + float(product);
    if (dbias) dbias[k] = (add_bias ? dbias[k] : 0) + float(sum);
    const double slope = double(normal.inverse_deviation[k]) * double(normal.weight[k]);
    tilt[k] = batch_statistics ? float(-slope * double(normal.inverse_deviation[k]) * product / double(count)) : 0;
    level[k] = batch_statistics ? float(-slope * sum / double(count)) : 0;
}

/// dx and the residual's gradient, each where not null. One pack a step, any grid.
template <class T, int W>
__global__ void batch_norm_backward(std::int64_t packs, Masked<T, W> masked, const float* tilt, const float* level,
                                    T* dx, bool add_x, T* dresidual, bool add_residual) {
    const int across = masked.channels / W;
    const Channels normal = masked.normal;
    for (std::int64_t p = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; p < packs;
         p += std::int64_t(gridDim.x) * blockDim.x) {
        const int first = int(p % across) * W;
        float g[W], v[W];
        masked(p, first, g, v);
        if (dx) {
            float d[W];
            for (int i = 0; i < W; ++i) {
                const int k = first + i;
                d[i] = normal.inverse_deviation[k] * normal.weight[k] * g[i] + tilt[k] * (v[i] - normal.mean[k]) +
                       level[k];
            }
            put<W>(dx, p, d, add_x);
        }
        if (dresidual) put<W>(dresidual, p, g, add_residual);
    }
}

}  // namespace holon::gpu
