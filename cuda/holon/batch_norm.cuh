// batch_norm.cuh: batch norm with the residual and the ReLU that follow it, forward and backward, over rows of n h w c
// memory. The number of blocks that a multiprocessor is to hold (the second launch bound) limits the registers: 64 for
// 4 blocks, 80 for 3.
#pragma once
#include <holon/channel_sums.cuh>

namespace holon::gpu {

/// Blocks that a multiprocessor is to hold of each kernel.
constexpr int forward_blocks = 4, backward_blocks = 3, any_backward_blocks = 2;

/// Before Ampere bf16 is rounded in software, which takes registers: a block fewer.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
constexpr int forward_bound = 3;
#else
constexpr int forward_bound = forward_blocks;
#endif

/// Rows of x whose mean is the level that moments are taken relative to.
constexpr int level_rows = 32;

/// Where moments go: mean and inverse deviation by the biased variance, and the running statistics moved on.
struct MomentTargets {
    float epsilon;
    RunningStatistics running;
    float *mean, *inverse_deviation;

    /// From the sums of value - level and of its square over `count` rows.
    __device__ void finish(int k, float level, double sum, double squares, std::int64_t count) const {
        const double away = sum / double(count), spread = squares / double(count) - away * away;
        const float middle = float(double(level) + away), variance = float(maximum(0.0, spread));
        mean[k] = middle;
        inverse_deviation[k] = 1 / sqrtf(variance + epsilon);
        const float joins = running.shift ? middle + running.shift[k] : middle;
        running.mean[k] = running.keep * running.mean[k] + running.mean_share * joins;
        running.variance[k] = running.keep * running.variance[k] + running.variance_share * variance;
    }
};

/// A thread a channel.
__global__ void moments_of_sums(std::int64_t count, int channels, const float* sum, const float* squares, MomentTargets to) {
    const int k = int(blockIdx.x * blockDim.x + threadIdx.x);
    if (k < channels) to.finish(k, 0, double(sum[k]), double(squares[k]), count);
}

/// Rows for the moments: value - level and its square. The level is a mean over up to 32 rows spread over the image, so
/// that a large common value costs no digits. It is a number of T: the others differ from it by what float holds, and
/// sums of 16-bit numbers do not round the same way at every step. Part 0 writes it down.
template <class T, bool Whole> struct MomentRows {
    static constexpr int sums = 2, blocks = most_sum_blocks, ahead = rows_ahead<Whole>(4);
    using Channels = ChannelPack<T, Whole>;
    using Loaded = typename Channels::Raw;
    static constexpr int W = Channels::width;
    const T* x;
    float* level;
    MomentTargets to;
    float here[W];

    /// Has barriers. A thread takes the level of one channel of its block: they lie side by side.
    __device__ void open(const Channels& mine, std::int64_t count) {
        HOLON_SHARED(float, levels, sum_lanes * W);
        const int me = int(threadIdx.y * blockDim.x + threadIdx.x), channel = int(blockIdx.x * blockDim.x) * W + me;
        const int samples = int(minimum<std::int64_t>(count, level_rows));
        if (me < int(blockDim.x) * W && channel < mine.channels) {
            float sum = 0;
            for (int i = 0; i < samples; ++i) {
                const std::int64_t row = samples == level_rows ? count * i / level_rows : i;
                sum += widen(x[row * mine.channels + channel]) / float(samples);
            }
            sum = widen(narrow<T>(sum));
            levels[me] = sum;
            if (blockIdx.y == 0) __stcg(level + channel, sum);
        }
        __syncthreads();
        for (int i = 0; i < W; ++i)
            here[i] = mine.inside() && mine.holds(i) ? float(levels[int(threadIdx.x) * W + i]) : 0;
    }
    __device__ Loaded load(const Channels& mine, std::int64_t row) const { return mine.load(x, row); }
    __device__ void take(const Channels&, std::int64_t, const Loaded& loaded, float (&taken)[2][W]) const {
        for (int i = 0; i < W; ++i) {
            const float away = widen(loaded.element[i]) - here[i];
            taken[0][i] += away;
            taken[1][i] += away * away;
        }
    }
    __device__ void finish(int k, const double (&sum)[2], std::int64_t count) const {
        to.finish(k, __ldcg(level + k), sum[0], sum[1], count);
    }
};

/// The coefficients of a thread's channels: y = (x - mean) * slope + bias.
template <class T, bool Whole> struct Coefficients {
    static constexpr int W = pack_width<T>;
    float mean[W], slope[W], bias[W];
    __device__ void open(const ChannelPack<T, Whole>& mine, const Channels& normal) {
        float weight[W];
        mine.coefficients(normal.mean, mean);
        mine.coefficients(normal.inverse_deviation, slope);
        mine.coefficients(normal.weight, weight);
        mine.coefficients(normal.bias, bias);
        for (int i = 0; i < W; ++i) slope[i] *= weight[i];
    }
};

/// y = (x - mean) * inverse_deviation * weight + bias, + residual if `Residual`, max(., 0) if `Relu`. With both, `mask_bits`,
/// if not null, gets a byte a pack: bit i says that the ReLU let channel i of the pack through.
template <class T, bool Whole, bool Residual, bool Relu>
__global__ void __launch_bounds__(column_threads, forward_bound)
    batch_norm_forward(std::int64_t rows, int channels, const T* x, const T* residual, Channels normal, T* y,
                       std::uint8_t* mask_bits) {
    constexpr int W = pack_width<T>;
    constexpr bool Masks = Residual && Relu;
    struct Loaded {
        Pack<T, W> x, residual;
    };
    const Column me = column();
    const ChannelPack<T, Whole> mine(channels, me.pack);
    if (!mine.inside()) return;
    Coefficients<T, Whole> by;
    by.open(mine, normal);
    each_row<rows_ahead<Whole>(Residual ? 2 : 4)>(
        me, rows,
        [&](std::int64_t row) {
            Loaded loaded;
            loaded.x = mine.load(x, row);
            if constexpr (Residual) loaded.residual = mine.load(residual, row);
            return loaded;
        },
        [&](std::int64_t row, const Loaded& loaded) {
            float v[W];
            unsigned bits = 0;
            for (int i = 0; i < W; ++i) {
                v[i] = (widen(loaded.x.element[i]) - by.mean[i]) * by.slope[i] + by.bias[i];
                if constexpr (Residual) v[i] += widen(loaded.residual.element[i]);
                if constexpr (Relu) v[i] = v[i] < 0 ? 0 : v[i];
                if constexpr (Masks) bits |= widen(narrow<T>(v[i])) > 0 ? 1u << i : 0u;
            }
            mine.store(y, row, v);
            if (Masks && mask_bits) mask_bits[row * mine.packs + mine.pack] = std::uint8_t(bits);
        });
}

/// What tells which elements of dy the ReLU let through.
enum class MaskBy {
    nothing,  ///< there is no ReLU
    x,        ///< the sign of the normalised x: no residual was added to it
    bits,     ///< the forward pass's bits
};

/// What a row of the backward pass reads: a pack of x, one of dy, and the bits of `MaskBy::bits`.
template <class T, bool Whole> struct BackwardRow {
    static constexpr int W = pack_width<T>;
    Pack<T, W> x, dy;
    unsigned bits;

    /// The gradient of channel i behind the ReLU; `away` is x - mean.
    __device__ float gradient(int i, float away, const Coefficients<T, Whole>& by, MaskBy mask) const {
        const float g = widen(dy.element[i]);
        if (mask == MaskBy::x) return away * by.slope[i] + by.bias[i] > 0 ? g : 0;
        if (mask == MaskBy::bits) return bits & (1u << i) ? g : 0;
        return g;
    }
};

template <class T> struct BackwardInput {
    const T *x, *dy;
    const std::uint8_t* mask_bits;
    template <bool Whole>
    __device__ BackwardRow<T, Whole> load(const ChannelPack<T, Whole>& mine, std::int64_t row, MaskBy mask) const {
        BackwardRow<T, Whole> loaded;
        loaded.x = mine.load(x, row);
        loaded.dy = mine.load(dy, row);
        loaded.bits = mask == MaskBy::bits ? mask_bits[row * mine.packs + mine.pack] : 0;
        return loaded;
    }
};

/// Where the gradients of a normalisation's vectors go, and what the gradient of its x needs of the sums: tilt and level of
/// x' = slope * g + tilt * (x - mean) + level, which come from normalising by the batch's own statistics. Null: not wanted.
struct VectorGradients {
    float *weight, *bias;
    bool add_weight, add_bias;
    float *tilt, *level;

    /// From the sums of g and of g * (x - mean) over `count` rows.
    __device__ void finish(int k, double sum, double sum_away, std::int64_t count, const Channels& normal) const {
        const double deviation = double(normal.inverse_deviation[k]), product = sum_away * deviation;
        if (weight) weight[k] = (add_weight ? weight[k] : 0) + float(product);
        if (bias) bias[k] = (add_bias ? bias[k] : 0) + float(sum);
        if (!tilt) return;
        const double slope = deviation * double(normal.weight[k]);
        tilt[k] = float(-slope * deviation * product / double(count));
        level[k] = float(-slope * sum / double(count));
    }
};

/// Rows for the gradients: g and g * (x - mean), where g is dy behind the ReLU. `Keep`: g is written to `kept`, which
/// may be dy, so that the pass that follows need not mask again.
template <class T, bool Whole, MaskBy mask, bool Keep> struct GradientRows {
    static constexpr int sums = 2, blocks = gradient_blocks, ahead = rows_ahead<Whole>(2);
    using Channels = ChannelPack<T, Whole>;
    using Loaded = BackwardRow<T, Whole>;
    static constexpr int W = Channels::width;
    BackwardInput<T> in;
    gpu::Channels normal;
    T* kept;
    VectorGradients to;
    Coefficients<T, Whole> by;

    __device__ void open(const Channels& mine, std::int64_t) {
        if (mine.inside()) by.open(mine, normal);
    }
    __device__ Loaded load(const Channels& mine, std::int64_t row) const { return in.load(mine, row, mask); }
    __device__ void take(const Channels& mine, std::int64_t row, const Loaded& loaded, float (&taken)[2][W]) const {
        float g[W];
        for (int i = 0; i < W; ++i) {
            const float away = widen(loaded.x.element[i]) - by.mean[i];
            g[i] = loaded.gradient(i, away, by, mask);
            taken[0][i] += g[i];
            taken[1][i] += g[i] * away;
        }
        if constexpr (Keep) mine.store(kept, row, g);
    }
    __device__ void finish(int k, const double (&sum)[2], std::int64_t count) const {
        to.finish(k, sum[0], sum[1], count, normal);
    }
};

/// x' = slope * g + tilt * (x - mean) + level of a thread's channels; `tilt` and `level` null: zeros.
template <class T, bool Whole> struct InputGradient {
    static constexpr int W = pack_width<T>;
    Coefficients<T, Whole> by;
    float tilt[W] = {}, level[W] = {};
    __device__ InputGradient(const ChannelPack<T, Whole>& mine, const Channels& normal, const float* all_tilts,
                             const float* all_levels) {
        by.open(mine, normal);
        if (!all_tilts) return;
        mine.coefficients(all_tilts, tilt);
        mine.coefficients(all_levels, level);
    }
    /// Leaves g, dy behind the ReLU, in `g`.
    __device__ void take(const BackwardRow<T, Whole>& loaded, MaskBy mask, float (&d)[W], float (&g)[W]) const {
        for (int i = 0; i < W; ++i) {
            const float away = widen(loaded.x.element[i]) - by.mean[i];
            g[i] = loaded.gradient(i, away, by, mask);
            d[i] = at(i, g[i], away);
        }
    }
    __device__ float at(int i, float g, float away) const { return by.slope[i] * g + tilt[i] * away + level[i]; }
};

/// dx, assigned: what a network's batch norms ask for.
template <class T, bool Whole, MaskBy mask>
__global__ void __launch_bounds__(column_threads, backward_blocks)
    batch_norm_backward(std::int64_t rows, int channels, BackwardInput<T> in, Channels normal, const float* tilt,
                        const float* level, T* dx) {
    const Column me = column();
    const ChannelPack<T, Whole> mine(channels, me.pack);
    if (!mine.inside()) return;
    const InputGradient<T, Whole> slope(mine, normal, tilt, level);
    each_row<rows_ahead<Whole>(2)>(
        me, rows, [&](std::int64_t row) { return in.load(mine, row, mask); },
        [&](std::int64_t row, const BackwardRow<T, Whole>& loaded) {
            float d[pack_width<T>], g[pack_width<T>];
            slope.take(loaded, mask, d, g);
            mine.store(dx, row, d);
        });
}

/// dx and the residual's gradient, each where not null, assigned or added.
template <class T, bool Whole>
__global__ void __launch_bounds__(column_threads, any_backward_blocks)
    batch_norm_backward_any(std::int64_t rows, int channels, BackwardInput<T> in, MaskBy mask, Channels normal,
                            const float* tilt, const float* level, T* dx, bool add_x, T* dresidual, bool add_residual) {
    const Column me = column();
    const ChannelPack<T, Whole> mine(channels, me.pack);
    if (!mine.inside()) return;
    const InputGradient<T, Whole> slope(mine, normal, tilt, level);
    for (std::int64_t row = me.row; row < rows; row += me.stride) {
        const BackwardRow<T, Whole> loaded = in.load(mine, row, mask);
        float d[pack_width<T>], g[pack_width<T>];
        slope.take(loaded, mask, d, g);
        if (dx) mine.put(dx, row, d, add_x);
        if (dresidual) mine.put(dresidual, row, g, add_residual);
    }
}

}  // namespace holon::gpu
