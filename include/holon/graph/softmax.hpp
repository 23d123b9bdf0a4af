// graph/softmax.hpp: scores to shares, and the loss that punishes the log of the right one's.
#pragma once
#include <span>
#include <vector>

#include <holon/graph/variable.hpp>

namespace holon {

/// y_k = exp(x_k) / sum_j exp(x_j) over the channels of each position; dx_k = y_k (dy_k - sum_j dy_j y_j).
template <Element T, Device D>
Variable<T, D> softmax(const Variable<T, D>& x) {
    Context<D>& context = x.context();
    const Tensor<T, D> y = op::softmax(context, x.value());
    return Variable<T, D>::result(
        "softmax", y,
        [y, &context, to_x = x.edge()](const Tensor<T, D>& dy) {
            to_x.give([&](Tensor<T, D>& g, Gradient mode) { op::softmax_backward(context, y, dy, g, mode); });
        },
        x);
}

/// (1/n) sum_i w_i * -log softmax(x_i)[label_i], as 1x1x1x1, for logits (n, 1, 1, classes) in float or double.
/// dx_i = (w_i / n) (softmax(x_i) - onehot(label_i)).
template <class A, Device D>
Variable<A, D> cross_entropy(const Variable<A, D>& logits, const op::Targets<D>& targets) {
    Context<D>& context = logits.context();
    return Variable<A, D>::result(
        "cross_entropy", op::cross_entropy(context, logits.value(), targets),
        [seen = logits.value(), targets, &context, to_x = logits.edge()](const Tensor<A, D>& dy) {
            to_x.give([&](Tensor<A, D>& g, Gradient mode) {
                op::cross_entropy_backward(context, seen, targets, dy, g, mode);
            });
        },
        logits);
}
/// The same for labels, and weights (empty: 1 each), of this machine.
template <class A, Device D>
Variable<A, D> cross_entropy(const Variable<A, D>& logits, std::span<const int> labels,
                             std::span<const float> weights = {}) {
    op::expects_labels(logits.shape(), labels, weights);
    op::Targets<D> targets(logits.shape().c, logits.context());
    targets.set(labels, weights);
    return cross_entropy(logits, targets);
}

}  // namespace holon
