// A convolution's bias before a batch norm: left out of the convolution where the norm goes by the batch's own mean, with the
// same result, running statistics and gradients as with it.
#include <holon/layer/batch_norm2d.hpp>

#include "support/catch.hpp"
#include "support/devices.hpp"

using namespace holon;
using namespace holon::test;

namespace {

template <class T, class D> struct Pair {
    using element = T;
    using device = D;
    using A = Accumulate<T>;
    Conv2d<T, D> conv;
    BatchNorm2d<T, D> norm;
    explicit Pair(Random random)
        : conv({.in = 3, .out = 8, .kernel = 3, .padding = 1, .bias = true}, random), norm(8, {.momentum = 0.25}) {
        const Operand<A, D> numbers(vector_shape(8), 7);
        default_context<D>().copy(conv.bias->variable().writable().data(), numbers.value.data(), 8 * sizeof(A));
    }
    Variable<T, D> run(const Variable<T, D>& x, bool left_out, Mode mode) {
        return left_out ? norm.relu(conv.before(norm, x, mode), mode) : norm.relu(conv(x, mode), mode);
    }
};

}  // namespace

TEMPLATE_TEST_CASE("a bias that batch norm cancels is left out, and moves the running mean alone", "[layer]",
                   (On<float, Cpu>), (On<double, Cpu>)) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    const Operand<T, D> image({2, 6, 5, 3}, 1), seed({2, 6, 5, 8}, 2);
    const double bound = std::same_as<T, double> ? 1e-9 : 2e-4;
    for (const Statistics statistics : {Statistics::follow, Statistics::fixed}) {
        Pair<T, D> with(Random(1, 1)), without(Random(1, 1));
        with.norm.statistics = without.norm.statistics = statistics;
        std::vector<Tensor<double, Cpu>> all[2];
        for (const bool left_out : {false, true}) {
            Pair<T, D>& pair = left_out ? without : with;
            const auto x = Variable<T, D>::leaf(image.value.clone());
            const auto y = pair.run(x, left_out, Mode::train);
            y.backward(seed.value.clone());
            all[left_out] = {numbers(y.value()), numbers(x.gradient()), numbers(pair.conv.weight.gradient()),
                             numbers(pair.norm.weight.gradient()), numbers(pair.norm.bias.gradient()),
                             numbers(pair.norm.running_mean.value()), numbers(pair.norm.running_var.value())};
            const auto slope = numbers(pair.conv.bias->gradient());
            for (const double g : slope.elements()) {
                if (statistics == Statistics::fixed) continue;
                if (left_out)
                    CHECK(g == 0);
                else
                    CHECK(std::abs(g) < 100 * bound);
            }
            if (statistics == Statistics::fixed) all[left_out].push_back(slope);
        }
        for (std::size_t i = 0; i < all[0].size(); ++i) {
            CAPTURE(i);
            CHECK(distance(all[1][i], all[0][i]) < bound);
            if (statistics == Statistics::fixed) CHECK(same_numbers(all[1][i], all[0][i]));
        }
        // Evaluated by what was learned: nothing is left out.
        const auto a = with.run(Variable<T, D>(image.value), true, Mode::evaluate),
                   b = with.run(Variable<T, D>(image.value), false, Mode::evaluate);
        CHECK(same_numbers(numbers(a.value()), numbers(b.value())));
    }
}

TEST_CASE("a bias left out before running statistics is refused", "[layer]") {
    using F = Variable<float, Cpu>;
    auto mean = zeros<float>(vector_shape(2)), variance = full<float>(vector_shape(2), 1.0f);
    const F vector(full<float>(vector_shape(2), 1.0f)), x(zeros<float>({1, 2, 2, 2}));
    CHECK_THROWS_WITH((batch_norm<float, Cpu>({x, vector, vector, mean, variance, {}, vector}, nullptr, false,
                                                BatchNormState::frozen)),
                      Catch::Contains("left out"));
}
