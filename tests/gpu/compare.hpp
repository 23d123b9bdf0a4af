// gpu/compare.hpp: kernels' results against ops in double, in several orders of threads.
#pragma once
#include "gpu/host_cuda.hpp"

#include <holon/op/gpu/columns.hpp>
#include <holon/op/gpu/kernels.hpp>

#include "support/numbers.hpp"

namespace holon::test {

using host_cuda::Order;

inline const Order orders[] = {
    {Order::ascending}, {Order::descending}, {Order::shuffled, 1}, {Order::shuffled, 2}, {Order::shuffled, 3}};

/// Runs `body(queue)` for a card of so many multiprocessors; the counters of its sums must be zeros again in the end.
template <class Body> void on_card_of(int multiprocessors, const Body& body) {
    std::vector<unsigned> blocks_done(gpu::most_columns, 0);
    body(gpu::Queue{nullptr, multiprocessors, blocks_done.data()});
    for (const unsigned left : blocks_done)
        if (left != 0) throw std::logic_error("a kernel left its counter of blocks at " + std::to_string(left));
}

/// Runs `body(queue)` in every order of threads, on cards of few and of more multiprocessors: grids of other widths.
template <class Body> void in_every_order(const Body& body) {
    for (const Order& order : orders)
        for (const int multiprocessors : {1, 3}) {
            host_cuda::order() = order;
            on_card_of(multiprocessors, body);
        }
    host_cuda::order() = {};
}

/// The same in two of them: for large cases of kernels whose threads do not meet, and for what is done to sums that
/// were taken in every order already.
template <class Body> void in_two_orders(const Body& body) {
    for (const int multiprocessors : {1, 3}) {
        host_cuda::order() = multiprocessors == 1 ? Order{Order::descending} : Order{Order::shuffled, 4};
        on_card_of(multiprocessors, body);
    }
    host_cuda::order() = {};
}

template <class T> constexpr double kernel_tolerance() {
    return std::same_as<T, bfloat16> ? 1e-2 : std::same_as<T, float16> ? 2e-3 : 2e-6;
}

/// Random numbers as T and, exactly the same, as double.
template <class T> struct Both {
    std::vector<T> narrow;
    Tensor<double, Cpu> wide;
    Both(Shape s, std::uint64_t seed, double offset = 0) : wide(random_tensor<double>(s, seed)) {
        narrow.reserve(std::size_t(s.size()));  // no more, so that AddressSanitizer sees who reads further
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

/// What a kernel writes to: nothing a number, or what is there already where it is to add.
template <class T> std::vector<T> target(std::int64_t size, const Both<T>* old = nullptr) {
    return old ? old->narrow : std::vector<T>(std::size_t(size), T(NAN));
}
/// The same for the op in double, which then always adds.
template <class T> Tensor<double, Cpu> expected_onto(Shape s, const Both<T>* old = nullptr) {
    return old ? old->wide.clone() : zeros<double>(s);
}

}  // namespace holon::test
