// Filters that are written between their uses, by hand and by an optimizer: every device, whatever it keeps of a filter,
// convolves with what was written last. And gradients that several uses of one filter share.
#include <holon/graph/conv2d.hpp>
#include <holon/graph/elementwise.hpp>

#include "support/catch.hpp"
#include "support/devices.hpp"

using namespace holon;
using namespace holon::test;

namespace {

const Conv2dOptions window{.in = 8, .out = 16, .kernel = 3, .padding = 1};
const Shape image{1, 5, 6, 8};

/// The convolution with the filter as it is, and with its numbers in a tensor that nobody has seen.
template <class T, class D> bool convolves_with(const Tensor<T, D>& x, const Tensor<Accumulate<T>, D>& filter) {
    auto& context = default_context<D>();
    const Tensor<Accumulate<T>, D>* const none = nullptr;
    return same_numbers(numbers(op::conv2d(context, x, filter, none, window)),
                        numbers(op::conv2d(context, x, filter.clone(), none, window)));
}

/// A filter with what Adam needs, and other numbers to write over it.
template <class T, class D> struct Learning {
    using A = Accumulate<T>;
    Shape s = op::filter_shape(window);
    Operand<T, D> x{image, 1};
    Operand<A, D> gradient{s, 3}, other{s, 4};
    Tensor<A, D> filter = Operand<A, D>(s, 2).value.clone(), first = zeros<A, D>(s), second = zeros<A, D>(s);
};

}  // namespace

TEMPLATE_TEST_CASE("a convolution goes by what was last written to its filter", "[op]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    auto& context = default_context<D>();
    Learning<T, D> learning;
    const Shape s = learning.s;
    const Operand<T, D>& x = learning.x;
    const Operand<A, D>&gradient = learning.gradient, &other = learning.other;
    Tensor<A, D>&filter = learning.filter, &first = learning.first, &second = learning.second;
    auto velocity = zeros<A, D>(s);
    const auto before = numbers(filter).clone();
    for (int round = 0; round < 3; ++round) {
        CHECK(convolves_with<T, D>(x.value, filter));  // twice: a copy or a form may be kept from the first
        CHECK(convolves_with<T, D>(x.value, filter));
        const op::AdamOperand<A, D> adam{&gradient.value, &filter, &first, &second, 0.1};
        op::adam(context, std::span(&adam, 1), {.step = round + 1});
        CHECK(convolves_with<T, D>(x.value, filter));
        const op::SgdOperand<A, D> sgd{&gradient.value, &filter, &velocity, 0.1};
        op::sgd(context, std::span(&sgd, 1), {.momentum = 0.9});
        CHECK(convolves_with<T, D>(x.value, filter));
        context.copy(filter.data(), other.value.data(), std::size_t(s.size()) * sizeof(A));
        CHECK(convolves_with<T, D>(x.value, filter));
        // Written, and stepped before any use.
        context.copy(filter.data(), gradient.value.data(), std::size_t(s.size()) * sizeof(A));
        op::adam(context, std::span(&adam, 1), {.step = round + 1});
        CHECK(convolves_with<T, D>(x.value, filter));
    }
    CHECK_FALSE(same_numbers(before, numbers(filter)));
}

TEMPLATE_TEST_CASE("a step that is left out leaves the filter and all that is kept of it", "[op]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    auto& context = default_context<D>();
    Learning<T, D> learning;
    const Shape s = learning.s;
    const Operand<T, D>& x = learning.x;
    const Operand<A, D>&gradient = learning.gradient, &other = learning.other;
    Tensor<A, D>&filter = learning.filter, &first = learning.first, &second = learning.second;
    const auto left_out = provided<A, D>({1, 1, 1, 3}, [](std::span<A> to) { to[0] = A(1), to[1] = A(0), to[2] = A(1); });
    const auto step = [&] {
        op::adam(context, std::vector<op::AdamOperand<A, D>>{{&gradient.value, &filter, &first, &second, 0.1}},
                 op::AdamNow([](std::span<op::Rates> rates) {
                     rates[0] = {0.1};
                     return op::AdamStep{};
                 }),
                 &left_out);
    };
    CHECK(convolves_with<T, D>(x.value, filter));
    const auto before = numbers(filter).clone();
    step();
    CHECK(same_numbers(before, numbers(filter)));
    CHECK(convolves_with<T, D>(x.value, filter));
    context.copy(filter.data(), other.value.data(), std::size_t(s.size()) * sizeof(A));
    step();
    CHECK(convolves_with<T, D>(x.value, filter));
}

TEMPLATE_TEST_CASE("a filter that is used twice has the sum of both gradients, after one backward and after two", "[op]",
                   HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    const Shape s = op::filter_shape(window);
    const Operand<T, D> one(image, 1), two({2, 7, 5, 8}, 2);
    const Operand<A, D> filter(s, 3);
    const auto by = [&](bool first, bool second, int times) {
        const auto w = Variable<A, D>::leaf(filter.value.clone());
        const auto use = [&](const Operand<T, D>& x) {
            return conv2d(Variable<T, D>(x.value), w, Variable<A, D>(), window);
        };
        for (int t = 0; t < times; ++t) {
            if (first && second) {
                add(use(one), use(one)).backward();  // one backward walks to the filter twice
                use(two).backward();
            } else {
                (first ? use(one) : use(two)).backward();
            }
        }
        return numbers(w.gradient());
    };
    const auto a = by(true, false, 1), b = by(false, true, 1), both = by(true, true, 1), twice = by(true, true, 2);
    Tensor<double, Cpu> expected(s);
    for (std::int64_t i = 0; i < s.size(); ++i) expected.data()[i] = 2 * a.data()[i] + b.data()[i];
    CHECK(distance(both, expected) <= 4 * tolerance<T>());
    for (std::int64_t i = 0; i < s.size(); ++i) expected.data()[i] *= 2;
    CHECK(distance(twice, expected) <= 4 * tolerance<T>());
}
