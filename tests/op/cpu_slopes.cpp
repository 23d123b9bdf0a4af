// On the processor, in double: every gradient is the slope of what it is the gradient of, by central differences.
#include <holon/graph/affine_warp.hpp>
#include <holon/graph/batch_norm.hpp>
#include <holon/graph/elementwise.hpp>
#include <holon/graph/linear.hpp>
#include <holon/graph/pool2d.hpp>
#include <holon/graph/softmax.hpp>

#include "op/pool2d_cases.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

using namespace holon;
using namespace holon::test;

TEST_CASE("slopes of every op without parameters", "[op]") {
    for (const Shape s : pool_shapes) {
        const auto x = spread_tensor(s, 1);
        CAPTURE(text(s));
        for (const auto& o : pools) {
            if (!fits(s, o)) continue;
            CAPTURE(text(o.window));
            CHECK(slope_error(x, [&](Double v) { return max_pool2d(v, o); }) <= 1e-6);
            CHECK(slope_error(x, [&](Double v) { return average_pool2d(v, o); }) <= 1e-6);
        }
        CHECK(slope_error(x, [](Double v) { return relu(v); }) <= 1e-6);
        CHECK(slope_error(x, [](Double v) { return global_average(v); }) <= 1e-6);
        CHECK(slope_error(random_tensor<double>(s, 3), [](Double v) { return softmax(v); }) <= 1e-6);
        CHECK(slope_error(x, [](Double v) { return dropout(v, {0.3, 1, 2, 3}); }) <= 1e-6);
        CHECK(slope_error(x, [](Double v) { return add(relu(v), v); }) <= 1e-6);
        CHECK(slope_error(x, [](Double v) { return add(v, v); }) <= 1e-6);
        CHECK(slope_error(x, [](Double v) { return flatten(v); }) <= 1e-6);
    }
}

TEST_CASE("linear's gradients are its slopes, with a bias and without", "[op]") {
    const auto x = random_tensor<double>({2, 2, 1, 5}, 1), w = random_tensor<double>({3, 1, 1, 5}, 2),
               b = random_tensor<double>(vector_shape(3), 3);
    CHECK(slope_error(x, [&](Double v) { return linear(v, Double(w), Double(b)); }) <= 1e-6);
    CHECK(slope_error(w, [&](Double v) { return linear(Double(x), v, Double(b)); }) <= 1e-6);
    CHECK(slope_error(b, [&](Double v) { return linear(Double(x), Double(w), v); }) <= 1e-6);
    CHECK(slope_error(x, [&](Double v) { return linear(v, Double(w), Double()); }) <= 1e-6);
    CHECK(slope_error(w, [&](Double v) { return linear(Double(x), v, Double()); }) <= 1e-6);
}

TEST_CASE("cross-entropy's slope is share minus truth", "[op]") {
    const auto x = random_tensor<double>({4, 1, 1, 3}, 1);
    const std::vector<int> labels{0, 2, 1, 1};
    const std::vector<float> weights{0.5f, 2, 1, 0};
    CHECK(slope_error(x, [&](Double v) { return cross_entropy(v, std::span<const int>(labels), weights); }) <= 1e-6);
    CHECK(slope_error(x, [&](Double v) { return cross_entropy(v, std::span<const int>(labels)); }) <= 1e-6);
}

TEST_CASE("the warp's gradients are its slopes", "[op]") {
    std::vector<op::Warp> warps(2);
    warps[0].matrix = {0.9, 0.1, -0.2, 1.1};
    warps[0].offset = {0.3, 0.7};
    warps[0].flip_horizontal = true;
    warps[1].matrix = {1.2, -.3, .1, .8};
    warps[1].flip_vertical = true;
    const std::span<const op::Warp> span(warps);
    const auto x = random_tensor<double>({2, 9, 8, 1}, 9);
    CHECK(slope_error(x, [&](Double v) {
              return affine_warp(v, span, {.bilinear = true, .scale = {1, 2, 3}});
          }) <= 1e-6);
    CHECK(slope_error(x, [&](Double v) { return affine_warp(v, span, {.mean = {1, 2, 3}}); }) <= 1e-6);
}

TEST_CASE("batch norm's gradients are its slopes in all three states", "[op]") {
    for (const Shape s : {Shape{2, 5, 3, 7}, Shape{1, 3, 4, 1}, Shape{3, 2, 2, 18}})
        for (const auto state : {BatchNormState::batch, BatchNormState::running, BatchNormState::frozen})
            for (const bool relu : {false, true})
                for (const bool beside : {false, true}) {
                    CAPTURE(text(s), int(state), relu, beside);
                    const auto x = random_tensor<double>(s, 1), q = random_tensor<double>(s, 8);
                    const auto w = random_tensor<double>(vector_shape(s.c), 2),
                               b = random_tensor<double>(vector_shape(s.c), 3);
                    const auto f = [&](Double a, Double c, Double W, Double B) {
                        auto mean = zeros<double>(vector_shape(s.c)), variance = full<double>(vector_shape(s.c), 1.3);
                        return batch_norm<double, Cpu>({a, W, B, mean, variance}, beside ? &c : nullptr, relu, state);
                    };
                    CHECK(slope_error(x, [&](Double v) { return f(v, q, w, b); }) <= 1e-6);
                    CHECK(slope_error(w, [&](Double v) { return f(x, q, v, b); }) <= 1e-6);
                    CHECK(slope_error(b, [&](Double v) { return f(x, q, w, v); }) <= 1e-6);
                    if (beside) CHECK(slope_error(q, [&](Double v) { return f(x, v, w, b); }) <= 1e-6);
                }
}

TEST_CASE("the gradients of two batch norms in one pass are their slopes in all three states", "[op]") {
    for (const Shape s : {Shape{2, 5, 3, 7}, Shape{1, 3, 4, 1}, Shape{3, 2, 2, 18}})
        for (const auto state : {BatchNormState::batch, BatchNormState::running, BatchNormState::frozen}) {
            CAPTURE(text(s), int(state));
            const auto vector = [&](std::uint64_t seed) { return random_tensor<double>(vector_shape(s.c), seed); };
            const std::array values{random_tensor<double>(s, 1), vector(2), vector(3), random_tensor<double>(s, 4), vector(5), vector(6)};
            const auto f = [&](std::size_t at, const Double& v) {
                const auto value = [&](std::size_t i) { return i == at ? v : Double(values[i]); };
                auto mean = zeros<double>(vector_shape(s.c)), variance = full<double>(vector_shape(s.c), 1.3);
                auto mean_beside = mean.clone(), variance_beside = variance.clone();
                return batch_norm_pair<double, Cpu>(
                    {value(0), value(1), value(2), mean, variance, {.epsilon = 1e-3}},
                    {value(3), value(4), value(5), mean_beside, variance_beside, {.epsilon = 1e-2}}, state);
            };
            for (std::size_t at = 0; at < values.size(); ++at) {
                CAPTURE(at);
                CHECK(slope_error(values[at], [&](Double v) { return f(at, v); }) <= 1e-6);
            }
        }
}
