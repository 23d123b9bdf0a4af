// batch_norm_pair.cuh: two batch norms whose sum goes through a ReLU, forward and backward, over rows of n h w c memory: what
// batch_norm.cuh would read and write in between stays in registers.
#pragma once
#include <holon/batch_norm.cuh>

namespace holon::gpu {

/// Blocks that a multiprocessor is to hold of each kernel: both norms' coefficients take more than 80 registers.
constexpr int pair_blocks = 2;

/// y = max(x normalised + residual normalised, 0), the residual's part rounded to T as if it had been written. `mask_bits`,
/// if not null: see `batch_norm_forward`.
template <class T, bool Whole>
__global__ void __launch_bounds__(column_threads, pair_blocks)
    batch_norm_pair_forward(std::int64_t rows, int channels, const T* x, Channels normal, const T* residual,
                            Channels of_residual, T* y, std::uint8_t* mask_bits) {
    constexpr int W = pack_width<T>;
    struct Loaded {
        Pack<T, W> x, residual;
    };
    const Column me = column();
    const ChannelPack<T, Whole> mine(channels, me.pack);
    if (!mine.inside()) return;
    Coefficients<T, Whole> by, beside;
    by.open(mine, normal);
    beside.open(mine, of_residual);
    each_row<rows_ahead<Whole>(4)>(
        me, rows, [&](std::int64_t row) { return Loaded{mine.load(x, row), mine.load(residual, row)}; },
        [&](std::int64_t row, const Loaded& loaded) {
            float v[W];
            unsigned bits = 0;
            for (int i = 0; i < W; ++i) {
                const float part = (widen(loaded.residual.element[i]) - beside.mean[i]) * beside.slope[i] + beside.bias[i];
                v[i] = (widen(loaded.x.element[i]) - by.mean[i]) * by.slope[i] + by.bias[i];
                v[i] += widen(narrow<T>(part));
                v[i] = v[i] < 0 ? 0 : v[i];
                bits |= widen(narrow<T>(v[i])) > 0 ? 1u << i : 0u;
            }
            mine.store(y, row, v);
            if (mask_bits) mask_bits[row * mine.packs + mine.pack] = std::uint8_t(bits);
        });
}

/// What a row of the backward pass reads: packs of both images and of dy, and the forward pass's bits.
template <class T> struct PairRow {
    static constexpr int W = pack_width<T>;
    Pack<T, W> x, residual, dy;
    unsigned bits;
    __device__ float gradient(int i) const { return bits & (1u << i) ? widen(dy.element[i]) : 0; }
};

template <class T> struct PairInput {
    const T *x, *residual, *dy;
    const std::uint8_t* mask_bits;
    template <bool Whole> __device__ PairRow<T> load(const ChannelPack<T, Whole>& mine, std::int64_t row) const {
        return {mine.load(x, row), mine.load(residual, row), mine.load(dy, row), mask_bits[row * mine.packs + mine.pack]};
    }
};

/// Rows for the gradients of both norms: g, which is dy behind the ReLU, g * (x - mean) and g * (residual - its mean).
template <class T, bool Whole> struct PairGradientRows {
    static constexpr int sums = 3, blocks = pair_blocks, ahead = rows_ahead<Whole>(3);
    using Channels = ChannelPack<T, Whole>;
    using Loaded = PairRow<T>;
    static constexpr int W = Channels::width;
    PairInput<T> in;
    gpu::Channels normal, of_residual;
    VectorGradients to, to_residual;
    float mean[W], mean_beside[W];

    __device__ void open(const Channels& mine, std::int64_t) {
        if (!mine.inside()) return;
        mine.coefficients(normal.mean, mean);
        mine.coefficients(of_residual.mean, mean_beside);
    }
    __device__ Loaded load(const Channels& mine, std::int64_t row) const { return in.load(mine, row); }
    __device__ void take(const Channels&, std::int64_t, const Loaded& loaded, float (&taken)[3][W]) const {
        for (int i = 0; i < W; ++i) {
            const float g = loaded.gradient(i);
            taken[0][i] += g;
            taken[1][i] += g * (widen(loaded.x.element[i]) - mean[i]);
            taken[2][i] += g * (widen(loaded.residual.element[i]) - mean_beside[i]);
        }
    }
    __device__ void finish(int k, const double (&sum)[3], std::int64_t count) const {
        to.finish(k, sum[0], sum[1], count, normal);
        to_residual.finish(k, sum[0], sum[2], count, of_residual);
    }
};

/// Where one side's gradient goes, null if it is not wanted, and the coefficients that its sums left.
template <class T> struct PairTarget {
    Channels normal;
    const float *tilt, *level;
    T* to;
    bool add;
};

/// The gradients of x and of the residual, each of which may lie over its image.
template <class T, bool Whole>
__global__ void __launch_bounds__(column_threads, pair_blocks)
    batch_norm_pair_backward(std::int64_t rows, int channels, PairInput<T> in, PairTarget<T> x, PairTarget<T> residual) {
    constexpr int W = pack_width<T>;
    const Column me = column();
    const ChannelPack<T, Whole> mine(channels, me.pack);
    if (!mine.inside()) return;
    const InputGradient<T, Whole> slope(mine, x.normal, x.tilt, x.level),
        slope_beside(mine, residual.normal, residual.tilt, residual.level);
    const auto put = [&](const PairTarget<T>& target, const InputGradient<T, Whole>& by, std::int64_t row,
                         const Pack<T, W>& image, const PairRow<T>& loaded) {
        if (!target.to) return;
        float d[W];
        for (int i = 0; i < W; ++i) d[i] = by.at(i, loaded.gradient(i), widen(image.element[i]) - by.by.mean[i]);
        mine.put(target.to, row, d, target.add);
    };
    each_row<rows_ahead<Whole>(2)>(
        me, rows, [&](std::int64_t row) { return in.load(mine, row); },
        [&](std::int64_t row, const PairRow<T>& loaded) {
            put(x, slope, row, loaded.x, loaded);
            put(residual, slope_beside, row, loaded.residual, loaded);
        });
}

}  // namespace holon::gpu
