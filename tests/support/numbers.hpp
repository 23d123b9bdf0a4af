// support/numbers.hpp: random tensors, distances between tensors, and the slope of a function by central differences.
#pragma once
#include <cmath>
#include <limits>

#include <holon/core/random.hpp>
#include <holon/graph/variable.hpp>

namespace holon::test {

/// Normal numbers that a seed decides, the same for every T up to rounding.
template <class T>
Tensor<T, Cpu> random_tensor(Shape shape, std::uint64_t seed) {
    Random random(seed, 77);
    Tensor<T, Cpu> x(shape);
    for (T& v : x.elements()) v = T(float(random.normal()));
    return x;
}

/// Numbers none closer than 0.05 to another or to 0, in random order: no kink of ReLU or max pool is within a step.
inline Tensor<double, Cpu> spread_tensor(Shape shape, std::uint64_t seed) {
    Tensor<double, Cpu> x(shape);
    Random random(seed, 78);
    double* to = x.data();
    for (std::int64_t i = 0; i < x.size(); ++i) to[i] = 0.05 * (double(i - x.size() / 2) + 0.5);
    for (std::int64_t i = x.size(); i > 1; --i) std::swap(to[i - 1], to[std::int64_t(random.below(std::uint64_t(i)))]);
    return x;
}

/// |a - b| / |b| by the Euclidean norm; NaN anywhere gives NaN, which no bound accepts.
template <class X, class Y>
double distance(const Tensor<X, Cpu>& a, const Tensor<Y, Cpu>& b) {
    if (!(a.shape() == b.shape())) return std::numeric_limits<double>::infinity();
    double apart = 0, size = 0;
    for (std::int64_t i = 0; i < a.size(); ++i) {
        const double u = double(a.data()[i]), v = double(b.data()[i]);
        apart += (u - v) * (u - v);
        size += v * v;
    }
    return std::sqrt(apart) / std::max(std::sqrt(size), 1e-12);
}

using Double = Variable<double, Cpu>;

/// How far the gradient that `f` gives x is from central differences of <f(x), p> for a fixed random p, relative by norm,
/// over at most 60 elements of x.
template <class F>
double slope_error(Tensor<double, Cpu> x, const F& f) {
    const Double leaf = Double::leaf(x);
    const Double y = f(leaf);
    const auto p = random_tensor<double>(y.shape(), 99);
    y.backward(p.clone());
    const auto gradient = leaf.gradient().clone();
    const auto value = [&] {
        const NoGrad no_grad;
        const Double z = f(Double(x));
        double sum = 0;
        for (std::int64_t k = 0; k < z.value().size(); ++k) sum += z.value().data()[k] * p.data()[k];
        return sum;
    };
    double apart = 0, size = 0;
    const double h = 1e-5;
    const std::int64_t stride = std::max<std::int64_t>(1, x.size() / 60);
    for (std::int64_t i = 0; i < x.size(); i += stride) {
        const double middle = std::as_const(x).data()[i];
        x.data()[i] = middle + h;
        const double above = value();
        x.data()[i] = middle - h;
        const double below = value();
        x.data()[i] = middle;
        const double slope = (above - below) / (2 * h), given = std::as_const(gradient).data()[i];
        apart += (slope - given) * (slope - given);
        size += slope * slope;
    }
    return std::sqrt(apart / std::max(size, 1e-24));
}

/// What results of narrower elements may be off from double, relative by norm: some 50 roundings of float, or a few of
/// bfloat16's 2^-9 or float16's 2^-11.
template <class T>
constexpr double tolerance() {
    if (std::same_as<T, bfloat16>) return 1e-2;
    if (std::same_as<T, float16>) return 2e-3;
    return std::same_as<T, float> ? 5e-6 : 1e-12;
}

}  // namespace holon::test
