// kernels.cu: launchers (op/gpu/kernels.hpp), which choose the width of packs and grids, of what acts on elements, classes,
// images to be warped and parameters. batch_norm.cu and pool2d.cu have the others.
#include <holon/affine_warp.cuh>
#include <holon/channels.cuh>
#include <holon/classify.cuh>
#include <holon/dropout.cuh>
#include <holon/elementwise.cuh>
#include <holon/launch.cuh>
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
template <class From, class To>
void pad_channels(const Queue& queue, std::int64_t rows, int channels, const From* x, To* y) {
    if (rows) launch(queue, zero_padded_channels<From, To>, flat_grid(queue, rows), flat_threads, rows, channels, x, y);
}
void inverse_deviation(const Queue& queue, int channels, const float* variance, float epsilon, float* out) {
    by_alignment<float>(
        [&]<int W>() {
            start_each<W>(queue, channels, InverseDeviation{variance, epsilon, out});
        },
        variance, out);
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
    template void softmax(const Queue&, std::int64_t, int, const T*, T*);                                             \
    template void softmax_backward(const Queue&, std::int64_t, int, const T*, const T*, T*, bool);                    \
    template void dropout(const Queue&, std::int64_t, const Mask*, const T*, T*, bool);                               \
    template void affine_warp(const Queue&, const Warping&, const WarpImage*, bool, const T*, float*, T*);            \
    template void affine_warp_backward(const Queue&, const Warping&, const WarpImage*, bool, const T*, const T*,      \
        float*, T*, bool);                                                                                            \
    template void squared_norm(const Queue&, std::int64_t, const T*, double*);                                        \
    template void find_not_finite(const Queue&, std::int64_t, const T*, int*);

HOLON_KERNELS_OF(float)
HOLON_KERNELS_OF(bfloat16)
HOLON_KERNELS_OF(float16)

template void carry(const Queue&, std::int64_t, const float*, bfloat16*, bool);
template void carry(const Queue&, std::int64_t, const float*, float16*, bool);
template void carry(const Queue&, std::int64_t, const bfloat16*, float*, bool);
template void carry(const Queue&, std::int64_t, const float16*, float*, bool);
template void pad_channels(const Queue&, std::int64_t, int, const bfloat16*, bfloat16*);
template void pad_channels(const Queue&, std::int64_t, int, const float*, bfloat16*);

}  // namespace holon::gpu
