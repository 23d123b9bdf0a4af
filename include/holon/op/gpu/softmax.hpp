// op/gpu/softmax.hpp: scores to shares, and the loss of labels under them, on a card.
#pragma once
#include <holon/op/gpu/queue.hpp>
#include <holon/op/step.hpp>

namespace holon::op {

template <Element T> Tensor<T, Gpu> softmax(Context<Gpu>& context, const Tensor<T, Gpu>& x) {
    const Shape s = x.shape();
    expects(s.c > 0, "softmax: no channels in ", s);
    Tensor<T, Gpu> y(s, context);
    gpu::softmax(gpu_detail::queue(context), s.rows(), gpu_detail::narrow("softmax", s.c), x.data(), y.data());
    return y;
}
template <Element T>
void softmax_backward(Context<Gpu>& context, const Tensor<T, Gpu>& y, const Tensor<T, Gpu>& dy, Tensor<T, Gpu>& dx,
                      Gradient mode) {
    expects_same("softmax_backward", y, dy);
    expects_same("softmax_backward", y, dx);
    gpu::softmax_backward(gpu_detail::queue(context), y.shape().rows(),
                          gpu_detail::narrow("softmax_backward", y.shape().c), y.data(), dy.data(), dx.data(),
                          gpu_detail::adds(mode));
}

template <> class Targets<Gpu> {
 public:
    explicit Targets(std::int64_t classes, Context<Gpu>& context = default_context<Gpu>())
        : classes_(classes), context_(&context) {}
    void set(std::span<const int> labels, std::span<const float> weights = {}) {
        expects_labels({std::int64_t(labels.size()), 1, 1, classes_}, labels, weights);
        count_ = std::int64_t(labels.size());
        gpu_detail::send(*context_, labels, labels_);
        gpu_detail::send(*context_, weights, weights_);
    }
    std::int64_t size() const { return count_; }
    std::int64_t classes() const { return classes_; }
    const int* labels() const { return gpu_detail::as<int>(labels_); }
    /// Null where all count the same.
    const float* weights() const { return weights_ ? gpu_detail::as<float>(weights_) : nullptr; }

 private:
    std::int64_t classes_, count_ = 0;
    Context<Gpu>* context_;
    gpu_detail::Bytes labels_, weights_;
};

namespace gpu_detail {
inline void expects_targets(const Shape& logits, const Targets<Gpu>& targets) {
    expects_logits(logits);
    expects(logits == Shape({targets.size(), 1, 1, targets.classes()}), "cross_entropy: logits ", logits, " against ",
            targets.size(), " labels of ", targets.classes(), " classes");
}
inline Targets<Gpu> targets_of(Context<Gpu>& context, const Shape& logits, std::span<const int> labels,
                               std::span<const float> weights) {
    expects_labels(logits, labels, weights);
    Targets<Gpu> targets(logits.c, context);
    targets.set(labels, weights);
    return targets;
}
}  // namespace gpu_detail

inline Tensor<float, Gpu> cross_entropy(Context<Gpu>& context, const Tensor<float, Gpu>& logits,
                                        const Targets<Gpu>& targets) {
    gpu_detail::expects_targets(logits.shape(), targets);
    Tensor<float, Gpu> loss({1, 1, 1, 1}, context);
    gpu_detail::Bytes losses(vector_shape(logits.shape().n * std::int64_t(sizeof(double))), context);
    gpu::cross_entropy(gpu_detail::queue(context), gpu_detail::narrow("cross_entropy", logits.shape().n),
                       gpu_detail::narrow("cross_entropy", logits.shape().c), logits.data(), targets.labels(),
                       targets.weights(), gpu_detail::as<double>(losses), loss.data());
    return loss;
}
inline void cross_entropy_backward(Context<Gpu>& context, const Tensor<float, Gpu>& logits, const Targets<Gpu>& targets,
                                   const Tensor<float, Gpu>& dy, Tensor<float, Gpu>& dlogits, Gradient mode) {
    gpu_detail::expects_targets(logits.shape(), targets);
    expects_same("cross_entropy_backward", logits, dlogits);
    gpu::cross_entropy_backward(gpu_detail::queue(context),
                                gpu_detail::narrow("cross_entropy_backward", logits.shape().n),
                                gpu_detail::narrow("cross_entropy_backward", logits.shape().c), logits.data(),
                                targets.labels(), targets.weights(), dy.data(), dlogits.data(), gpu_detail::adds(mode));
}
inline Tensor<float, Gpu> cross_entropy(Context<Gpu>& context, const Tensor<float, Gpu>& logits,
                                        std::span<const int> labels, std::span<const float> weights) {
    return cross_entropy(context, logits, gpu_detail::targets_of(context, logits.shape(), labels, weights));
}
inline void cross_entropy_backward(Context<Gpu>& context, const Tensor<float, Gpu>& logits, std::span<const int> labels,
                                   std::span<const float> weights, const Tensor<float, Gpu>& dy,
                                   Tensor<float, Gpu>& dlogits, Gradient mode) {
    cross_entropy_backward(context, logits, gpu_detail::targets_of(context, logits.shape(), labels, weights), dy,
                           dlogits, mode);
}

}  // namespace holon::op
