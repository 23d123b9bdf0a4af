// op/cpu/softmax.hpp: shares over channels, and the cross-entropy of labels under them. Small tensors: plain loops.
#pragma once
#include <cmath>
#include <span>

#include <holon/op/cpu/loop.hpp>
#include <holon/op/types.hpp>

namespace holon::op {

/// y_k = exp(x_k - max x) / sum_j exp(x_j - max x) over the channels of each position.
template <Element T>
Tensor<T, Cpu> softmax(Context<Cpu>& context, const Tensor<T, Cpu>& x) {
    using A = Accumulate<T>;
    const Shape s = x.shape();
    expects(s.c > 0, "softmax: no channels in ", s);
    Tensor<T, Cpu> y(s, context);
    const T* from = x.data();
    T* to = y.data();
    for (std::int64_t r = 0; r < s.rows(); ++r, from += s.c, to += s.c) {
        A top = cpu::widen(from[0]), sum = 0;
        for (std::int64_t k = 1; k < s.c; ++k) top = std::max(top, cpu::widen(from[k]));
        for (std::int64_t k = 0; k < s.c; ++k) sum += std::exp(cpu::widen(from[k]) - top);
        for (std::int64_t k = 0; k < s.c; ++k) to[k] = cpu::narrow<T>(std::exp(cpu::widen(from[k]) - top) / sum);
    }
    return y;
}

/// dx_k = y_k (dy_k - sum_j dy_j y_j).
template <Element T>
void softmax_backward(Context<Cpu>&, const Tensor<T, Cpu>& y, const Tensor<T, Cpu>& dy, Tensor<T, Cpu>& dx,
                      Gradient mode) {
    using A = Accumulate<T>;
    expects_same("softmax_backward", y, dy);
    expects_same("softmax_backward", y, dx);
    const Shape s = y.shape();
    const T *at = y.data(), *from = dy.data();
    T* to = dx.data();
    for (std::int64_t r = 0; r < s.rows(); ++r, at += s.c, from += s.c, to += s.c) {
        A dot = 0;
        for (std::int64_t k = 0; k < s.c; ++k) dot += cpu::widen(at[k]) * cpu::widen(from[k]);
        for (std::int64_t k = 0; k < s.c; ++k)
            cpu::put(to[k], cpu::widen(at[k]) * (cpu::widen(from[k]) - dot), mode == Gradient::add);
    }
}

/// (1/n) sum_i w_i (log sum_k exp(x_ik) - x_i,label_i), summed in double, as 1x1x1x1; empty weights are 1.
template <Element A>
Tensor<A, Cpu> cross_entropy(Context<Cpu>& context, const Tensor<A, Cpu>& logits, std::span<const int> labels,
                             std::span<const float> weights) {
    const Shape s = logits.shape();
    expects_labels(s, labels, weights);
    const A* from = logits.data();
    double loss = 0;
    for (std::int64_t i = 0; i < s.n; ++i, from += s.c) {
        double top = double(from[0]), sum = 0;
        for (std::int64_t k = 1; k < s.c; ++k) top = std::max(top, double(from[k]));
        for (std::int64_t k = 0; k < s.c; ++k) sum += std::exp(double(from[k]) - top);
        const double weight = weights.empty() ? 1.0 : double(weights[std::size_t(i)]);
        loss += weight * (top + std::log(sum) - double(from[labels[std::size_t(i)]]));
    }
    return full<A>({1, 1, 1, 1}, A(loss / double(s.n)), context);
}

/// dy * (w_i / n) * (softmax(x_i) - onehot(label_i)).
template <Element A>
void cross_entropy_backward(Context<Cpu>& context, const Tensor<A, Cpu>& logits, std::span<const int> labels,
                            std::span<const float> weights, const Tensor<A, Cpu>& dy, Tensor<A, Cpu>& dlogits,
                            Gradient mode) {
    const Shape s = logits.shape();
    expects_labels(s, labels, weights);
    expects_same("cross_entropy_backward", logits, dlogits);
    const Tensor<A, Cpu> shares = softmax(context, logits);
    const A* p = shares.data();
    const double upstream = double(dy.data()[0]);
    A* to = dlogits.data();
    for (std::int64_t i = 0; i < s.n; ++i)
        for (std::int64_t k = 0; k < s.c; ++k) {
            const double weight = weights.empty() ? 1.0 : double(weights[std::size_t(i)]);
            const double hit = labels[std::size_t(i)] == k ? 1.0 : 0.0;
            cpu::put(to[i * s.c + k], A(upstream * weight / double(s.n) * (double(p[i * s.c + k]) - hit)),
                     mode == Gradient::add);
        }
}

}  // namespace holon::op
