// op/cpu/sums.hpp: sums over all rows for each channel, the same bits for the same number of threads.
#pragma once
#include <algorithm>
#include <concepts>
#include <initializer_list>
#include <vector>

#include <holon/op/cpu/loop.hpp>
#include <holon/op/types.hpp>

namespace holon::op {

namespace cpu {

// Rows whose sums are kept in Accumulate<T> before they join the double ones: few enough that float loses nothing.
inline constexpr std::int64_t sum_rows = 128;

/// What `row_sums` does, whatever a row adds: `block` adds some rows, few enough calls that each may be one through a pointer.
template <class A>
void row_sums(std::int64_t rows, std::int64_t channels, std::initializer_list<std::vector<double>*> to, const void* row,
              void (*block)(const void* row, std::int64_t begin, std::int64_t end, A* sums, std::int64_t channels)) {
    const int threads = threads_for(rows * channels);
    const std::size_t c = std::size_t(channels), count = to.size() * c;
    std::vector<double> all(std::size_t(threads) * count);
    split(rows, threads, [&](std::int64_t begin, std::int64_t end, int t) {
        std::vector<A> sums(count);
        double* joined = all.data() + std::size_t(t) * count;
        for (std::int64_t at = begin; at < end; at += sum_rows) {
            std::fill(sums.begin(), sums.end(), A(0));
            block(row, at, std::min(end, at + sum_rows), sums.data(), channels);
            for (std::size_t k = 0; k < count; ++k) joined[k] += double(sums[k]);
        }
    });
    std::size_t first = 0;
    for (std::vector<double>* sum : to) {
        *sum = std::vector<double>(c);
        for (int t = 0; t < threads; ++t)
            for (std::size_t k = 0; k < c; ++k) (*sum)[k] += all[std::size_t(t) * count + first + k];
        first += c;
    }
}
template <class A, class Row>
void add_rows(const void* row, std::int64_t begin, std::int64_t end, A* sums, std::int64_t channels) {
    const Row own = *static_cast<const Row*>(row);
    for (std::int64_t r = begin; r < end; ++r) {
        if constexpr (std::invocable<const Row&, std::int64_t, A*, A*, A*>)
            own(r, sums, sums + channels, sums + 2 * channels);
        else if constexpr (std::invocable<const Row&, std::int64_t, A*, A*>)
            own(r, sums, sums + channels);
        else
            own(r, sums);
    }
}

/// Leaves in `to`, per channel, what `row(r, a)`, `row(r, a, b)` or `row(r, a, b, c)` adds over all rows to as many sums as
/// `to` names. Sums run in Accumulate<T> over short blocks, then in double; threads take fixed stretches and are joined in
/// order: the same bits for the same number of threads.
template <class A, class Row>
void row_sums(std::int64_t rows, std::int64_t channels, std::initializer_list<std::vector<double>*> to, const Row& row) {
    row_sums<A>(rows, channels, to, &row, add_rows<A, Row>);
}

}  // namespace cpu

}  // namespace holon::op
