// gpu/compare.hpp: kernels' results against ops in double, in several orders of threads.
#pragma once
#include "gpu/host_cuda.hpp"

#include "support/numbers.hpp"

namespace holon::test {

using host_cuda::launch;
using host_cuda::Order;

inline const Order orders[] = {
    {Order::ascending}, {Order::descending}, {Order::shuffled, 1}, {Order::shuffled, 2}, {Order::shuffled, 3}};

template <class T> constexpr double kernel_tolerance() {
    return std::same_as<T, bfloat16> ? 1e-2 : std::same_as<T, half> ? 2e-3 : 2e-6;
}

/// Random numbers as T and, exactly the same, as double.
template <class T> struct Both {
    std::vector<T> narrow;
    Tensor<double, Cpu> wide;
    Both(Shape s, std::uint64_t seed, double offset = 0) : wide(random_tensor<double>(s, seed)) {
        for (double& v : wide.elements()) {
            narrow.push_back(T(float(v + offset)));
            v = double(float(narrow.back()));
        }
    }
};

template <class T> double error(const std::vector<T>& given, const Tensor<double, Cpu>& expected) {
    double apart = 0, size = 0;
    for (std::size_t i = 0; i < given.size(); ++i) {
        const double e = std::as_const(expected).data()[i], d = double(float(given[i])) - e;
        apart += d * d, size += e * e;
    }
    return std::sqrt(apart / std::max(size, 1e-24));
}

}  // namespace holon::test
