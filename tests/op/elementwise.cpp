// What acts on each number by itself, on every device: the very numbers that the formula rounds to.
#include "support/catch.hpp"
#include "support/devices.hpp"

using namespace holon;
using namespace holon::test;

namespace {

/// Sizes around those of packs and blocks.
const std::vector<std::int64_t> sizes{0, 1, 3, 4, 7, 8, 255, 257, 5001, 100003};

/// A number of T from what sums of T are kept in, as ops round: once to A, once to T.
template <class T> double kept(double v) { return rounded<T>(double(Accumulate<T>(v))); }

/// f of each element of x and y.
template <class F> Tensor<double, Cpu> each(const Tensor<double, Cpu>& x, const Tensor<double, Cpu>& y, const F& f) {
    Tensor<double, Cpu> out(x.shape());
    for (std::int64_t i = 0; i < x.size(); ++i) out.data()[i] = f(x.data()[i], y.data()[i]);
    return out;
}

constexpr double no_number = std::numeric_limits<double>::quiet_NaN(),
                 infinity = std::numeric_limits<double>::infinity();

}  // namespace

TEMPLATE_TEST_CASE("relu lets through what is above 0, and its gradient there", "[op][kernels]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    for (const auto size : sizes) {
        CAPTURE(size);
        const Shape s = vector_shape(size);
        const Operand<T, D> x(s, 1), dy(s, 2);
        const auto y = op::relu(context, x.value);
        CHECK(same_numbers(numbers(y), each(x.wide, x.wide, [](double v, double) { return std::max(v, 0.0); })));
        const auto dx = each(x.wide, dy.wide, [](double v, double g) { return v > 0 ? g : 0; });
        auto written = poisoned<T, D>(s);
        op::relu_backward(context, y, dy.value, written, Gradient::assign);
        CHECK(same_numbers(numbers(written), dx));
        Operand<T, D> added(s, 3);
        op::relu_backward(context, y, dy.value, added.value, Gradient::add);
        CHECK(same_numbers(numbers(added.value),
                           each(added.wide, dx, [](double a, double b) { return kept<T>(a + b); })));
    }
    const Operand<T, D> odd(from_values<double>({1, 1, 1, 5}, {no_number, infinity, -infinity, -0.0, 0.0}));
    CHECK(same_numbers(numbers(op::relu(context, odd.value)),
                       from_values<double>({1, 1, 1, 5}, {no_number, infinity, 0, 0, 0})));
}

TEMPLATE_TEST_CASE("add, accumulate and scale round once", "[op][kernels]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    const auto sum = [](double a, double b) { return kept<T>(a + b); };
    for (const auto size : sizes) {
        CAPTURE(size);
        const Shape s = vector_shape(size);
        Operand<T, D> a(s, 1), b(s, 2), c(s, 3);
        CHECK(same_numbers(numbers(op::add(context, a.value, b.value)), each(a.wide, b.wide, sum)));
        CHECK(same_numbers(numbers(op::add(context, a.value, a.value)), each(a.wide, a.wide, sum)));
        CHECK(same_numbers(numbers(a.value), a.wide));
        op::accumulate(context, a.value, b.value);
        CHECK(same_numbers(numbers(b.value), each(a.wide, b.wide, sum)));
        for (const double factor : {0.5, 1.0 / 3, -7.0, 0.0}) {
            auto x = c.value.clone();
            op::scale(context, x, factor);
            const double by = double(Accumulate<T>(factor));
            CHECK(same_numbers(numbers(x), each(c.wide, c.wide, [&](double v, double) { return kept<T>(v * by); })));
        }
    }
}

TEMPLATE_TEST_CASE("convert rounds to nearest, ties to even, and back changes nothing", "[op][kernels]",
                   HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    auto& context = default_context<D>();
    // Ties in both 16-bit types, either way; the largest of each and past them; the smallest of float16; nothing.
    std::vector<double> odd{1 + 0x1p-9, 1 + 0x1.8p-8, 1 + 0x1p-11, 1 + 0x1.8p-10, 65504,    65519,     65520,
                            -65536,     3.38953e38,   3.4e38,      -3.4e38,       0x1p-24,  0x1p-25,   0x1.8p-25,
                            0x1p-14,    0x1.ffep-15,  0.0,         -0.0,          infinity, -infinity, no_number};
    for (const auto size : sizes) {
        CAPTURE(size);
        auto values = random_tensor<double>(vector_shape(size), 1);
        for (std::int64_t i = 0; i < size; ++i) {
            double& v = values.data()[i];
            v = std::size_t(i) < odd.size() ? odd[std::size_t(i)] : std::ldexp(v, int(i % 30) - 15);
        }
        const Operand<A, D> x(values);
        const auto narrow = op::convert<T>(context, x.value);
        CHECK(same_numbers(numbers(narrow), each(x.wide, x.wide, [](double v, double) { return rounded<T>(v); })));
        const auto back = op::convert<A>(context, narrow);
        CHECK(same_numbers(numbers(back), numbers(narrow)));
        CHECK(same_numbers(numbers(op::convert<T>(context, back)), numbers(narrow)));
        CHECK(same_numbers(numbers(x.value), x.wide));
        CHECK(op::convert<T>(context, narrow).storage() == narrow.storage());
    }
    const auto x = random_tensor<double>({2, 70, 60, 5}, 2);
    const Operand<A, D> wide(x);
    CHECK(distance(op::convert<T>(context, wide.value), wide.wide) < (std::same_as<T, bfloat16> ? 4e-3 : 5e-4));
}
