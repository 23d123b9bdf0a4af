// op/gpu/softmax.hpp: scores to shares, and the loss of labels under them, on a card.
#pragma once
#include <holon/op/gpu/queue.hpp>

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

namespace gpu_detail {
/// Labels and weights on the card, and the extents of the logits.
struct Labelled {
    int images, classes;
    Bytes labels, weights;
    Labelled(const char* op, Context<Gpu>& context, const Shape& logits, std::span<const int> of,
             std::span<const float> heavy)
        : images(narrow(op, logits.n)), classes(narrow(op, logits.c)), labels(on_card(context, of)) {
        if (!heavy.empty()) weights = on_card(context, heavy);
    }
    const float* weights_or_null() const { return weights ? as<float>(weights) : nullptr; }
};
}  // namespace gpu_detail

inline Tensor<float, Gpu> cross_entropy(Context<Gpu>& context, const Tensor<float, Gpu>& logits,
                                        std::span<const int> labels, std::span<const float> weights) {
    expects_labels(logits.shape(), labels, weights);
    const gpu_detail::Labelled of("cross_entropy", context, logits.shape(), labels, weights);
    Tensor<float, Gpu> loss({1, 1, 1, 1}, context);
    gpu::cross_entropy(gpu_detail::queue(context), of.images, of.classes, logits.data(), gpu_detail::as<int>(of.labels),
                       of.weights_or_null(), loss.data());
    return loss;
}
inline void cross_entropy_backward(Context<Gpu>& context, const Tensor<float, Gpu>& logits, std::span<const int> labels,
                                   std::span<const float> weights, const Tensor<float, Gpu>& dy,
                                   Tensor<float, Gpu>& dlogits, Gradient mode) {
    expects_labels(logits.shape(), labels, weights);
    expects_same("cross_entropy_backward", logits, dlogits);
    const gpu_detail::Labelled of("cross_entropy_backward", context, logits.shape(), labels, weights);
    gpu::cross_entropy_backward(gpu_detail::queue(context), of.images, of.classes, logits.data(),
                                gpu_detail::as<int>(of.labels), of.weights_or_null(), dy.data(), dlogits.data(),
                                gpu_detail::adds(mode));
}

}  // namespace holon::op
