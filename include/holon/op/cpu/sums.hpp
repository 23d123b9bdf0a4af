// op/cpu/sums.hpp: two sums over all rows for each channel, the same bits for the same number of threads.
#pragma once
#include <algorithm>
#include <vector>

#include <holon/op/cpu/loop.hpp>
#include <holon/op/types.hpp>

namespace holon::op {

namespace cpu {

// Rows whose sums are kept in Accumulate<T> before they join the double ones: few enough that float loses nothing.
inline constexpr std::int64_t sum_rows = 128;

/// What `two_sums` does, whatever a row adds: `block` adds some rows, few enough calls that each may be one through a pointer.
template <class A>
void two_sums(std::int64_t rows, std::int64_t channels, std::vector<double>& first, std::vector<double>& second,
              const void* row, void (*block)(const void* row, std::int64_t begin, std::int64_t end, A* a, A* b)) {
    const int threads = threads_for(rows * channels);
    const std::size_t c = std::size_t(channels);
    std::vector<double> all(std::size_t(threads) * 2 * c);
    split(rows, threads, [&](std::int64_t begin, std::int64_t end, int t) {
        std::vector<A> a(c), b(c);
        double* sums = all.data() + std::size_t(t) * 2 * c;
        for (std::int64_t at = begin; at < end; at += sum_rows) {
            std::fill(a.begin(), a.end(), A(0));
            std::fill(b.begin(), b.end(), A(0));
            block(row, at, std::min(end, at + sum_rows), a.data(), b.data());
            for (std::size_t k = 0; k < c; ++k) sums[k] += double(a[k]), sums[c + k] += double(b[k]);
        }
    });
    first = std::vector<double>(c);
    second = std::vector<double>(c);
    for (int t = 0; t < threads; ++t)
        for (std::size_t k = 0; k < c; ++k) {
            first[k] += all[std::size_t(t) * 2 * c + k];
            second[k] += all[std::size_t(t) * 2 * c + c + k];
        }
}
template <class A, class Row>
void add_rows(const void* row, std::int64_t begin, std::int64_t end, A* a, A* b) {
    const Row own = *static_cast<const Row*>(row);
    for (std::int64_t r = begin; r < end; ++r) own(r, a, b);
}

/// Adds, per channel, what `row(r, a, b)` adds to two sums over all rows. Sums run in Accumulate<T> over short blocks, then
/// in double; threads take fixed stretches and are joined in order: the same bits for the same number of threads.
template <class A, class Row>
void two_sums(std::int64_t rows, std::int64_t channels, std::vector<double>& first, std::vector<double>& second,
              const Row& row) {
    two_sums<A>(rows, channels, first, second, &row, add_rows<A, Row>);
}

}  // namespace cpu

}  // namespace holon::op
