// core/element.hpp: the number types that flow, and what sums of them are kept in.
#pragma once
#include <bit>
#include <concepts>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace holon {

/// The upper half of a float: 8 bits of exponent, 7 of fraction. Storage only; arithmetic is done in float.
/// Bit-compatible with CUDA's `__nv_bfloat16` and with oneDNN's bf16.
struct bfloat16 {
    std::uint16_t bits = 0;
    bfloat16() = default;
    /// Rounds to nearest, ties to even; NaN stays NaN.
    bfloat16(float value) : bits(round(std::bit_cast<std::uint32_t>(value))) {}
    operator float() const { return std::bit_cast<float>(std::uint32_t(bits) << 16); }

 private:
    static constexpr std::uint16_t round(std::uint32_t x) {
        const std::uint32_t rounded = (x + 0x7fffu + ((x >> 16) & 1u)) >> 16;
        const bool nan = (x & 0x7fffffffu) > 0x7f800000u;
        return std::uint16_t(nan ? (x >> 16) | 0x40u : rounded);
    }
};

/// IEEE 754 binary16: 5 bits of exponent, 10 of fraction. Storage only. Bit-compatible with CUDA's `__half`.
struct float16 {
    std::uint16_t bits = 0;
    float16() = default;
    /// Rounds to nearest, ties to even; past 65519 becomes infinity; NaN stays NaN.
    float16(float value) : bits(round(std::bit_cast<std::uint32_t>(value))) {}
    operator float() const {
        const std::uint32_t sign = std::uint32_t(bits & 0x8000u) << 16;
        const std::uint32_t exponent = (bits >> 10) & 0x1fu, fraction = bits & 0x3ffu;
        if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
        if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (fraction << 13));
        const float magnitude = float(fraction) * 0x1p-24f;  // zero and subnormals
        return sign ? -magnitude : magnitude;
    }

 private:
    static std::uint16_t round(std::uint32_t x) {
        const std::uint16_t sign = std::uint16_t((x >> 16) & 0x8000u);
        const std::uint32_t magnitude = x & 0x7fffffffu;
        if (magnitude > 0x7f800000u) return std::uint16_t(sign | 0x7e00u);
        if (magnitude >= 0x477ff000u) return std::uint16_t(sign | 0x7c00u);
        if (magnitude < 0x38800000u) {  // below 2^-14: adding 0.5 lets the float unit round to a multiple of 2^-24
            const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
            return std::uint16_t(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u));
        }
        return std::uint16_t(sign | ((magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13));
    }
};

template <class T>
concept Element =
    std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, bfloat16> || std::same_as<T, float16>;

/// What parameters, moments and statistics are kept in, and what sums run in: float, or double for double.
template <Element T> using Accumulate = std::conditional_t<std::same_as<T, double>, double, float>;

/// The name in messages and run headers; the command line's `--precision` says fp32 for float32 and bf16 for bfloat16.
template <Element T> constexpr std::string_view element_name() {
    if constexpr (std::same_as<T, float>) return "float32";
    if constexpr (std::same_as<T, double>) return "float64";
    if constexpr (std::same_as<T, bfloat16>) return "bfloat16";
    if constexpr (std::same_as<T, float16>) return "float16";
}

namespace detail {
/// The bits of a number without its sign, and those of infinity, above which are the NaNs.
template <std::floating_point N> struct Magnitude {
    using Bits = std::conditional_t<sizeof(N) == 4, std::uint32_t, std::uint64_t>;
    static_assert(sizeof(N) == sizeof(Bits));
    static constexpr Bits infinity = sizeof(N) == 4 ? Bits(0x7f800000u) : Bits(0x7ff0000000000000u);
    static constexpr Bits of(N x) { return std::bit_cast<Bits>(x) & (Bits(~Bits(0)) >> 1); }
};
}  // namespace detail

/// Whether a number is NaN. By its bits where -ffast-math lets a compiler take x != x, which is the quicker, for false.
template <std::floating_point N> constexpr bool is_nan(N x) {
#if __FINITE_MATH_ONLY__
    return detail::Magnitude<N>::of(x) > detail::Magnitude<N>::infinity;
#else
    return x != x;
#endif
}
/// Whether a number is neither infinite nor NaN, by its bits.
template <std::floating_point N> constexpr bool is_finite(N x) {
    return detail::Magnitude<N>::of(x) < detail::Magnitude<N>::infinity;
}

}  // namespace holon
