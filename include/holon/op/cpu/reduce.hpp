// op/cpu/reduce.hpp: one number out of many, the same in every run with the same number of threads.
#pragma once
#include <cmath>
#include <numeric>
#include <span>

#include <holon/op/cpu/loop.hpp>

namespace holon::op {

/// Sum of squares, in double.
template <Element T>
double squared_norm(Context<Cpu>&, const Tensor<T, Cpu>& x) {
    const int threads = cpu::threads_for(x.size());
    std::vector<double> sums(std::size_t(threads), 0.0);
    const T* from = x.data();
    cpu::split(x.size(), threads, [&](std::int64_t begin, std::int64_t end, int t) {
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t i = begin; i < end; ++i) sum += double(cpu::widen(from[i])) * double(cpu::widen(from[i]));
        sums[std::size_t(t)] = sum;
    });
    return std::accumulate(sums.begin(), sums.end(), 0.0);
}

/// The sum over all tensors.
template <Element T>
double squared_norm(Context<Cpu>& context, std::span<const Tensor<T, Cpu>* const> all) {
    double sum = 0;
    for (const Tensor<T, Cpu>* x : all) sum += squared_norm(context, *x);
    return sum;
}

/// False if any element is infinite or NaN.
template <Element T>
bool all_finite(Context<Cpu>&, const Tensor<T, Cpu>& x) {
    const int threads = cpu::threads_for(x.size());
    std::vector<int> bad(std::size_t(threads), 0);
    const T* from = x.data();
    cpu::split(x.size(), threads, [&](std::int64_t begin, std::int64_t end, int t) {
        int found = 0;
        for (std::int64_t i = begin; i < end; ++i) found |= !is_finite(cpu::widen(from[i]));
        bad[std::size_t(t)] = found;
    });
    return std::accumulate(bad.begin(), bad.end(), 0) == 0;
}

}  // namespace holon::op
