// batch_norm.cu: launchers (op/gpu/kernels.hpp) of sums over the rows of an image, batch norm, and biases.
#include <holon/batch_norm_pair.cuh>
#include <holon/launch.cuh>

namespace holon::gpu {

namespace {

/// A grid of whole waves of `resident` blocks a multiprocessor: up to four, so that none has few rows left to the end,
/// and no more than leaves a thread 16 rows for the coefficients that it loads.
dim3 passing_grid(const Queue& queue, const Columns& c, std::int64_t rows, int resident) {
    constexpr std::int64_t most_waves = 4, rows_a_thread = 16;
    const std::int64_t wave = std::max<std::int64_t>(std::int64_t(queue.multiprocessors) * resident / c.across, 1);
    const std::int64_t waves = std::clamp<std::int64_t>(c.down(rows) / (wave * rows_a_thread), 1, most_waves);
    return grid_of(c, std::clamp<std::int64_t>(std::min(c.down(rows), wave * waves), 1, grid_y));
}

/// Calls f.template operator()<Whole>(): whether packs are full and all pointers aligned to them.
template <class T, class F, class... P> void by_fit(std::int64_t channels, const F& f, const P*... pointers) {
    by_width<T>(channels, [&]<int W>() { f.template operator()<W != 1>(); }, pointers...);
}

/// Takes sums over the rows, with `partial` for the parts', and finishes them.
template <class T, class Rows>
void start_sums(const Queue& queue, std::int64_t rows, int channels, const Rows& take, float* partial) {
    const Columns c = sum_columns<T>(channels);
    launch(queue, channel_sums<Rows>, grid_of(c, sum_parts(queue.multiprocessors, c, rows, Rows::blocks)), block_of(c), rows,
           channels, take, partial, queue.blocks_done);
}

}  // namespace

template <class T>
void channel_sum(const Queue& queue, std::int64_t rows, int channels, const T* dy, float* scratch, float* out,
                 bool add) {
    by_fit<T>(
        channels,
        [&]<bool Whole>() { start_sums<T>(queue, rows, channels, SumRows<T, Whole>{{out, add}, dy}, scratch); },
        dy);
}
template <class T>
void batch_statistics(const Queue& queue, std::int64_t rows, int channels, const T* x, float epsilon,
                      const RunningStatistics& running, float* scratch, float* mean, float* inverse_deviation) {
    by_fit<T>(
        channels,
        [&]<bool Whole>() {
            start_sums<T>(queue, rows, channels,
                          MomentRows<T, Whole>{x, scratch, {epsilon, running, mean, inverse_deviation}, {}},
                          scratch + channels);
        },
        x);
}
void batch_statistics(const Queue& queue, std::int64_t count, int channels, const float* sum, const float* squares,
                      float epsilon, const RunningStatistics& running, float* mean, float* inverse_deviation) {
    launch(queue, moments_of_sums, dim3(unsigned(divided_up(channels, flat_threads))), dim3(flat_threads), count, channels, sum,
           squares, MomentTargets{epsilon, running, mean, inverse_deviation});
}
template <class T>
void batch_norm(const Queue& queue, std::int64_t rows, int channels, const T* x, const T* residual,
                const Channels& normal, bool relu, T* y, std::uint8_t* mask_bits) {
    if (rows == 0) return;
    const Columns c = columns_of<T>(channels);
    by_fit<T>(
        channels,
        [&]<bool Whole>() {
            const auto start = [&]<bool Residual, bool Relu>() {
                launch(queue, batch_norm_forward<T, Whole, Residual, Relu>, passing_grid(queue, c, rows, forward_blocks),
                       block_of(c), rows, channels, x, residual, normal, y, mask_bits);
            };
            if (residual && relu)
                start.template operator()<true, true>();
            else if (residual)
                start.template operator()<true, false>();
            else if (relu)
                start.template operator()<false, true>();
            else
                start.template operator()<false, false>();
        },
        x, residual, y);
}
template <class T>
void batch_norm_backward(const Queue& queue, std::int64_t rows, int channels, const T* x, const std::uint8_t* mask_bits,
                         const T* dy, const Channels& normal, bool relu, bool batch_statistics,
                         const BatchNormTargets<T>& wanted, float* scratch) {
    if (rows == 0) return;
    const bool by_batch = wanted.x && batch_statistics, sums = wanted.weight || wanted.bias || by_batch;
    MaskBy mask = !relu ? MaskBy::nothing : mask_bits ? MaskBy::bits : MaskBy::x;
    // The sums' pass leaves the gradient behind the ReLU for the pass that follows it, if it is wanted by itself.
    const bool kept = sums && mask == MaskBy::bits && wanted.residual && !wanted.add_residual;
    const VectorGradients vectors{wanted.weight,     wanted.bias,
                                  wanted.add_weight, wanted.add_bias,
                                  by_batch ? scratch : nullptr, scratch + channels};
    const Columns c = columns_of<T>(channels);
    BackwardInput<T> in{x, dy, mask_bits};
    by_fit<T>(
        channels,
        [&]<bool Whole>() {
            const auto take_sums = [&]<MaskBy by, bool Keep>() {
                start_sums<T>(queue, rows, channels, GradientRows<T, Whole, by, Keep>{in, normal, wanted.residual, vectors, {}},
                              scratch + 2 * channels);
            };
            if (kept)
                take_sums.template operator()<MaskBy::bits, true>();
            else if (sums && mask == MaskBy::bits)
                take_sums.template operator()<MaskBy::bits, false>();
            else if (sums && mask == MaskBy::x)
                take_sums.template operator()<MaskBy::x, false>();
            else if (sums)
                take_sums.template operator()<MaskBy::nothing, false>();

            T* const residual = kept ? nullptr : wanted.residual;
            if (kept) in.dy = wanted.residual, mask = MaskBy::nothing;
            if (!wanted.x && !residual) return;
            const auto grid = [&](int resident) { return passing_grid(queue, c, rows, resident); };
            if (residual || wanted.add_x || mask == MaskBy::bits)
                launch(queue, batch_norm_backward_any<T, Whole>, grid(any_backward_blocks), block_of(c), rows, channels, in,
                       mask, normal, vectors.tilt, vectors.level, wanted.x, wanted.add_x, residual, wanted.add_residual);
            else if (mask == MaskBy::x)
                launch(queue, gpu::batch_norm_backward<T, Whole, MaskBy::x>, grid(backward_blocks), block_of(c), rows,
                       channels, in, normal, vectors.tilt, vectors.level, wanted.x);
            else
                launch(queue, gpu::batch_norm_backward<T, Whole, MaskBy::nothing>, grid(backward_blocks), block_of(c), rows,
                       channels, in, normal, vectors.tilt, vectors.level, wanted.x);
        },
        x, dy, wanted.x, wanted.residual);
}
template <class T>
void batch_norm_pair(const Queue& queue, std::int64_t rows, int channels, const T* x, const Channels& normal,
                     const T* residual, const Channels& of_residual, T* y, std::uint8_t* mask_bits) {
    if (rows == 0) return;
    const Columns c = columns_of<T>(channels);
    by_fit<T>(
        channels,
        [&]<bool Whole>() {
            launch(queue, batch_norm_pair_forward<T, Whole>, passing_grid(queue, c, rows, pair_blocks), block_of(c), rows,
                   channels, x, normal, residual, of_residual, y, mask_bits);
        },
        x, residual, y);
}
template <class T>
void batch_norm_pair_backward(const Queue& queue, std::int64_t rows, int channels, const T* x, const Channels& normal,
                              const T* residual, const Channels& of_residual, const std::uint8_t* mask_bits, const T* dy,
                              bool batch_statistics, const BatchNormTargets<T>& wanted,
                              const BatchNormTargets<T>& wanted_beside, float* scratch) {
    if (rows == 0) return;
    const auto vectors = [&](const BatchNormTargets<T>& w, float* tilt) {
        const bool by_batch = w.x && batch_statistics;
        return VectorGradients{w.weight, w.bias, w.add_weight, w.add_bias, by_batch ? tilt : nullptr, tilt + channels};
    };
    const auto asks_sums = [&](const BatchNormTargets<T>& w) { return w.weight || w.bias || (w.x && batch_statistics); };
    const VectorGradients to = vectors(wanted, scratch), to_beside = vectors(wanted_beside, scratch + 2 * channels);
    const PairInput<T> in{x, residual, dy, mask_bits};
    by_fit<T>(
        channels,
        [&]<bool Whole>() {
            if (asks_sums(wanted) || asks_sums(wanted_beside))
                start_sums<T>(queue, rows, channels,
                              PairGradientRows<T, Whole>{in, normal, of_residual, to, to_beside, {}, {}}, scratch + 4 * channels);
            if (!wanted.x && !wanted_beside.x) return;
            const Columns c = columns_of<T>(channels);
            launch(queue, gpu::batch_norm_pair_backward<T, Whole>, passing_grid(queue, c, rows, pair_blocks), block_of(c),
                   rows, channels, in, PairTarget<T>{normal, to.tilt, to.level, wanted.x, wanted.add_x},
                   PairTarget<T>{of_residual, to_beside.tilt, to_beside.level, wanted_beside.x, wanted_beside.add_x});
        },
        x, residual, dy, wanted.x, wanted_beside.x);
}
template <class T>
void add_bias(const Queue& queue, std::int64_t rows, int channels, const float* bias, bool relu, T* y) {
    if (rows == 0) return;
    const Columns c = columns_of<T>(channels);
    by_fit<T>(
        channels,
        [&]<bool Whole>() {
            launch(queue, relu ? bias_rows<T, Whole, true> : bias_rows<T, Whole, false>,
                   passing_grid(queue, c, rows, bias_blocks), block_of(c), rows, channels, bias, y);
        },
        y);
}
template <class T>
void bias_relu_backward(const Queue& queue, std::int64_t rows, int channels, const T* y, const T* dy, T* masked,
                        float* scratch, float* dbias, bool add) {
    by_fit<T>(
        channels,
        [&]<bool Whole>() {
            start_sums<T>(queue, rows, channels, ReluRows<T, Whole>{{dbias, add}, y, dy, masked}, scratch);
        },
        y, dy, masked);
}

#define HOLON_BATCH_NORM_OF(T)                                                                                        \
    template void add_bias(const Queue&, std::int64_t, int, const float*, bool, T*);                                  \
    template void bias_relu_backward(const Queue&, std::int64_t, int, const T*, const T*, T*, float*, float*, bool);  \
    template void channel_sum(const Queue&, std::int64_t, int, const T*, float*, float*, bool);                       \
    template void batch_statistics(const Queue&, std::int64_t, int, const T*, float, const RunningStatistics&,        \
        float*, float*, float*);                                                                                      \
    template void batch_norm(const Queue&, std::int64_t, int, const T*, const T*, const Channels&, bool, T*,          \
        std::uint8_t*);                                                                                               \
    template void batch_norm_backward(const Queue&, std::int64_t, int, const T*, const std::uint8_t*, const T*,       \
        const Channels&, bool, bool, const BatchNormTargets<T>&, float*);                                             \
    template void batch_norm_pair(const Queue&, std::int64_t, int, const T*, const Channels&, const T*,               \
        const Channels&, T*, std::uint8_t*);                                                                          \
    template void batch_norm_pair_backward(const Queue&, std::int64_t, int, const T*, const Channels&, const T*,      \
        const Channels&, const std::uint8_t*, const T*, bool, const BatchNormTargets<T>&, const BatchNormTargets<T>&, \
        float*);

HOLON_BATCH_NORM_OF(float)
HOLON_BATCH_NORM_OF(bfloat16)
HOLON_BATCH_NORM_OF(float16)

}  // namespace holon::gpu
