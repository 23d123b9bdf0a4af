// op/cpu/batch_norm_pair.hpp: two batch norms, their sum and the ReLU that follows, as where a residual block's shortcut is a
// convolution: one pass over both images instead of two.
#pragma once
#include <array>

#include <holon/op/cpu/batch_norm.hpp>

namespace holon::op {

/// y = max(batch_norm(x) + batch_norm(residual), 0), the same bits as by `batch_norm` one after the other: the residual's
/// normalised values are rounded to T. `masked`: the backward pass wants the mask of that ReLU.
template <Element T>
BatchNormed<T, Cpu> batch_norm_pair(Context<Cpu>& context, const Tensor<T, Cpu>& x,
                                    const Normalization<Accumulate<T>, Cpu>& normal, const Tensor<T, Cpu>& residual,
                                    const Normalization<Accumulate<T>, Cpu>& residual_normal, bool masked) {
    using A = Accumulate<T>;
    const Shape s = x.shape();
    expects_batch_norm("batch_norm_pair", x, &residual, normal);
    expects_batch_norm("batch_norm_pair", residual, &x, residual_normal);
    Tensor<T, Cpu> y(s, context);
    std::vector<A> slope(std::size_t(s.c)), residual_slope(std::size_t(s.c));
    for (std::int64_t k = 0; k < s.c; ++k) {
        slope[std::size_t(k)] = normal.inverse_deviation.data()[k] * normal.weight.data()[k];
        residual_slope[std::size_t(k)] = residual_normal.inverse_deviation.data()[k] * residual_normal.weight.data()[k];
    }
    const T *from = x.data(), *beside = residual.data();
    const A *mean = normal.mean.data(), *bias = normal.bias.data(), *by = slope.data(),
            *mean_beside = residual_normal.mean.data(), *bias_beside = residual_normal.bias.data(),
            *by_beside = residual_slope.data();
    T* to = y.data();
    cpu::split(s.rows(), cpu::threads_for(s.size()), [=](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t r = begin; r < end; ++r) {
            const T *in = from + r * s.c, *also = beside + r * s.c;
            T* out = to + r * s.c;
#pragma omp simd
            for (std::int64_t k = 0; k < s.c; ++k) {
                A v = (cpu::widen(in[k]) - mean[k]) * by[k] + bias[k];
                v += cpu::widen(cpu::narrow<T>((cpu::widen(also[k]) - mean_beside[k]) * by_beside[k] + bias_beside[k]));
                out[k] = cpu::narrow<T>(v < 0 ? A(0) : v);
            }
        }
    });
    return {y, {masked ? y : Tensor<T, Cpu>(), {}}};
}

/// The gradients of both norms by one pass that sums and one that writes, each as `batch_norm_backward` gives it; neither
/// `wanted` has a residual. A gradient of x may lie over x, and likewise the residual's.
template <Element T>
void batch_norm_pair_backward(Context<Cpu>&, const Tensor<T, Cpu>& x, const Normalization<Accumulate<T>, Cpu>& normal,
                              const Tensor<T, Cpu>& residual, const Normalization<Accumulate<T>, Cpu>& residual_normal,
                              const ReluMask<T, Cpu>& mask, const Tensor<T, Cpu>& dy, bool batch_statistics,
                              BatchNormGradients<T, Cpu> wanted, BatchNormGradients<T, Cpu> residual_wanted) {
    using A = Accumulate<T>;
    const Shape s = x.shape();
    expects_batch_norm_pair_backward(x, normal, residual, residual_normal, mask, dy, wanted, residual_wanted);
    const T *in = x.data(), *beside = residual.data(), *y = mask.y.data(), *upstream = dy.data();
    const A *mean = normal.mean.data(), *mean_beside = residual_normal.mean.data();
    const auto sums_for = [&](const BatchNormGradients<T, Cpu>& w) {
        return w.weight || w.bias || (w.x && batch_statistics);
    };
    std::vector<double> sum(std::size_t(s.c)), product = sum, product_beside = sum;
    if (sums_for(wanted) || sums_for(residual_wanted))
        cpu::row_sums<A>(s.rows(), s.c, {&sum, &product, &product_beside}, [=](std::int64_t r, A* a, A* b, A* c) {
            const std::int64_t row = r * s.c;
#pragma omp simd
            for (std::int64_t k = 0; k < s.c; ++k) {
                const A slope = cpu::widen(upstream[row + k]), g = cpu::widen(y[row + k]) > 0 ? slope : A(0);
                a[k] += g;
                b[k] += g * (cpu::widen(in[row + k]) - mean[k]);
                c[k] += g * (cpu::widen(beside[row + k]) - mean_beside[k]);
            }
        });

    struct Side {
        const T* in;
        const A *mean, *deviation, *weight;
        cpu::InputGradient<A> by;
        T* to;
        bool add;
        std::vector<A> slope;
    };
    const auto side = [&](const Tensor<T, Cpu>& image, const Normalization<A, Cpu>& n, const std::vector<double>& products,
                          const BatchNormGradients<T, Cpu>& w) {
        Side out{image.data(), n.mean.data(), n.inverse_deviation.data(), n.weight.data(),
                 cpu::finish_gradients<T>(n, s.rows(), sum, products, batch_statistics, w), w.x ? w.x->data() : nullptr,
                 w.to_x == Gradient::add, std::vector<A>(std::size_t(s.c))};
        for (std::size_t k = 0; k < out.slope.size(); ++k) out.slope[k] = out.deviation[k] * out.weight[k];
        return out;
    };
    const std::array<Side, 2> sides{side(x, normal, product, wanted), side(residual, residual_normal, product_beside, residual_wanted)};
    if (!wanted.x && !residual_wanted.x) return;
    cpu::split(s.rows(), cpu::threads_for(s.size()), [&](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t r = begin; r < end; ++r)
            for (const Side& one : sides) {
                if (!one.to) continue;
                const std::int64_t row = r * s.c;
                const T* from = one.in + row;
                T* to = one.to + row;
                const A *center = one.mean, *by = one.slope.data(), *lean = one.by.tilt.data(), *lift = one.by.level.data();
                const bool add = one.add;
#pragma omp simd
                for (std::int64_t k = 0; k < s.c; ++k) {
                    const A slope = cpu::widen(upstream[row + k]), g = cpu::widen(y[row + k]) > 0 ? slope : A(0);
                    cpu::put(to[k], by[k] * g + lean[k] * (cpu::widen(from[k]) - center[k]) + lift[k], add);
                }
            }
    });
}

}  // namespace holon::op
