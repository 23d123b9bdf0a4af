// Tensors of every device: filled, cloned, sent and fetched, of no elements up to more than what is sent at a time.
#include "support/catch.hpp"
#include "support/devices.hpp"

using namespace holon;
using namespace holon::test;

namespace {

/// Up to two parts of 4 MiB of 4-byte elements, and around their seams.
const std::vector<std::int64_t> sizes{0, 1, 3, 12345, (1 << 20) - 1, 1 << 20, 1 << 21, (1 << 21) + 1, (3 << 20) + 7};

/// Whole numbers that every T holds, no two neighbours the same.
Tensor<double, Cpu> pattern(std::int64_t size, int start) {
    Tensor<double, Cpu> x(vector_shape(size));
    double* to = x.data();
    for (std::int64_t i = 0; i < size; ++i) to[i] = double((i * 7 + start) % 251 - 125);
    return x;
}

}  // namespace

TEMPLATE_TEST_CASE("what goes to a device comes back", "[op]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    for (const auto size : sizes) {
        CAPTURE(size);
        const auto a = pattern(size, 1), b = pattern(size, 2);
        const auto x = to_elements<T, D>(a), y = to_elements<T, D>(b);
        CHECK(x.shape() == a.shape());
        CHECK(same_numbers(numbers(x), a));
        CHECK(same_numbers(numbers(y), b));
        CHECK(same_numbers(numbers(x), a));
    }
}

TEMPLATE_TEST_CASE("what was sent may be written at once, and what is sent next does not overtake", "[op]",
                   HOLON_ACCUMULATORS) {
    using A = typename TestType::element;
    using D = typename TestType::device;
    for (const auto size : sizes) {
        CAPTURE(size);
        auto host = cast<A>(pattern(size, 3)).clone();
        Tensor<A, D> x(host.shape()), y(host.shape());
        copy_from_host(x, host);
        for (A& v : host.elements()) v += 1;
        copy_from_host(y, host);
        const auto before = x.clone();
        for (A& v : host.elements()) v += 1;
        copy_from_host(x, host);
        for (A& v : host.elements()) v = -1000;
        auto expected = pattern(size, 3);
        CHECK(same_numbers(numbers(before), expected));
        for (double& v : expected.elements()) v += 1;
        CHECK(same_numbers(numbers(y), expected));
        for (double& v : expected.elements()) v += 1;
        CHECK(same_numbers(numbers(x), expected));
    }
}

TEMPLATE_TEST_CASE("tensors are filled with nothing and with anything", "[op]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    for (const auto size : sizes) {
        CAPTURE(size);
        const Shape s = vector_shape(size);
        CHECK(same_numbers(numbers(zeros<T, D>(s)), full<double>(s, 0.0)));
        for (const double v : {0.0, 1.0, -0.15625, 49152.0})
            CHECK(same_numbers(numbers(full<T, D>(s, T(float(v)))), full<double>(s, v)));
    }
    const auto negative = numbers(full<T, D>(vector_shape(3), T(-0.0f)));
    for (const double v : negative.elements()) CHECK(std::signbit(v));
    const auto poison = numbers(poisoned<T, D>(vector_shape(3)));
    for (const double v : poison.elements()) CHECK(std::isnan(v));
}

TEMPLATE_TEST_CASE("a clone goes its own way, a copy and a reshape do not", "[op]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    for (const auto size : sizes) {
        CAPTURE(size);
        const auto wide = pattern(size, 4);
        auto x = to_elements<T, D>(wide);
        const auto clone = x.clone(), copy = x, shaped = x.reshape({size, 1, 1, 1});
        CHECK_FALSE(x.unique());
        CHECK(clone.unique());
        op::scale(context, x, 2);
        auto twice = wide.clone();
        for (double& v : twice.elements()) v *= 2;
        CHECK(same_numbers(numbers(clone), wide));
        CHECK(same_numbers(numbers(copy), twice));
        CHECK(same_numbers(numbers(shaped).reshape(wide.shape()), twice));
    }
    CHECK(Tensor<T, D>().clone().empty());
}
