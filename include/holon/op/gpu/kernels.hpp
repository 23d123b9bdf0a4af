// op/gpu/kernels.hpp: what the sources in cuda/holon offer the host: plain numbers and pointers into the device's memory,
// and no CUDA header. Launchers return at once; the work follows in the queue's stream.
#pragma once
#include <cstdint>
#include <type_traits>

#include <holon/core/element.hpp>

struct CUstream_st;

namespace holon::gpu {

/// Elements of T in an access of 16 bytes: launchers take such packs where channels and pointers allow it.
template <class T> constexpr int pack_width = 16 / int(sizeof(T));

/// Where work goes, and how wide the card is. `blocks_done`, for kernels that sum over rows, has `most_columns` zeros
/// (op/gpu/columns.hpp) on the device, which are zeros again behind each of them.
struct Queue {
    CUstream_st* stream = nullptr;
    int multiprocessors = 1;
    unsigned* blocks_done = nullptr;
};

/// The four vectors of a normalisation; see op::Normalization.
struct Channels {
    const float *mean, *inverse_deviation, *weight, *bias;
};

/// Running statistics: each becomes keep * itself + its share * the batch's, with `shift`, if not null, added to the
/// batch's mean.
struct RunningStatistics {
    float *mean, *variance;
    float keep, mean_share, variance_share;
    const float* shift = nullptr;
};

/// Where batch norm's gradients go, and which are added; null: not wanted.
template <class T> struct BatchNormTargets {
    T *x, *residual;
    float *weight, *bias;
    bool add_x, add_residual, add_weight, add_bias;
};

/// An image n x h x w x channels and its pooled form n x rows x columns x channels.
struct Pooling {
    std::int64_t n, h, w, rows, columns;
    int channels, window_h, window_w, step_h, step_w, top, left;
};

/// See op::DropoutMask; `bar` is rate * 2^32, `keep` 1 / (1 - rate).
struct Mask {
    std::uint64_t seed, stream, first, bar;
    float keep;
};

/// See op::Warp. `low` and `high` are where a shifted image is cut, filled in on the device.
struct WarpImage {
    double matrix[4], offset[2];
    float shift[3];
    bool flip_horizontal, flip_vertical, shifted;
};

/// n images of h x w x `from` channels become h x w x `channels`; see op::WarpOptions.
struct Warping {
    std::int64_t n, h, w;
    int from, channels;
    bool bilinear;
    float mean[3], scale[3];
};

/// Elements that one block of an optimizer's step takes.
constexpr int step_chunk = 2048;

/// An element type of 16 bits, or none.
enum class NarrowType : int { none, bfloat16, float16 };
template <class T> constexpr NarrowType narrow_type() {
    return std::is_same_v<T, bfloat16> ? NarrowType::bfloat16 : std::is_same_v<T, float16> ? NarrowType::float16 : NarrowType::none;
}

/// One parameter of a step of Adam or SGD. `first_chunk` counts the chunks of the parameters before it; SGD's velocity
/// is `first`, which may be null.
struct StepParameter {
    const float* gradient;
    float *value, *first, *second;
    std::int64_t count, first_chunk;
    float rate;     ///< learning rate
    float coupled;  ///< times the value, joins the gradient
    float shrink;   ///< 1 - learning rate * decoupled decay
    NarrowType copy_type = NarrowType::none;
    void* copy = nullptr;  ///< the value in 16 bits, which is written with it
    int channels = 0, padded = 0;  ///< where they differ: the copy has zeros behind the channels of a row
};

/// A gradient in 16 bits, and the float one that it becomes or is added to; `first_chunk` counts the chunks, of
/// `step_chunk` elements, of those before it. Where they differ, of each row of `padded` elements the first `channels` count.
struct NarrowGradient {
    const void* from;
    float* to;
    std::int64_t count, first_chunk;
    NarrowType type;
    bool add;
    int channels = 0, padded = 0;
};

/// What all parameters of a step of Adam share; `rate` and `root` are 1 / (1 - beta1^step) and 1 / sqrt(1 -
/// beta2^step); gradients count `unscale` times.
struct AdamNumbers {
    float beta1, rest1, beta2, rest2, rate, root, epsilon, unscale;
};

/// The same for SGD.
struct SgdNumbers {
    float momentum, unscale;
    bool nesterov;
};

/// See op::StepLimit.
struct StepLimit {
    double unscale, clip;
};

/// Elements that one block of a norm over several tensors sums.
constexpr int norm_chunk = 8192;

/// One tensor of such a norm; `first_chunk` counts the chunks of those before it.
struct NormPart {
    const float* x;
    std::int64_t count, first_chunk;
};

template <class T> void relu(const Queue&, std::int64_t count, const T* x, T* y);
template <class T> void relu_backward(const Queue&, std::int64_t count, const T* y, const T* dy, T* dx, bool add);
/// y = a + b; y may be a or b.
template <class T> void add(const Queue&, std::int64_t count, const T* a, const T* b, T* y);
template <class T> void scale(const Queue&, std::int64_t count, float factor, T* x);
/// y = x, or y += x, as another element type; From or To is float, or both are the same.
template <class From, class To> void carry(const Queue&, std::int64_t count, const From* x, To* y, bool add);
/// y = x with zeros behind the channels of each row, up to `pack_width<To>`, which is at least `channels`. y is aligned to
/// 16 bytes.
template <class From, class To>
void pad_channels(const Queue&, std::int64_t rows, int channels, const From* x, To* y);
/// y_k += bias_k in every row, then max(., 0) if `relu`.
template <class T> void add_bias(const Queue&, std::int64_t rows, int channels, const float* bias, bool relu, T* y);

/// `scratch` here and below has as many floats as `sums_scratch` (op/gpu/columns.hpp) says.
template <class T>
void channel_sum(const Queue&, std::int64_t rows, int channels, const T* dy, float* scratch, float* out, bool add);
/// Writes dy where y > 0, else 0, to `masked`, which may be dy, and sums that into `dbias`.
template <class T>
void bias_relu_backward(const Queue&, std::int64_t rows, int channels, const T* y, const T* dy, T* masked,
                        float* scratch, float* dbias, bool add);
/// Mean and 1 / sqrt(variance + epsilon) of each channel; moves the running statistics.
template <class T>
void batch_statistics(const Queue&, std::int64_t rows, int channels, const T* x, float epsilon,
                      const RunningStatistics& running, float* scratch, float* mean, float* inverse_deviation);
/// The same from each channel's sum, and the sum of squares, over `count` rows.
void batch_statistics(const Queue&, std::int64_t count, int channels, const float* sum, const float* squares,
                      float epsilon, const RunningStatistics& running, float* mean, float* inverse_deviation);
void inverse_deviation(const Queue&, int channels, const float* variance, float epsilon, float* out);
/// `mask_bits`, null or a byte for each pack of `pack_width<T>` channels of a row, is written where there are `relu` and residual: bit i says that
/// the ReLU let the pack's channel i through.
template <class T>
void batch_norm(const Queue&, std::int64_t rows, int channels, const T* x, const T* residual, const Channels&,
                bool relu, T* y, std::uint8_t* mask_bits);
/// `mask_bits` null: with `relu`, what it let through is taken from the normalised x. The residual's gradient may lie over
/// dy where it is assigned.
template <class T>
void batch_norm_backward(const Queue&, std::int64_t rows, int channels, const T* x, const std::uint8_t* mask_bits,
                         const T* dy, const Channels&, bool relu, bool batch_statistics, const BatchNormTargets<T>&,
                         float* scratch);

/// y = max(batch_norm(x) + batch_norm(residual), 0), the residual's part rounded to T; `mask_bits` as above.
template <class T>
void batch_norm_pair(const Queue&, std::int64_t rows, int channels, const T* x, const Channels&, const T* residual,
                     const Channels& of_residual, T* y, std::uint8_t* mask_bits);
/// A gradient may lie over its image. Neither target has a residual of its own.
template <class T>
void batch_norm_pair_backward(const Queue&, std::int64_t rows, int channels, const T* x, const Channels&,
                              const T* residual, const Channels& of_residual, const std::uint8_t* mask_bits, const T* dy,
                              bool batch_statistics, const BatchNormTargets<T>&, const BatchNormTargets<T>& to_residual,
                              float* scratch);

template <class T> void max_pool(const Queue&, const Pooling&, const T* x, T* y, std::uint8_t* place);
template <class T>
void max_pool_backward(const Queue&, const Pooling&, const T* dy, const std::uint8_t* place, T* dx, bool add);
template <class T> void average_pool(const Queue&, const Pooling&, const T* x, T* y);
template <class T> void average_pool_backward(const Queue&, const Pooling&, const T* dy, T* dx, bool add);
template <class T>
void global_average(const Queue&, std::int64_t images, std::int64_t positions, int channels, const T* x, T* y);
template <class T>
void global_average_backward(const Queue&, std::int64_t images, std::int64_t positions, int channels, const T* dy,
                             T* dx, bool add);

template <class T> void softmax(const Queue&, std::int64_t rows, int channels, const T* x, T* y);
template <class T>
void softmax_backward(const Queue&, std::int64_t rows, int channels, const T* y, const T* dy, T* dx, bool add);
/// Labels and weights (null: 1) are on the device; `losses` has room for one number an image.
void cross_entropy(const Queue&, int images, int classes, const float* logits, const int* labels, const float* weights,
                   double* losses, float* loss);
void cross_entropy_backward(const Queue&, int images, int classes, const float* logits, const int* labels,
                            const float* weights, const float* dy, float* dx, bool add);

/// `mask` is on the device.
template <class T> void dropout(const Queue&, std::int64_t count, const Mask* mask, const T* x, T* y, bool add);

/// `images` are on the device; `range` holds two floats an image, filled in here where `shifted` says that any needs
/// them.
template <class T>
void affine_warp(const Queue&, const Warping&, const WarpImage* images, bool shifted, const T* x, float* range, T* y);
template <class T>
void affine_warp_backward(const Queue&, const Warping&, const WarpImage* images, bool shifted, const T* x, const T* dy,
                          float* range, T* dx, bool add);

/// `all`, `numbers` and `scale` are on the device; `chunks` is the chunks of all parameters. `scale` (null: the
/// numbers' own `unscale`, and the step is taken) is op::step_scale's answer.
void adam(const Queue&, const StepParameter* all, int count, std::int64_t chunks, const AdamNumbers* numbers,
          const float* scale);
void sgd(const Queue&, const StepParameter* all, int count, std::int64_t chunks, const SgdNumbers* numbers,
         const float* scale);

/// `all` is on the device.
void widen_gradients(const Queue&, const NarrowGradient* all, int count, std::int64_t chunks);

/// Doubles of scratch memory that `squared_norm` needs, the result among them: it is the first.
constexpr int norm_scratch = 1 + 256;
template <class T> void squared_norm(const Queue&, std::int64_t count, const T* x, double* scratch);
/// Over several tensors, in two launches; `all` is on the device, `scratch` holds 1 + chunks doubles, the result first.
void squared_norm(const Queue&, const NormPart* all, int count, std::int64_t chunks, double* scratch);
/// Formula: op::step_scale; `squares` or `loss` null: not asked. All are on the device.
void step_scale(const Queue&, const double* squares, const float* loss, const StepLimit* limit, float* out);
/// Sets *bad to 1 where any element is infinite or NaN, and leaves it else.
template <class T> void find_not_finite(const Queue&, std::int64_t count, const T* x, int* bad);

}  // namespace holon::gpu
