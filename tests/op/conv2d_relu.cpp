// A convolution with the ReLU that follows it, on every device, against the two ops one after the other: the same bits.
#include <holon/graph/conv2d.hpp>
#include <holon/graph/elementwise.hpp>

#include "op/conv2d_cases.hpp"
#include "support/catch.hpp"
#include "support/devices.hpp"

using namespace holon;
using namespace holon::test;

namespace {

std::vector<ConvolutionCase> cases() {
    return {{{2, 5, 6, 3}, {.in = 3, .out = 8, .kernel = 3, .padding = 1, .bias = true}},
            {{1, 7, 4, 5}, {.in = 5, .out = 7, .kernel = 1, .stride = 2, .bias = true}},
            {{1, 4, 4, 8}, {.in = 8, .out = 16, .kernel = 3}}};
}

}  // namespace

TEMPLATE_TEST_CASE("conv2d_relu is conv2d and relu, and its way back is theirs", "[op]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    auto& context = default_context<D>();
    for (const ConvolutionCase& c : cases()) {
        const Shape s = op::conv2d_shape(c.x, c.o), vector = vector_shape(c.o.out);
        CAPTURE(text(c.x), text(s));
        const Operand<T, D> x(c.x, 1), dy(s, 4);
        const Operand<A, D> w(op::filter_shape(c.o), 2), b(vector, 3), old(vector, 5);
        const Tensor<A, D>* const bias = c.o.bias ? &b.value : nullptr;
        const auto apart = op::relu(context, op::conv2d(context, x.value, w.value, bias, c.o));
        const auto y = op::conv2d_relu(context, x.value, w.value, bias, c.o);
        CHECK(same_numbers(numbers(y), numbers(apart)));

        auto slope = poisoned<T, D>(s), masked = poisoned<T, D>(s), over = dy.value.clone();
        op::relu_backward(context, y, dy.value, slope, Gradient::assign);
        Tensor<A, D>* const none = nullptr;
        op::conv2d_relu_backward(context, y, dy.value, masked, none, Gradient::assign);
        CHECK(same_numbers(numbers(masked), numbers(slope)));
        for (const Gradient mode : {Gradient::assign, Gradient::add}) {
            auto sum = old.value.clone(), expected = old.value.clone();
            op::channel_sum(context, slope, expected, mode);
            masked = poisoned<T, D>(s);
            op::conv2d_relu_backward(context, y, dy.value, masked, &sum, mode);
            CHECK(same_numbers(numbers(masked), numbers(slope)));
            CHECK(same_numbers(numbers(sum), numbers(expected)));
        }
        auto sum = old.value.clone();
        op::conv2d_relu_backward(context, y, over, over, &sum, Gradient::assign);
        CHECK(same_numbers(numbers(over), numbers(slope)));
    }
}

TEMPLATE_TEST_CASE("a graph's convolution with its ReLU has the gradients of the two, whatever is made again", "[op]",
                   HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    const ConvolutionCase c = cases().front();
    const Shape s = op::conv2d_shape(c.x, c.o), vector = vector_shape(c.o.out);
    const Operand<T, D> image(c.x, 1), seed(s, 4);
    const Operand<A, D> filter(op::filter_shape(c.o), 2), shift(vector, 3);
    const auto gradients = [&](bool fused, bool shared, Recompute policy) {
        const Recomputing recomputing(policy);
        const auto x = Variable<T, D>::leaf(image.value.clone());
        const auto w = Variable<A, D>::leaf(filter.value.clone()), b = Variable<A, D>::leaf(shift.value.clone());
        Variable<T, D> y = fused ? conv2d(x, w, b, c.o, Recompute::block, true) : relu(conv2d(x, w, b, c.o, Recompute::block));
        if (shared) y = add(y, y);  // both get the same gradient, which may not be written over
        y.backward(seed.value);
        return std::array{numbers(x.gradient()), numbers(w.gradient()), numbers(b.gradient())};
    };
    for (const bool shared : {false, true})
        for (const auto& [policy, name] : recompute_policies) {
            CAPTURE(name, shared);
            const auto apart = gradients(false, shared, policy), fused = gradients(true, shared, policy);
            for (std::size_t i = 0; i < apart.size(); ++i) CHECK(same_numbers(fused[i], apart[i]));
        }
    CHECK(same_numbers(numbers(seed.value), numbers(Operand<T, D>(s, 4).value)));  // the caller's seed is the caller's
}
