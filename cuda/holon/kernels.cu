// kernels.cu: the one file that nvcc compiles: launchers (op/gpu/kernels.hpp) that choose the width of packs and grids.
#include <holon/affine_warp.cuh>
#include <holon/average_pool2d.cuh>
#include <holon/batch_norm.cuh>
#include <holon/classify.cuh>
#include <holon/dropout.cuh>
#include <holon/elementwise.cuh>
#include <holon/launch.cuh>
#include <holon/max_pool2d.cuh>
#include <holon/optimizer.cuh>
#include <holon/reduce.cuh>

namespace holon::gpu {

// Elementwise.

namespace {

template <int W, class F> void start_each(const Queue& queue, std::int64_t count, const F& f) {
    if (count) launch(queue, each<W, F>, flat_grid(queue, divided_up(count, W)), flat_threads, count, f);
}

}  // namespace

template <class T> void relu(const Queue& queue, std::int64_t count, const T* x, T* y) {
    by_alignment<T>([&]<int W>() { start_each<W>(queue, count, Relu<T>{x, y}); }, x, y);
}
template <class T>
void relu_backward(const Queue& queue, std::int64_t count, const T* y, const T* dy, T* dx, bool add) {
    by_alignment<T>([&]<int W>() { start_each<W>(queue, count, ReluBackward<T>{y, dy, dx, add}); }, y, dy, dx);
}
template <class T> void add(const Queue& queue, std::int64_t count, const T* a, const T* b, T* y) {
    by_alignment<T>([&]<int W>() { start_each<W>(queue, count, Add<T>{a, b, y}); }, a, b, y);
}
template <class T> void scale(const Queue& queue, std::int64_t count, float factor, T* x) {
    by_alignment<T>([&]<int W>() { start_each<W>(queue, count, Scale<T>{x, factor, x}); }, x);
}
template <class From, class To> void carry(const Queue& queue, std::int64_t count, const From* x, To* y, bool add) {
    using Narrow = std::conditional_t<(sizeof(To) < sizeof(From)), To, From>;
    by_alignment<Narrow>([&]<int W>() { start_each<W>(queue, count, Carry<From, To>{x, y, add}); }, x, y);
}
void inverse_deviation(const Queue& queue, int channels, const float* variance, float epsilon, float* out) {
    by_alignment<float>(
        [&]<int W>() {
            start_each<W>(queue, channels, InverseDeviation{variance, epsilon, out});
        },
        variance, out);
}
// Rows and sums over them.

namespace {

template <class T> Columns columns_of(int channels) { return Columns(divided_up(channels, pack_width<T>)); }
dim3 block_of(const Columns& c) { return dim3(unsigned(c.lanes), unsigned(c.lines)); }
dim3 grid_of(const Columns& c, std::int64_t down) { return dim3(unsigned(c.across), unsigned(down)); }

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

/// Sums into `partial`; returns the number of parts.
template <class Rows>
int start_sums(const Queue& queue, const Columns& c, std::int64_t rows, int channels, const Rows& take,
               float* partial) {
    const int parts = int(sum_parts(queue.multiprocessors, c, rows, Rows::blocks));
    launch(queue, channel_sums<Rows>, grid_of(c, parts), block_of(c), rows, channels, take, partial);
    return parts;
}

dim3 finishing_grid(int channels) { return dim3(unsigned(divided_up(channels, finish_lanes))); }
dim3 finishing_block() { return dim3(finish_lanes, finish_lines); }

}  // namespace

template <class T>
void channel_sum(const Queue& queue, std::int64_t rows, int channels, const T* dy, float* scratch, float* out,
                 bool add) {
    by_fit<T>(
        channels,
        [&]<bool Whole>() {
            const int parts = start_sums(queue, columns_of<T>(channels), rows, channels, SumRows<T, Whole>{dy}, scratch);
            launch(queue, finish_sum, finishing_grid(channels), finishing_block(), parts, channels, scratch, out, add);
        },
        dy);
}
template <class T>
void batch_statistics(const Queue& queue, std::int64_t rows, int channels, const T* x, float epsilon,
                      const RunningStatistics& running, float* scratch, float* mean, float* inverse_deviation) {
    float *const level = scratch, *const partial = scratch + 2 * channels;
    by_fit<T>(
        channels,
        [&]<bool Whole>() {
            const int parts = start_sums(queue, columns_of<T>(channels), rows, channels,
                                         MomentRows<T, Whole>{x, level, {}}, partial);
            launch(queue, finish_moments, finishing_grid(channels), finishing_block(), parts, rows, channels, partial,
                   level, epsilon, running, mean, inverse_deviation);
        },
        x);
}
template <class T>
void batch_norm(const Queue& queue, std::int64_t rows, int channels, const T* x, const T* residual,
                const Channels& normal, bool relu, T* y, std::uint8_t* passed) {
    if (rows == 0) return;
    const Columns c = columns_of<T>(channels);
    by_fit<T>(
        channels,
        [&]<bool Whole>() {
            const auto start = [&]<bool Residual, bool Relu>() {
                launch(queue, batch_norm_forward<T, Whole, Residual, Relu>, passing_grid(queue, c, rows, forward_blocks),
                       block_of(c), rows, channels, x, residual, normal, y, passed);
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
void batch_norm_backward(const Queue& queue, std::int64_t rows, int channels, const T* x, const std::uint8_t* passed,
                         const T* dy, const Channels& normal, bool relu, bool batch_statistics,
                         const BatchNormTargets<T>& wanted, float* scratch) {
    if (rows == 0) return;
    const bool by_batch = wanted.x && batch_statistics, sums = wanted.weight || wanted.bias || by_batch;
    Through through = !relu ? Through::all : passed ? Through::marked : Through::positive;
    // The sums' pass leaves the gradient behind the ReLU for the pass that follows it, if it is wanted by itself.
    const bool kept = sums && through == Through::marked && wanted.residual && !wanted.add_residual;
    float* const tilt = by_batch ? scratch : nullptr;
    float *const level = scratch + channels, *const partial = scratch + 2 * channels;
    const Columns c = columns_of<T>(channels);
    BackwardInput<T> in{x, dy, passed};
    by_fit<T>(
        channels,
        [&]<bool Whole>() {
            const auto take_sums = [&]<Through by, bool Keep>() {
                const GradientRows<T, Whole, by, Keep> take{in, normal, wanted.residual, {}};
                const int parts = start_sums(queue, c, rows, channels, take, partial);
                launch(queue, finish_gradients, finishing_grid(channels), finishing_block(), parts, rows, channels,
                       partial, normal, wanted.weight, wanted.add_weight, wanted.bias, wanted.add_bias, tilt, level);
            };
            if (kept)
                take_sums.template operator()<Through::marked, true>();
            else if (sums && through == Through::marked)
                take_sums.template operator()<Through::marked, false>();
            else if (sums && through == Through::positive)
                take_sums.template operator()<Through::positive, false>();
            else if (sums)
                take_sums.template operator()<Through::all, false>();

            T* const residual = kept ? nullptr : wanted.residual;
            if (kept) in.dy = wanted.residual, through = Through::all;
            if (!wanted.x && !residual) return;
            const auto grid = [&](int resident) { return passing_grid(queue, c, rows, resident); };
            if (residual || wanted.add_x || through == Through::marked)
                launch(queue, batch_norm_backward_any<T, Whole>, grid(any_backward_blocks), block_of(c), rows, channels, in,
                       through, normal, tilt, level, wanted.x, wanted.add_x, residual, wanted.add_residual);
            else if (through == Through::positive)
                launch(queue, gpu::batch_norm_backward<T, Whole, Through::positive>, grid(backward_blocks), block_of(c), rows,
                       channels, in, normal, tilt, level, wanted.x);
            else
                launch(queue, gpu::batch_norm_backward<T, Whole, Through::all>, grid(backward_blocks), block_of(c), rows,
                       channels, in, normal, tilt, level, wanted.x);
        },
        x, dy, wanted.x, wanted.residual);
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
void bias_relu_backward(const Queue& queue, std::int64_t rows, int channels, const T* y, const T* dy, T* passed,
                        float* scratch, float* dbias, bool add) {
    by_fit<T>(
        channels,
        [&]<bool Whole>() {
            const int parts = start_sums(queue, columns_of<T>(channels), rows, channels,
                                         ReluRows<T, Whole>{y, dy, passed}, scratch);
            launch(queue, finish_sum, finishing_grid(channels), finishing_block(), parts, channels, scratch, dbias, add);
        },
        y, dy, passed);
}

// Windows. `place` has a byte an element, so its packs are aligned where those of 16-byte elements are not.

namespace {

template <class T> bool places_align(const std::uint8_t* place) {
    return reinterpret_cast<std::uintptr_t>(place) % std::size_t(pack_width<T>) == 0;
}
/// A grid of blocks that each take whole lines of an image, up to sixteen a multiprocessor.
dim3 lines_grid(const Queue& queue, const Columns& c, std::int64_t lines) {
    const std::int64_t most = std::int64_t(queue.multiprocessors) * blocks_per_multiprocessor / c.across;
    return grid_of(c, std::clamp<std::int64_t>(std::min(lines, most), 1, grid_y));
}
/// A pointer that says "not aligned" to `by_width`.
const char* unaligned() { return reinterpret_cast<const char*>(std::uintptr_t(1)); }

}  // namespace

template <class T> void max_pool(const Queue& queue, const Pooling& o, const T* x, T* y, std::uint8_t* place) {
    by_width<T>(
        o.channels,
        [&]<int W>() {
            const Columns c(o.channels / W);
            const auto start = [&]<int Taps>() {
                launch(queue, max_pool_forward<T, W, Taps>, lines_grid(queue, c, o.n * o.rows), block_of(c), o, x, y, place);
            };
            if (o.window_w == 3)
                start.template operator()<3>();
            else if (o.window_w == 2)
                start.template operator()<2>();
            else
                start.template operator()<0>();
        },
        x, y, places_align<T>(place) ? nullptr : unaligned());
}
template <class T>
void max_pool_backward(const Queue& queue, const Pooling& o, const T* dy, const std::uint8_t* place, T* dx, bool add) {
    by_width<T>(
        o.channels,
        [&]<int W>() {
            const Columns c(o.channels / W);
            launch(queue, gpu::max_pool_backward<T, W>, lines_grid(queue, c, o.n * o.h), block_of(c), o, dy, place, dx, add);
        },
        dy, dx, places_align<T>(place) ? nullptr : unaligned());
}
template <class T> void average_pool(const Queue& queue, const Pooling& o, const T* x, T* y) {
    by_width<T>(
        o.channels,
        [&]<int W>() {
            const Columns c(o.channels / W);
            launch(queue, average_pool_forward<T, W>, lines_grid(queue, c, o.n * o.rows), block_of(c), o, x, y);
        },
        x, y);
}
template <class T> void average_pool_backward(const Queue& queue, const Pooling& o, const T* dy, T* dx, bool add) {
    by_width<T>(
        o.channels,
        [&]<int W>() {
            const Columns c(o.channels / W);
            launch(queue, gpu::average_pool_backward<T, W>, lines_grid(queue, c, o.n * o.h), block_of(c), o, dy, dx, add);
        },
        dy, dx);
}
template <class T>
void global_average(const Queue& queue, std::int64_t images, std::int64_t positions, int channels, const T* x, T* y) {
    by_width<T>(
        channels,
        [&]<int W>() {
            // Images are the grid's second extent, so more than it holds go in several launches.
            for (std::int64_t first = 0; first < images; first += grid_y) {
                const std::int64_t here = std::min(grid_y, images - first);
                const dim3 grid(unsigned(divided_up(channels / W, average_lanes)), unsigned(here));
                launch(queue, global_average_forward<T, W>, grid, dim3(average_lanes, average_lines), positions,
                       channels, x + first * positions * channels, y + first * channels);
            }
        },
        x, y);
}
template <class T>
void global_average_backward(const Queue& queue, std::int64_t images, std::int64_t positions, int channels, const T* dy,
                             T* dx, bool add) {
    by_width<T>(
        channels,
        [&]<int W>() {
            const std::int64_t packs = images * positions * (channels / W);
            launch(queue, gpu::global_average_backward<T, W>, flat_grid(queue, packs), flat_threads, images, positions,
                   channels, dy, dx, add);
        },
        dy, dx);
}

// Classes.

template <class T> void softmax(const Queue& queue, std::int64_t rows, int channels, const T* x, T* y) {
    launch(queue, softmax_forward<T>, flat_grid(queue, rows), flat_threads, rows, channels, x, y);
}
template <class T>
void softmax_backward(const Queue& queue, std::int64_t rows, int channels, const T* y, const T* dy, T* dx, bool add) {
    launch(queue, softmax_slope<T>, flat_grid(queue, rows), flat_threads, rows, channels, y, dy, dx, add);
}
void cross_entropy(const Queue& queue, int images, int classes, const float* logits, const int* labels,
                   const float* weights, double* losses, float* loss) {
    launch(queue, image_losses, dim3(unsigned(images)), reduce_threads, classes, logits, labels, weights, losses);
    launch(queue, mean_loss, 1, reduce_threads, images, losses, loss);
}
void cross_entropy_backward(const Queue& queue, int images, int classes, const float* logits, const int* labels,
                            const float* weights, const float* dy, float* dx, bool add) {
    launch(queue, cross_entropy_slope, dim3(unsigned(images)), reduce_threads, images, classes, logits, labels, weights,
           dy, dx, add);
}

// Augmentation and regularisation.

template <class T> void dropout(const Queue& queue, std::int64_t count, const Mask* mask, const T* x, T* y, bool add) {
    launch(queue, masked_copy<T>, flat_grid(queue, divided_up(count, 4)), flat_threads, count, mask, x, y, add);
}
template <class T>
void affine_warp(const Queue& queue, const Warping& o, const WarpImage* images, bool shifted, const T* x, float* range,
                 T* y) {
    if (o.n == 0) return;
    if (shifted) launch(queue, warp_range<T>, dim3(unsigned(o.n)), range_threads, o, images, x, range);
    launch(queue, warp_forward<T>, flat_grid(queue, o.n * o.h * o.w), flat_threads, o, images, x, range, y);
}
template <class T>
void affine_warp_backward(const Queue& queue, const Warping& o, const WarpImage* images, bool shifted, const T* x,
                          const T* dy, float* range, T* dx, bool add) {
    if (o.n == 0) return;
    if (shifted) launch(queue, warp_range<T>, dim3(unsigned(o.n)), range_threads, o, images, x, range);
    launch(queue, warp_backward<T>, flat_grid(queue, o.n * o.h * o.w), flat_threads, o, images, x, dy, range, dx, add);
}

// Optimizers and norms.

void adam(const Queue& queue, const StepParameter* all, int count, std::int64_t chunks, const AdamNumbers* numbers,
          const float* scale) {
    if (count) launch(queue, adam_step, dim3(unsigned(chunks)), flat_threads, all, count, numbers, scale);
}
void sgd(const Queue& queue, const StepParameter* all, int count, std::int64_t chunks, const SgdNumbers* numbers,
         const float* scale) {
    if (count) launch(queue, sgd_step, dim3(unsigned(chunks)), flat_threads, all, count, numbers, scale);
}
void widen_gradients(const Queue& queue, const NarrowGradient* all, int count, std::int64_t chunks) {
    if (chunks) launch(queue, widen_all, dim3(unsigned(chunks)), flat_threads, all, count);
}
template <class T> void squared_norm(const Queue& queue, std::int64_t count, const T* x, double* scratch) {
    const dim3 parts(std::min(flat_grid(queue, count).x, unsigned(reduce_threads)));
    launch(queue, square_parts<T>, parts, reduce_threads, count, x, scratch + 1);
    launch(queue, join_parts, 1, reduce_threads, std::int64_t(parts.x), scratch + 1, scratch);
}
void squared_norm(const Queue& queue, const NormPart* all, int count, std::int64_t chunks, double* scratch) {
    if (chunks) launch(queue, square_chunks, dim3(unsigned(chunks)), reduce_threads, all, count, scratch + 1);
    launch(queue, join_parts, 1, reduce_threads, chunks, scratch + 1, scratch);
}
void step_scale(const Queue& queue, const double* squares, const float* loss, const StepLimit* limit, float* out) {
    launch(queue, decide_step, 1, 1, squares, loss, limit, out);
}
template <class T> void find_not_finite(const Queue& queue, std::int64_t count, const T* x, int* bad) {
    launch(queue, not_finite<T>, flat_grid(queue, count), flat_threads, count, x, bad);
}

// What exists: every launcher for every element type.

#define HOLON_KERNELS_OF(T)                                                                                           \
    template void relu(const Queue&, std::int64_t, const T*, T*);                                                     \
    template void relu_backward(const Queue&, std::int64_t, const T*, const T*, T*, bool);                            \
    template void add(const Queue&, std::int64_t, const T*, const T*, T*);                                            \
    template void scale(const Queue&, std::int64_t, float, T*);                                                       \
    template void carry(const Queue&, std::int64_t, const T*, T*, bool);                                              \
    template void add_bias(const Queue&, std::int64_t, int, const float*, bool, T*);                                  \
    template void bias_relu_backward(const Queue&, std::int64_t, int, const T*, const T*, T*, float*, float*, bool);  \
    template void channel_sum(const Queue&, std::int64_t, int, const T*, float*, float*, bool);                       \
    template void batch_statistics(const Queue&, std::int64_t, int, const T*, float, const RunningStatistics&,        \
                                   float*, float*, float*);                                                           \
    template void batch_norm(const Queue&, std::int64_t, int, const T*, const T*, const Channels&, bool, T*,          \
                             std::uint8_t*);                                                                          \
    template void batch_norm_backward(const Queue&, std::int64_t, int, const T*, const std::uint8_t*, const T*,       \
                                      const Channels&, bool, bool, const BatchNormTargets<T>&, float*);               \
    template void max_pool(const Queue&, const Pooling&, const T*, T*, std::uint8_t*);                                \
    template void max_pool_backward(const Queue&, const Pooling&, const T*, const std::uint8_t*, T*, bool);           \
    template void average_pool(const Queue&, const Pooling&, const T*, T*);                                           \
    template void average_pool_backward(const Queue&, const Pooling&, const T*, T*, bool);                            \
    template void global_average(const Queue&, std::int64_t, std::int64_t, int, const T*, T*);                        \
    template void global_average_backward(const Queue&, std::int64_t, std::int64_t, int, const T*, T*, bool);         \
    template void softmax(const Queue&, std::int64_t, int, const T*, T*);                                             \
    template void softmax_backward(const Queue&, std::int64_t, int, const T*, const T*, T*, bool);                    \
    template void dropout(const Queue&, std::int64_t, const Mask*, const T*, T*, bool);                               \
    template void affine_warp(const Queue&, const Warping&, const WarpImage*, bool, const T*, float*, T*);            \
    template void affine_warp_backward(const Queue&, const Warping&, const WarpImage*, bool, const T*, const T*,      \
                                       float*, T*, bool);                                                             \
    template void squared_norm(const Queue&, std::int64_t, const T*, double*);                                        \
    template void find_not_finite(const Queue&, std::int64_t, const T*, int*);

HOLON_KERNELS_OF(float)
HOLON_KERNELS_OF(bfloat16)
HOLON_KERNELS_OF(float16)

template void carry(const Queue&, std::int64_t, const float*, bfloat16*, bool);
template void carry(const Queue&, std::int64_t, const float*, float16*, bool);
template void carry(const Queue&, std::int64_t, const bfloat16*, float*, bool);
template void carry(const Queue&, std::int64_t, const float16*, float*, bool);

}  // namespace holon::gpu
