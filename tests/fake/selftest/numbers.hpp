// fake/selftest/numbers.hpp: random arrays of any element type, and how far two arrays are apart.
#pragma once
#include <cmath>
#include <vector>

#include <holon/core/element.hpp>
#include <holon/core/random.hpp>

namespace holon::test {

/// Normal numbers that a seed decides, rounded to T.
template <class T> std::vector<T> normal_numbers(std::size_t count, std::uint64_t seed) {
    Random random(seed, 41);
    std::vector<T> out(count);
    for (T& v : out) v = T(float(random.normal()));
    return out;
}

/// |a - b| / |b|; not a number if any of them is.
template <class T> double apart(const std::vector<T>& a, const std::vector<double>& b) {
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < b.size(); ++i) {
        difference += (double(float(a[i])) - b[i]) * (double(float(a[i])) - b[i]);
        size += b[i] * b[i];
    }
    return a.size() == b.size() ? std::sqrt(difference / size) : INFINITY;
}

/// What one rounding to T is off, by norm.
template <class T> constexpr double one_rounding() {
    return std::same_as<T, bfloat16> ? 4e-3 : std::same_as<T, float16> ? 5e-4 : 1e-7;
}

}  // namespace holon::test
