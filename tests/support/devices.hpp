// support/devices.hpp: one test for every element type and device: what it runs on, operands there, results back here.
#pragma once
#include <holon/op/op.hpp>
#include <holon/tensor/transfer.hpp>

#include "support/numbers.hpp"

namespace holon::test {

/// Elements T on device D: a test's `TestType`.
template <class T, class D> struct On {
    using element = T;
    using device = D;
};

}  // namespace holon::test

// What a test program runs its tests over: with HOLON_CUDA a card, else this processor. Accumulators are what
// parameters, statistics and losses are kept in; narrow elements are all but the oracle's.
#ifdef HOLON_CUDA
#define HOLON_ELEMENTS (On<float, Gpu>), (On<bfloat16, Gpu>), (On<float16, Gpu>)
#define HOLON_NARROW_ELEMENTS HOLON_ELEMENTS
#define HOLON_ACCUMULATORS (On<float, Gpu>)
#else
#define HOLON_ELEMENTS (On<float, Cpu>), (On<bfloat16, Cpu>), (On<double, Cpu>)
#define HOLON_NARROW_ELEMENTS (On<float, Cpu>), (On<bfloat16, Cpu>)
#define HOLON_ACCUMULATORS (On<float, Cpu>), (On<double, Cpu>)
#endif

namespace holon::test {

/// The nearest number that T holds.
template <class T> double rounded(double v) {
    if constexpr (std::same_as<T, double>)
        return v;
    else
        return double(float(T(float(v))));
}

/// `x`, whose numbers T holds, on D; shares nothing with it. float16 is made there: this machine has no such tensors.
template <class T, class D> Tensor<T, D> to_elements(const Tensor<double, Cpu>& x) {
    if constexpr (std::same_as<T, float16>) {
        auto& context = default_context<D>();
        return op::convert<float16>(context, to_device<D>(cast<float>(x)));
    } else {
        return to_device<D>(cast<T>(x)).clone();
    }
}

/// A device's numbers, here and as double, which holds all of them.
template <class T, Device D> Tensor<double, Cpu> numbers(const Tensor<T, D>& x) {
    if constexpr (std::same_as<T, float16>)
        return cast<double>(to_host(op::convert<float>(x.context(), x)));
    else
        return cast<double>(to_host(x));
}

/// What an op takes: elements on a device, and the very same numbers here.
template <class T, class D> struct Operand {
    Tensor<T, D> value;
    Tensor<double, Cpu> wide;

    explicit Operand(const Tensor<double, Cpu>& x) : wide(x.shape()) {
        for (std::int64_t i = 0; i < x.size(); ++i) wide.data()[i] = rounded<T>(x.data()[i]);
        value = to_elements<T, D>(wide);
    }
    /// Normal numbers that a seed decides.
    Operand(Shape shape, std::uint64_t seed) : Operand(random_tensor<double>(shape, seed)) {}

    double operator[](std::int64_t i) const { return wide.data()[i]; }
};

/// See the distance of two tensors here.
template <class T, class D, class Y>
requires(!std::same_as<D, Cpu>) double distance(const Tensor<T, D>& a, const Tensor<Y, Cpu>& b) {
    return distance(numbers(a), b);
}

/// Not a number everywhere: what an op must overwrite.
template <class T, class D> Tensor<T, D> poisoned(Shape shape) {
    return full<T, D>(shape, T(std::numeric_limits<float>::quiet_NaN()));
}

/// Runs a backward op onto poison by `assign` and onto a preload by `add`; the distance of both results from `expected`
/// (resp. preload + expected), whichever is larger.
template <class T, class D, class Op>
double written_error(Shape shape, const Tensor<double, Cpu>& expected, const Op& op) {
    Tensor<T, D> assigned = poisoned<T, D>(shape);
    op(assigned, Gradient::assign);
    Operand<T, D> added(shape, 5);
    Tensor<double, Cpu> sum = added.wide.clone();
    for (std::int64_t i = 0; i < sum.size(); ++i) sum.data()[i] += expected.data()[i];
    op(added.value, Gradient::add);
    const double first = distance(assigned, expected), second = distance(added.value, sum);
    return std::isnan(first) || std::isnan(second) ? std::numeric_limits<double>::infinity() : std::max(first, second);
}

/// Every number of `a` is that of `b`, or both are NaN.
inline bool same_numbers(const Tensor<double, Cpu>& a, const Tensor<double, Cpu>& b) {
    if (!(a.shape() == b.shape())) return false;
    for (std::int64_t i = 0; i < a.size(); ++i) {
        const double u = a.data()[i], v = b.data()[i];
        if (!(u == v || (std::isnan(u) && std::isnan(v)))) return false;
    }
    return true;
}

}  // namespace holon::test
