// The engine: what it keeps, what it lets go, what it refuses.
#include <holon/graph/conv2d.hpp>
#include <holon/graph/elementwise.hpp>
#include <holon/layer/conv2d.hpp>
#include <holon/layer/layer.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

using namespace holon;
using namespace holon::test;

namespace {
std::size_t in_use() { return default_context<Cpu>().memory().use().current; }
}  // namespace

TEST_CASE("a leaf that is used several times gets the sum, and a brother's gradient is not changed", "[graph]") {
    const auto x = Double::leaf(full<double>({1, 1, 1, 3}, 2.0));
    const auto a = relu(x), b = relu(x);
    add(add(a, b), add(a, x)).backward();
    for (const double g : x.gradient().elements()) CHECK(g == 4.0);
    add(x, x).backward();
    for (const double g : x.gradient().elements()) CHECK(g == 6.0);
}

TEST_CASE("nothing is kept when no parent wants a gradient, or under NoGrad", "[graph]") {
    const auto x = random_tensor<float>({1, 64, 64, 16}, 1);
    const std::size_t before = in_use();
    Variable<float, Cpu> y(x);
    for (int i = 0; i < 10; ++i) y = relu(y);
    CHECK_FALSE(y.requires_grad());
    CHECK(in_use() - before <= 2 * std::size_t(x.size()) * sizeof(float));
    {
        const NoGrad no_grad;
        const auto leaf = Variable<float, Cpu>::leaf(x);
        CHECK_FALSE(relu(leaf).requires_grad());
    }
    CHECK(relu(Variable<float, Cpu>::leaf(x)).requires_grad());
}

TEST_CASE("backward releases the graph on its way", "[graph]") {
    const auto x = Variable<float, Cpu>::leaf(random_tensor<float>({1, 64, 64, 16}, 1));
    const std::size_t before = in_use();
    {
        auto y = x;
        for (int i = 0; i < 20; ++i) y = relu(y);
        CHECK(in_use() - before >= 20 * std::size_t(x.value().size()) * sizeof(float));
        y.backward();
        CHECK(in_use() - before <= 3 * std::size_t(x.value().size()) * sizeof(float));  // y, its seed's share, x's gradient
        CHECK_THROWS_WITH(y.backward(), ContainsText("already walked"));
    }
    CHECK(in_use() - before == std::size_t(x.value().size()) * sizeof(float));
}

TEST_CASE("a chain of any length is walked and let go without using up the stack", "[graph]") {
    for (const bool walk : {true, false}) {
        const auto x = Double::leaf(full<double>({1, 1, 1, 1}, 1.0));
        auto y = x;
        for (int i = 0; i < 200000; ++i) y = reshape(y, {1, 1, 1, 1});
        if (walk) y.backward();
        y = Double();
        CHECK((!walk || x.gradient().data()[0] == 1.0));
    }
}

TEST_CASE("a value without history cannot be walked from", "[graph]") {
    const Double x(full<double>({1, 1, 1, 1}, 1.0));
    CHECK_THROWS_WITH(x.backward(), ContainsText("no history"));
    CHECK_THROWS_AS(Double::leaf(full<double>({1, 1, 1, 2}, 1.0)).backward(full<double>({1, 1, 1, 1}, 1.0)), ShapeError);
}

TEST_CASE("errors name the layer that was running", "[graph]") {
    Random random;
    Conv2d<float, Cpu> conv({.in = 3, .out = 4, .kernel = 3}, random);
    conv.name = "layer1.0.conv1";
    CHECK_THROWS_WITH(conv(Variable<float, Cpu>(zeros<float>({1, 8, 8, 2})), Mode::train),
                      ContainsText("conv2d") && ContainsText("in layer1.0.conv1"));
}

TEST_CASE("CheckFinite names op and layer of the first result that is not finite", "[graph]") {
    const std::string name = "top.0";
    auto x = full<float>({1, 1, 1, 2}, std::numeric_limits<float>::infinity());
    const CheckFinite check;
    const Scope scope(name);
    CHECK_THROWS_WITH(relu(Variable<float, Cpu>(x)), ContainsText("relu") && ContainsText("top.0"));
}

TEST_CASE("past the limit memory is refused with the bytes, and what was there still works", "[graph]") {
    auto& memory = default_context<Cpu>().memory();
    memory.trim();
    memory.set_limit(memory.use().reserved + (std::size_t(1) << 22));
    CHECK_THROWS_WITH((Tensor<float, Cpu>({1, 2048, 2048, 1})), ContainsText("16777216 bytes"));
    memory.set_limit(no_limit);
    CHECK(Tensor<float, Cpu>({1, 2048, 2048, 1}).size() == 2048 * 2048);
}
