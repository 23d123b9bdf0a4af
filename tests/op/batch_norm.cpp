// Batch norm in its three states, alone and fused, against its definition and its slopes.
#include <holon/graph/batch_norm.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

using namespace holon;
using namespace holon::test;

namespace {

const std::vector<Shape> shapes{{1, 1, 2, 1}, {2, 5, 3, 17}, {3, 4, 4, 64}, {2, 7, 1, 35}, {1, 9, 9, 3}, {4, 16, 16, 256}};

struct Parts {
    Tensor<double, Cpu> y, dx, dresidual, dweight, dbias;
};

Parts by_definition(const Tensor<double, Cpu>& x, const Tensor<double, Cpu>* residual, const Tensor<double, Cpu>& dy,
                    const Tensor<double, Cpu>& weight, const Tensor<double, Cpu>& bias, const Tensor<double, Cpu>& mean,
                    const Tensor<double, Cpu>& variance, bool relu, bool batch) {
    const Shape s = x.shape();
    Parts p{zeros<double>(s), zeros<double>(s), zeros<double>(s), zeros<double>(vector_shape(s.c)), zeros<double>(vector_shape(s.c))};
    const double n = double(s.rows());
    for (std::int64_t k = 0; k < s.c; ++k) {
        const double m = mean.data()[k], inverse = 1 / std::sqrt(variance.data()[k] + 1e-5), w = weight.data()[k];
        std::vector<double> hat(std::size_t(s.rows())), g(std::size_t(s.rows()));
        double sum = 0, product = 0;
        for (std::int64_t r = 0; r < s.rows(); ++r) {
            const auto at = r * s.c + k;
            hat[std::size_t(r)] = (x.data()[at] - m) * inverse;
            double v = hat[std::size_t(r)] * w + bias.data()[k] + (residual ? residual->data()[at] : 0);
            g[std::size_t(r)] = relu && v <= 0 ? 0 : dy.data()[at];
            p.y.data()[at] = relu ? std::max(v, 0.0) : v;
            p.dresidual.data()[at] = g[std::size_t(r)];
            sum += g[std::size_t(r)];
            product += g[std::size_t(r)] * hat[std::size_t(r)];
        }
        p.dweight.data()[k] = product;
        p.dbias.data()[k] = sum;
        for (std::int64_t r = 0; r < s.rows(); ++r)
            p.dx.data()[r * s.c + k] = w * inverse * (g[std::size_t(r)] - (batch ? sum / n + hat[std::size_t(r)] * product / n : 0));
    }
    return p;
}

}  // namespace

TEMPLATE_TEST_CASE("batch norm agrees with its definition, alone and fused, forward and backward", "[op]", float, bfloat16, double) {
    using T = TestType;
    using A = Accumulate<T>;
    auto& context = default_context<Cpu>();
    for (const Shape s : shapes)
        for (const bool batch : {false, true})
            for (const bool relu : {false, true})
                for (const bool beside : {false, true}) {
                    CAPTURE(text(s), batch, relu, beside);
                    const auto x = random_tensor<T>(s, 1), q = random_tensor<T>(s, 2), dy = random_tensor<T>(s, 3);
                    const auto weight = random_tensor<A>(vector_shape(s.c), 4), bias = random_tensor<A>(vector_shape(s.c), 5);
                    op::Moments<A, Cpu> moments = op::channel_moments(context, x);
                    if (!batch) moments = {random_tensor<A>(vector_shape(s.c), 6), full<A>(vector_shape(s.c), A(1.3))};
                    const op::Normalization<A, Cpu> normal{moments.mean, op::inverse_deviation(context, moments.variance, 1e-5), weight, bias};
                    const Tensor<double, Cpu> wide = cast<double>(q);
                    const Parts p = by_definition(cast<double>(x), beside ? &wide : nullptr, cast<double>(dy), cast<double>(weight),
                                                  cast<double>(bias), cast<double>(moments.mean), cast<double>(moments.variance), relu, batch);
                    const auto y = op::batch_norm(context, x, beside ? &q : nullptr, normal, relu);
                    // Two values a channel make xhat +-1 and the batch's dx a difference of equals: nothing to compare.
                    const double bound = std::same_as<T, double> ? 1e-10 : 4 * tolerance<T>();
                    CHECK(distance(y, p.y) <= bound);
                    const auto backward = [&](auto&& fill) {
                        op::BatchNormGradients<T, Cpu> wanted;
                        fill(wanted);
                        op::batch_norm_backward(context, x, relu && beside ? &y : nullptr, dy, normal, relu, batch, wanted);
                    };
                    if (!(batch && s.rows() < 3))
                        CHECK(written_error<T>(s, p.dx, [&](auto& out, Gradient mode) { backward([&](auto& w) { w.x = &out, w.to_x = mode; }); }) <= bound);
                    if (beside)
                        CHECK(written_error<T>(s, p.dresidual, [&](auto& out, Gradient mode) { backward([&](auto& w) { w.residual = &out, w.to_residual = mode; }); }) <= bound);
                    CHECK(written_error<A>(vector_shape(s.c), p.dweight, [&](auto& out, Gradient mode) { backward([&](auto& w) { w.weight = &out, w.to_weight = mode; }); }) <= bound);
                    CHECK(written_error<A>(vector_shape(s.c), p.dbias, [&](auto& out, Gradient mode) { backward([&](auto& w) { w.bias = &out, w.to_bias = mode; }); }) <= bound);
                }
}

TEST_CASE("batch norm's gradients are its slopes in all three states", "[op]") {
    for (const Shape s : {Shape{2, 5, 3, 7}, Shape{1, 3, 4, 1}, Shape{3, 2, 2, 18}})
        for (const auto state : {BatchNormState::batch, BatchNormState::running, BatchNormState::frozen})
            for (const bool relu : {false, true})
                for (const bool beside : {false, true}) {
                    CAPTURE(text(s), int(state), relu, beside);
                    const auto x = random_tensor<double>(s, 1), q = random_tensor<double>(s, 8);
                    const auto w = random_tensor<double>(vector_shape(s.c), 2), b = random_tensor<double>(vector_shape(s.c), 3);
                    const auto f = [&](Double a, Double c, Double W, Double B) {
                        auto mean = zeros<double>(vector_shape(s.c)), variance = full<double>(vector_shape(s.c), 1.3);
                        return batch_norm(a, beside ? &c : nullptr, W, B, mean, variance, relu, state, {});
                    };
                    CHECK(slope_error(x, [&](Double v) { return f(v, q, w, b); }) <= 1e-6);
                    CHECK(slope_error(w, [&](Double v) { return f(x, q, v, b); }) <= 1e-6);
                    CHECK(slope_error(b, [&](Double v) { return f(x, q, w, v); }) <= 1e-6);
                    if (beside) CHECK(slope_error(q, [&](Double v) { return f(x, v, w, b); }) <= 1e-6);
                }
}

TEST_CASE("running statistics move by momentum; the unbiased ones by n / (n - 1); frozen ones stay", "[op]") {
    const Shape s{2, 2, 2, 1};
    const auto x = from_values<double>(s, {1, 2, 3, 4, 5, 6, 7, 8});
    const auto w = full<double>(vector_shape(1), 1.0), b = zeros<double>(vector_shape(1));
    for (const bool unbiased : {true, false}) {
        auto mean = zeros<double>(vector_shape(1)), variance = full<double>(vector_shape(1), 1.0);
        batch_norm<double, Cpu>(x, nullptr, Double(w), Double(b), mean, variance, false, BatchNormState::batch, {.momentum = 0.1, .unbiased = unbiased});
        CHECK(std::abs(std::as_const(mean).data()[0] - 0.45) < 1e-12);
        CHECK(std::abs(std::as_const(variance).data()[0] - (0.9 + 0.1 * (unbiased ? 6.0 : 5.25))) < 1e-12);
        const double before = std::as_const(mean).data()[0];
        batch_norm<double, Cpu>(x, nullptr, Double(w), Double(b), mean, variance, false, BatchNormState::frozen, {});
        CHECK(std::as_const(mean).data()[0] == before);
    }
}

TEST_CASE("a large common level costs the moments no digits", "[op]") {
    auto& context = default_context<Cpu>();
    auto x = random_tensor<float>({4, 32, 32, 5}, 1);
    for (float& v : x.elements()) v += 3000.0f;
    const auto m = op::channel_moments(context, x), exact = op::channel_moments(context, x);
    const auto wide = op::channel_moments(context, cast<double>(x));
    CHECK(distance(m.mean, wide.mean) < 1e-6);
    CHECK(distance(m.variance, wide.variance) < 1e-5);
    CHECK(distance(m.variance, exact.variance) == 0.0);
}
