// The storage types against their definition: every bit pattern, and every place where rounding decides.
#include <holon/core/element.hpp>

#include <cmath>
#include <limits>

#include "support/catch.hpp"

using namespace holon;

namespace {

template <class T> T of_bits(unsigned bits) {
    T value;
    value.bits = std::uint16_t(bits);
    return value;
}

/// What the format says: sign, exponent with its bias, fraction.
double by_definition(unsigned bits, int fraction_bits, int bias) {
    const double sign = bits >> 15 ? -1 : 1;
    const int exponent_bits = 15 - fraction_bits, exponent = int(bits >> fraction_bits) & ((1 << exponent_bits) - 1);
    const double fraction = double(bits & ((1u << fraction_bits) - 1)) / double(1 << fraction_bits);
    if (exponent == (1 << exponent_bits) - 1)
        return fraction != 0 ? std::numeric_limits<double>::quiet_NaN()
                             : sign * std::numeric_limits<double>::infinity();
    return exponent == 0 ? sign * std::ldexp(fraction, 1 - bias) : sign * std::ldexp(1 + fraction, exponent - bias);
}

template <class T> constexpr int fraction_bits = std::same_as<T, float16> ? 10 : 7;
template <class T> constexpr int bias = std::same_as<T, float16> ? 15 : 127;

}  // namespace

TEMPLATE_TEST_CASE("every bit pattern means what the format says, and comes back", "[core]", float16, bfloat16) {
    int wrong = 0;
    for (unsigned bits = 0; bits < 65536; ++bits) {
        const double expected = by_definition(bits, fraction_bits<TestType>, bias<TestType>);
        const float given = of_bits<TestType>(bits);
        if (std::isnan(expected)) {
            wrong += !std::isnan(given) || !std::isnan(float(TestType(given)));
            continue;
        }
        wrong += double(given) != expected || std::signbit(given) != bool(bits >> 15) || TestType(given).bits != bits;
    }
    CHECK(wrong == 0);
}

TEMPLATE_TEST_CASE("between neighbours the nearer is taken, in the middle the even one", "[core]", float16, bfloat16) {
    const unsigned top = TestType(std::numeric_limits<float>::infinity()).bits;
    int wrong = 0;
    for (unsigned bits = 0; bits + 1 <= top; ++bits) {
        const double low = double(float(of_bits<TestType>(bits)));
        // Past the largest finite number the format's next step would have been as far again.
        const double high = bits + 1 == top ? low + (low - double(float(of_bits<TestType>(bits - 1))))
                                            : double(float(of_bits<TestType>(bits + 1)));
        const double middle = (low + high) / 2;  // exact in double
        const float at = float(middle);
        REQUIRE((double(at) == middle || bits + 1 == top));  // past bfloat16's largest there is no float in the middle
        for (const float sign : {1.f, -1.f}) {
            const unsigned flag = sign < 0 ? 0x8000u : 0u;
            wrong += TestType(sign * at).bits != ((bits % 2 ? bits + 1 : bits) | flag);
            wrong += TestType(sign * std::nextafter(at, 0.f)).bits != (bits | flag);
            wrong +=
                TestType(sign * std::nextafter(at, std::numeric_limits<float>::infinity())).bits != ((bits + 1) | flag);
        }
    }
    CHECK(wrong == 0);
}

TEST_CASE("sums of narrow elements are kept in float, of double in double", "[core]") {
    STATIC_REQUIRE(std::same_as<Accumulate<bfloat16>, float>);
    STATIC_REQUIRE(std::same_as<Accumulate<float16>, float>);
    STATIC_REQUIRE(std::same_as<Accumulate<float>, float>);
    STATIC_REQUIRE(std::same_as<Accumulate<double>, double>);
    STATIC_REQUIRE(sizeof(bfloat16) == 2);
    STATIC_REQUIRE(sizeof(float16) == 2);
    STATIC_REQUIRE(!Element<int>);
}
