// op/cpu/batch_norm.hpp: batch norm with the residual and ReLU that follow it: one read and one write a pass.
#pragma once
#include <cmath>

#include <holon/op/cpu/sums.hpp>
#include <holon/op/types.hpp>

namespace holon::op {

/// out_k = sum over n, h, w of dy, the gradient of a bias. out is 1x1x1xc.
template <Element T>
void channel_sum(Context<Cpu>&, const Tensor<T, Cpu>& dy, Tensor<Accumulate<T>, Cpu>& out, Gradient mode) {
    using A = Accumulate<T>;
    const Shape s = dy.shape();
    expects_channels("channel_sum", s, out);
    std::vector<double> sum;
    const T* from = dy.data();
    cpu::row_sums<A>(s.rows(), s.c, {&sum}, [&](std::int64_t r, A* a) {
        const T* at = from + r * s.c;
#pragma omp simd
        for (std::int64_t k = 0; k < s.c; ++k) a[k] += cpu::widen(at[k]);
    });
    A* to = out.data();
    for (std::int64_t k = 0; k < s.c; ++k) cpu::put(to[k], A(sum[std::size_t(k)]), mode == Gradient::add);
}

/// Statistics of each channel over n, h, w; moves the running ones. x is read once (twice for double); values are shifted
/// by a mean over a few rows first, so that a large common level costs no digits.
template <Element T>
BatchStatistics<Accumulate<T>, Cpu> batch_statistics(Context<Cpu>& context, const Tensor<T, Cpu>& x, double epsilon,
                                                     const RunningStatistics<Accumulate<T>, Cpu>& running) {
    using A = Accumulate<T>;
    const Shape s = x.shape();
    expects_batch_statistics(x, running);
    const T* from = x.data();
    const std::size_t c = std::size_t(s.c);
    std::vector<A> shift(c);
    std::vector<double> sum, square;
    if constexpr (std::same_as<T, double>) {
        cpu::row_sums<A>(s.rows(), s.c, {&sum}, [&](std::int64_t r, A* a) {
            for (std::size_t k = 0; k < c; ++k) a[k] += from[r * s.c + std::int64_t(k)];
        });
        for (std::size_t k = 0; k < c; ++k) shift[k] = sum[k] / double(s.rows());
    } else {
        const std::int64_t samples = std::min<std::int64_t>(s.rows(), 32);
        for (std::int64_t i = 0; i < samples; ++i) {
            const T* at = from + (s.rows() * i / samples) * s.c;
            for (std::size_t k = 0; k < c; ++k) shift[k] += cpu::widen(at[k]) / A(samples);
        }
    }
    cpu::row_sums<A>(s.rows(), s.c, {&sum, &square}, [&](std::int64_t r, A* a, A* b) {
        const T* at = from + r * s.c;
        const A* level = shift.data();
#pragma omp simd
        for (std::int64_t k = 0; k < s.c; ++k) {
            const A v = cpu::widen(at[k]) - level[k];
            a[k] += v;
            b[k] += v * v;
        }
    });
    BatchStatistics<A, Cpu> out{Tensor<A, Cpu>(vector_shape(s.c), context), Tensor<A, Cpu>(vector_shape(s.c), context)};
    A *mean = out.mean.data(), *deviation = out.inverse_deviation.data(), *running_mean = running.mean->data(),
      *running_variance = running.variance->data();
    const A* const shift_of_x = running.shift ? running.shift->data() : nullptr;
    const double keep = 1 - running.momentum, correction = running.correction(s.rows());
    for (std::size_t k = 0; k < c; ++k) {
        const double away = sum[k] / double(s.rows());
        mean[k] = A(double(shift[k]) + away);
        const A variance = A(std::max(0.0, square[k] / double(s.rows()) - away * away));
        deviation[k] = A(1.0 / std::sqrt(double(variance) + epsilon));
        const double joins = double(mean[k]) + (shift_of_x ? double(shift_of_x[k]) : 0);
        running_mean[k] = A(keep * double(running_mean[k]) + running.momentum * joins);
        running_variance[k] =
            A(keep * double(running_variance[k]) + running.momentum * correction * double(variance));
    }
    return out;
}

/// 1 / sqrt(variance + epsilon).
template <Element A>
Tensor<A, Cpu> inverse_deviation(Context<Cpu>& context, const Tensor<A, Cpu>& variance, double epsilon) {
    Tensor<A, Cpu> out(variance.shape(), context);
    const A* from = variance.data();
    A* to = out.data();
    for (std::int64_t k = 0; k < variance.size(); ++k) to[k] = A(1.0 / std::sqrt(double(from[k]) + epsilon));
    return out;
}

/// y = (x - mean) * inverse_deviation * weight + bias, plus `residual` if not null, then max(., 0) if `relu`. `masked`: the
/// backward pass wants the mask of that ReLU.
template <Element T>
BatchNormed<T, Cpu> batch_norm(Context<Cpu>& context, const Tensor<T, Cpu>& x, const Tensor<T, Cpu>* residual,
                               const Normalization<Accumulate<T>, Cpu>& normal, bool relu, bool masked) {
    using A = Accumulate<T>;
    const Shape s = x.shape();
    expects_batch_norm("batch_norm", x, residual, normal);
    Tensor<T, Cpu> y(s, context);
    std::vector<A> slope(std::size_t(s.c));
    for (std::size_t k = 0; k < slope.size(); ++k)
        slope[k] = std::as_const(normal.inverse_deviation).data()[k] * std::as_const(normal.weight).data()[k];
    const T *from = x.data(), *beside = residual ? residual->data() : nullptr;
    const A *mean = normal.mean.data(), *bias = normal.bias.data(), *by = slope.data();
    T* to = y.data();
    const auto pass = [&]<bool Residual, bool Relu>() {
        cpu::split(s.rows(), cpu::threads_for(s.size()), [=](std::int64_t begin, std::int64_t end, int) {
            for (std::int64_t r = begin; r < end; ++r) {
                const T* in = from + r * s.c;
                T* out = to + r * s.c;
                const T* also = Residual ? beside + r * s.c : nullptr;
#pragma omp simd
                for (std::int64_t k = 0; k < s.c; ++k) {
                    A v = (cpu::widen(in[k]) - mean[k]) * by[k] + bias[k];
                    if constexpr (Residual) v += cpu::widen(also[k]);
                    if constexpr (Relu) v = v < 0 ? A(0) : v;
                    out[k] = cpu::narrow<T>(v);
                }
            }
        });
    };
    if (residual && relu)
        pass.template operator()<true, true>();
    else if (residual)
        pass.template operator()<true, false>();
    else if (relu)
        pass.template operator()<false, true>();
    else
        pass.template operator()<false, false>();
    return {y, {masked ? y : Tensor<T, Cpu>(), {}}};
}

namespace cpu {

/// Tilt and level of x' = slope * g + tilt * (x - mean) + level, for each channel; both 0 where statistics are not the batch's.
template <class A> struct InputGradient { std::vector<A> tilt, level; };

/// From the sums of g and of g * (x - mean) over `rows` positions: writes the gradients of weight and bias that are wanted.
template <Element T>
InputGradient<Accumulate<T>> finish_gradients(const Normalization<Accumulate<T>, Cpu>& normal, std::int64_t rows,
                                              const std::vector<double>& sum, std::vector<double> product,
                                              bool batch_statistics, const BatchNormGradients<T, Cpu>& wanted) {
    using A = Accumulate<T>;
    const std::size_t c = sum.size();
    const A *deviation = normal.inverse_deviation.data(), *weight = normal.weight.data();
    for (std::size_t k = 0; k < c; ++k) product[k] *= double(deviation[k]);
    if (wanted.weight) {
        A* to = wanted.weight->data();
        for (std::size_t k = 0; k < c; ++k) put(to[k], A(product[k]), wanted.to_weight == Gradient::add);
    }
    if (wanted.bias) {
        A* to = wanted.bias->data();
        for (std::size_t k = 0; k < c; ++k) put(to[k], A(sum[k]), wanted.to_bias == Gradient::add);
    }
    InputGradient<A> out{std::vector<A>(c), std::vector<A>(c)};
    if (batch_statistics)
        for (std::size_t k = 0; k < c; ++k) {
            const A slope = deviation[k] * weight[k];
            out.tilt[k] = A(-double(slope) * double(deviation[k]) * product[k] / double(rows));
            out.level[k] = A(-double(slope) * sum[k] / double(rows));
        }
    return out;
}

}  // namespace cpu

/// With g = dy where the ReLU let through (all of dy without `relu`): bias' = sum g; weight' = sum g xhat; residual' = g;
/// x' = w s (g - mean(g) - xhat mean(g xhat)) by `batch_statistics`, else w s g (s the inverse deviation, w the weight).
/// `mask` is the forward pass's, needed only with relu and a residual; without it the sign of the normalised x is the mask.
template <Element T>
void batch_norm_backward(Context<Cpu>&, const Tensor<T, Cpu>& x, const ReluMask<T, Cpu>* mask, const Tensor<T, Cpu>& dy,
                         const Normalization<Accumulate<T>, Cpu>& normal, bool relu, bool batch_statistics,
                         BatchNormGradients<T, Cpu> wanted) {
    using A = Accumulate<T>;
    const Shape s = x.shape();
    const Tensor<T, Cpu>* const y = mask ? &mask->y : nullptr;
    expects_batch_norm("batch_norm_backward", x, y, normal);
    expects_batch_norm_gradients("batch_norm_backward", x, mask, dy, wanted);
    const std::size_t c = std::size_t(s.c);
    const A *mean = normal.mean.data(), *deviation = normal.inverse_deviation.data(), *weight = normal.weight.data(),
            *bias = normal.bias.data();
    std::vector<A> slope(c);
    for (std::size_t k = 0; k < c; ++k) slope[k] = deviation[k] * weight[k];
    const T *in = x.data(), *result = y ? y->data() : nullptr, *upstream = dy.data();
    const A* by = slope.data();
    enum class Mask { none, from_y, from_x };

    // What the ReLU let through of element i, of channel k, of a gradient that begins at `slopes`.
    const auto masked = [=]<Mask mask>(const T* slopes, std::int64_t i, std::int64_t k) {
        const A g = cpu::widen(slopes[i]);
        if constexpr (mask == Mask::from_y) return cpu::widen(result[i]) > 0 ? g : A(0);
        if constexpr (mask == Mask::from_x) return (cpu::widen(in[i]) - mean[k]) * by[k] + bias[k] > 0 ? g : A(0);
        return g;
    };
    // Only the passes over x are compiled for each mask.
    const auto by_mask = [&](const auto& pass) {
        if (!relu)
            pass.template operator()<Mask::none>();
        else if (y)
            pass.template operator()<Mask::from_y>();
        else
            pass.template operator()<Mask::from_x>();
    };

    T* const aside = wanted.residual ? wanted.residual->data() : nullptr;
    const bool sums = wanted.weight || wanted.bias || (wanted.x && batch_statistics);
    // The pass that sums leaves the residual's gradient, so that the pass that writes reads it alone, not dy and y.
    const bool at_once = sums && aside && (y || !relu) && wanted.to_residual == Gradient::assign;
    std::vector<double> sum(c), product(c);
    const auto take_sums = [&]<Mask mask, bool Keep>() {
        cpu::row_sums<A>(s.rows(), s.c, {&sum, &product}, [&](std::int64_t r, A* a, A* b) {
#pragma omp simd
            for (std::int64_t k = 0; k < s.c; ++k) {
                const std::int64_t i = r * s.c + k;
                const A g = masked.template operator()<mask>(upstream, i, k);
                if constexpr (Keep) aside[i] = cpu::narrow<T>(g);
                a[k] += g;
                b[k] += g * (cpu::widen(in[i]) - mean[k]);
            }
        });
    };
    if (sums)
        by_mask([&]<Mask mask>() {
            if constexpr (mask != Mask::from_x)
                if (at_once) return take_sums.template operator()<mask, true>();
            take_sums.template operator()<mask, false>();
        });
    // x' = slope * g + tilt * (x - mean) + level, and residual' = g where `residual` is not null
    const cpu::InputGradient<A> of_x = cpu::finish_gradients<T>(normal, s.rows(), sum, product, batch_statistics, wanted);
    const auto write = [&]<Mask mask>(const T* slopes, T* residual) {
        T* to = wanted.x ? wanted.x->data() : nullptr;
        const bool add = wanted.to_x == Gradient::add, add_aside = wanted.to_residual == Gradient::add;
        const A *lean = of_x.tilt.data(), *lift = of_x.level.data();
        cpu::split(s.rows(), cpu::threads_for(s.size()), [=](std::int64_t begin, std::int64_t end, int) {
            for (std::int64_t r = begin; r < end; ++r) {
                const std::int64_t row = r * s.c;
                if (residual) {
#pragma omp simd
                    for (std::int64_t k = 0; k < s.c; ++k)
                        cpu::put(residual[row + k], masked.template operator()<mask>(slopes, row + k, k), add_aside);
                }
                if (!to) continue;
                const auto slope_of_x = [=](std::int64_t k) {
                    return by[k] * masked.template operator()<mask>(slopes, row + k, k) +
                           lean[k] * (cpu::widen(in[row + k]) - mean[k]) + lift[k];
                };
                if (add) {
#pragma omp simd
                    for (std::int64_t k = 0; k < s.c; ++k) cpu::put(to[row + k], slope_of_x(k), true);
                } else {
#pragma omp simd
                    for (std::int64_t k = 0; k < s.c; ++k) cpu::put(to[row + k], slope_of_x(k), false);
                }
            }
        });
    };

    if (at_once && wanted.x)
        write.template operator()<Mask::none>(aside, nullptr);
    else if (!at_once && (wanted.x || aside))
        by_mask([&]<Mask mask>() { write.template operator()<mask>(upstream, aside); });
}

}  // namespace holon::op
