// Convolutions of images of few channels, which a GPU pads in bfloat16: every device gives what the same convolution in
// double gives, in all three directions, whatever is kept of the image and whatever is made again.
#include <holon/graph/conv2d.hpp>
#include <holon/graph/elementwise.hpp>

#include "op/conv2d_cases.hpp"
#include "support/catch.hpp"
#include "support/devices.hpp"

using namespace holon;
using namespace holon::test;

namespace {

/// A first convolution of ResNet, one of VGG, one of a single tap, and one that leaves rows and columns out.
const std::vector<Conv2dOptions> windows{{.kernel = 7, .stride = 2, .padding = 3},
                                         {.kernel = 3, .padding = 1},
                                         {.kernel = 1},
                                         {.kernel = {2, 3}, .stride = {3, 2}, .padding = {1, 0, 0, 2}}};

std::vector<ConvolutionCase> few_channels() {
    std::vector<ConvolutionCase> all;
    for (Conv2dOptions o : windows)
        for (const int channels : {1, 2, 3, 4, 5, 6, 7, 8, 9}) {
            o.in = channels, o.out = 5 + channels, o.bias = channels % 2 == 1;
            all.push_back({{1 + channels % 2, 9, 10, channels}, o});
        }
    return all;
}

/// What a backward pass left.
template <class T, class D> struct Outcome {
    Tensor<double, Cpu> y, dx, dw, db;
    bool operator==(const Outcome& other) const {
        return same_numbers(y, other.y) && same_numbers(dx, other.dx) && same_numbers(dw, other.dw) &&
               same_numbers(db, other.db);
    }
};

/// Two passes over one filter, whose gradients add up, with x a leaf or the result of a convolution that may be made again.
template <class T, class D>
Outcome<T, D> graph(const ConvolutionCase& c, bool relu, bool x_is_leaf, const Tensor<T, D>& x,
                    const Tensor<Accumulate<T>, D>& w, const Tensor<Accumulate<T>, D>& b,
                    const Tensor<Accumulate<T>, D>& before, const Tensor<T, D>& dy, Recompute policy) {
    using A = Accumulate<T>;
    const Recomputing recomputing(policy);
    const auto leaf = Variable<T, D>::leaf(x);
    const auto weight = Variable<A, D>::leaf(w), bias = Variable<A, D>::leaf(b), first = Variable<A, D>::leaf(before);
    Outcome<T, D> out;
    for (int pass = 0; pass < 2; ++pass) {
        const auto image = x_is_leaf ? leaf
                                     : conv2d(leaf, first, Variable<A, D>(),
                                              {.in = c.o.in, .out = c.o.in, .kernel = 1}, Recompute::block);
        const auto y = conv2d(image, weight, c.o.bias ? bias : Variable<A, D>(), c.o, Recompute::block, relu);
        y.backward(dy.clone());
        out.y = numbers(y.value());
    }
    out.dx = numbers(leaf.gradient()), out.dw = numbers(weight.gradient());
    out.db = c.o.bias ? numbers(bias.gradient()) : zeros<double>({1, 1, 1, 1});
    return out;
}

}  // namespace

TEMPLATE_TEST_CASE("a padded image is convolved as the image is, and gives the filter's gradient", "[op]",
                   HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    auto& context = default_context<D>();
    auto& exact = default_context<Cpu>();
    for (const ConvolutionCase& c : few_channels()) {
        const Operand<T, D> x(c.x, 1), dy(op::conv2d_shape(c.x, c.o), 4);
        const Operand<A, D> w(op::filter_shape(c.o), 2), b(vector_shape(c.o.out), 3);
        CAPTURE(text(c.x), text(op::filter_shape(c.o)), element_name<T>());
        const Tensor<T, D> padded = op::pad_for_conv2d(context, x.value, c.o);
        const Shape s = padded.shape();
        REQUIRE(s.c >= c.o.in);
        const auto all = numbers(padded);
        for (std::int64_t i = 0; i < all.size(); ++i)
            REQUIRE(all.data()[i] == (i % s.c < c.o.in ? x[i / s.c * c.o.in + i % s.c] : 0.0));
        const Tensor<double, Cpu>* const bias = c.o.bias ? &b.wide : nullptr;
        const Tensor<A, D>* const narrow_bias = c.o.bias ? &b.value : nullptr;
        CHECK(distance(op::conv2d(context, padded, w.value, narrow_bias, c.o),
                       op::conv2d(exact, x.wide, w.wide, bias, c.o)) <= tolerance<T>());
        CHECK(distance(op::conv2d_relu(context, padded, w.value, narrow_bias, c.o),
                       op::conv2d_relu(exact, x.wide, w.wide, bias, c.o)) <= tolerance<T>());
        Tensor<double, Cpu> dw(op::filter_shape(c.o));
        op::conv2d_backward_filter(exact, x.wide, dy.wide, c.o, dw, Gradient::assign);
        CHECK(written_error<A, D>(dw.shape(), dw, [&](auto& to, Gradient mode) {
                  op::conv2d_backward_filter(context, padded, dy.value, c.o, to, mode);
              }) <= tolerance<T>());
    }
}

TEMPLATE_TEST_CASE("gradients of a convolution of few channels are those of double, the same bits under every policy",
                   "[op]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    for (const ConvolutionCase& c : few_channels())
        for (const bool relu : {false, true})
            for (const bool x_is_leaf : {true, false}) {
                const Operand<T, D> x(c.x, 1), dy(op::conv2d_shape(c.x, c.o), 4);
                const Operand<A, D> w(op::filter_shape(c.o), 2), b(vector_shape(c.o.out), 3);
                // The convolution before, where there is one, takes channels as they are.
                Tensor<double, Cpu> unit = zeros<double>({c.o.in, 1, 1, c.o.in});
                for (std::int64_t k = 0; k < c.o.in; ++k) unit.data()[k * c.o.in + k] = 1;
                const Operand<A, D> before(unit);
                CAPTURE(text(c.x), text(op::filter_shape(c.o)), relu, x_is_leaf, element_name<T>());
                const auto under = [&](Recompute policy) {
                    return graph<T, D>(c, relu, x_is_leaf, x.value, w.value, b.value, before.value, dy.value, policy);
                };
                const auto kept = under(Recompute::nothing), redone = under(Recompute::block);
                CHECK(kept == redone);
                if (relu) continue;  // a rounded result near 0 is masked otherwise than in double
                const auto exact = graph<double, Cpu>(c, relu, x_is_leaf, x.wide, w.wide, b.wide, before.wide, dy.wide,
                                                      Recompute::nothing);
                CHECK(distance(kept.y, exact.y) <= tolerance<T>());
                CHECK(distance(kept.dx, exact.dx) <= tolerance<T>());
                CHECK(distance(kept.dw, exact.dw) <= tolerance<T>());
                CHECK(distance(kept.db, exact.db) <= tolerance<T>());
            }
}

TEMPLATE_TEST_CASE("an image with as many channels as padding gives is refused for a filter of fewer", "[op]",
                   HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    const Conv2dOptions o{.in = 3, .out = 4, .kernel = 3};
    const Operand<A, D> w(op::filter_shape(o), 1);
    CHECK_THROWS_WITH(conv2d(Variable<T, D>(Tensor<T, D>({1, 8, 8, 8})), Variable<A, D>(w.value), Variable<A, D>(), o),
                      ContainsText("1x8x8x8") && ContainsText("4x3x3x3"));
}
