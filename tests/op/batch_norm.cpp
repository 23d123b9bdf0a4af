// Batch norm on every device: its three states, alone and fused, against its definition, and its parts.
#include <holon/graph/batch_norm.hpp>

#include "support/catch.hpp"
#include "support/devices.hpp"

using namespace holon;
using namespace holon::test;

namespace {

const std::vector<Shape> shapes{{1, 1, 2, 1},  {2, 5, 3, 17}, {3, 4, 4, 64},
                                {2, 7, 1, 35}, {1, 9, 9, 3},  {4, 16, 16, 256}};

struct Parts {
    Tensor<double, Cpu> y, dx, dresidual, dweight, dbias;
};

Parts by_definition(const Tensor<double, Cpu>& x, const Tensor<double, Cpu>* residual, const Tensor<double, Cpu>& dy,
                    const Tensor<double, Cpu>& weight, const Tensor<double, Cpu>& bias, const Tensor<double, Cpu>& mean,
                    const Tensor<double, Cpu>& variance, bool relu, bool batch) {
    const Shape s = x.shape();
    Parts p{zeros<double>(s), zeros<double>(s), zeros<double>(s), zeros<double>(vector_shape(s.c)),
            zeros<double>(vector_shape(s.c))};
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
            p.dx.data()[r * s.c + k] =
                w * inverse * (g[std::size_t(r)] - (batch ? sum / n + hat[std::size_t(r)] * product / n : 0));
    }
    return p;
}

template <class A, class D> struct Moments {
    Tensor<A, D> mean, variance;
};

/// The batch's own mean and biased variance: what running statistics become that keep nothing of what they were.
template <class T, class D> auto moments_of(Context<D>& context, const Tensor<T, D>& x) {
    using A = Accumulate<T>;
    const Shape vector = vector_shape(x.shape().c);
    Moments<A, D> out{zeros<A, D>(vector), zeros<A, D>(vector)};
    op::batch_statistics<T>(context, x, 1e-5, {&out.mean, &out.variance, 1.0, false});
    return out;
}

}  // namespace

TEMPLATE_TEST_CASE("batch norm agrees with its definition, alone and fused, forward and backward", "[op][kernels]",
                   HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    auto& context = default_context<D>();
    for (const Shape s : shapes)
        for (const bool batch : {false, true})
            for (const bool relu : {false, true})
                for (const bool beside : {false, true}) {
                    CAPTURE(text(s), batch, relu, beside);
                    const Operand<T, D> x(s, 1), q(s, 2), dy(s, 3);
                    const Shape vector = vector_shape(s.c);
                    const Operand<A, D> weight(vector, 4), bias(vector, 5);
                    Moments<A, D> moments = moments_of(context, x.value);
                    if (!batch) moments = {Operand<A, D>(vector, 6).value, full<A, D>(vector, A(1.3))};
                    const op::Normalization<A, D> normal{
                        moments.mean, op::inverse_deviation(context, moments.variance, 1e-5), weight.value, bias.value};
                    const Parts p = by_definition(x.wide, beside ? &q.wide : nullptr, dy.wide, weight.wide, bias.wide,
                                                  numbers(moments.mean), numbers(moments.variance), relu, batch);
                    const bool masked = relu && beside;
                    const auto [y, mask] =
                        op::batch_norm(context, x.value, beside ? &q.value : nullptr, normal, relu, masked);
                    const double bound = std::same_as<T, double> ? 1e-10 : 4 * tolerance<T>();
                    CHECK(distance(y, p.y) <= bound);
                    const auto backward = [&, &mask = mask](auto&& fill) {
                        op::BatchNormGradients<T, D> wanted;
                        fill(wanted);
                        op::batch_norm_backward(context, x.value, masked ? &mask : nullptr, dy.value, normal, relu, batch,
                                                wanted);
                    };
                    // Two values a channel make xhat +-1 and the batch's dx a difference of equals: nothing to compare.
                    if (!(batch && s.rows() < 3))
                        CHECK(written_error<T, D>(s, p.dx, [&](auto& out, Gradient mode) {
                                  backward([&](auto& w) { w.x = &out, w.to_x = mode; });
                              }) <= bound);
                    if (beside)
                        CHECK(written_error<T, D>(s, p.dresidual, [&](auto& out, Gradient mode) {
                                  backward([&](auto& w) { w.residual = &out, w.to_residual = mode; });
                              }) <= bound);
                    CHECK(written_error<A, D>(vector, p.dweight, [&](auto& out, Gradient mode) {
                              backward([&](auto& w) { w.weight = &out, w.to_weight = mode; });
                          }) <= bound);
                    CHECK(written_error<A, D>(vector, p.dbias, [&](auto& out, Gradient mode) {
                              backward([&](auto& w) { w.bias = &out, w.to_bias = mode; });
                          }) <= bound);
                }
}

TEMPLATE_TEST_CASE("batch norm's gradients asked for together are those asked for one by one", "[op][kernels]",
                   HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    auto& context = default_context<D>();
    for (const Shape s : {Shape{2, 5, 3, 17}, Shape{3, 4, 4, 64}, Shape{2, 7, 1, 35}, Shape{1, 9, 9, 3}})
        for (const bool batch : {false, true}) {
            CAPTURE(text(s), batch);
            const Operand<T, D> x(s, 1), q(s, 2), dy(s, 3), old_dx(s, 6);
            const Shape vector = vector_shape(s.c);
            const Operand<A, D> old_db(vector, 7);
            const Moments<A, D> moments = moments_of(context, x.value);
            const op::Normalization<A, D> normal{moments.mean, op::inverse_deviation(context, moments.variance, 1e-5),
                                                 Operand<A, D>(vector, 4).value, Operand<A, D>(vector, 5).value};
            const auto mask = op::batch_norm(context, x.value, &q.value, normal, true, true).mask;
            const auto run = [&](bool all, int one) {
                Tensor<T, D> dx = old_dx.value.clone(), dq = poisoned<T, D>(s);
                Tensor<A, D> dw = poisoned<A, D>(vector), db = old_db.value.clone();
                op::BatchNormGradients<T, D> wanted;
                if (all || one == 0) wanted.x = &dx, wanted.to_x = Gradient::add;
                if (all || one == 1) wanted.residual = &dq;
                if (all || one == 2) wanted.weight = &dw;
                if (all || one == 3) wanted.bias = &db, wanted.to_bias = Gradient::add;
                op::batch_norm_backward(context, x.value, &mask, dy.value, normal, true, batch, wanted);
                return std::array{numbers(dx), numbers(dq), numbers(dw), numbers(db)};
            };
            const auto together = run(true, -1);
            for (int one = 0; one < 4; ++one)
                CHECK(same_numbers(run(false, one)[std::size_t(one)], together[std::size_t(one)]));
        }
}

TEMPLATE_TEST_CASE("batch norm's residual gradient written over dy changes nothing else", "[op][kernels]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    auto& context = default_context<D>();
    for (const Shape s : {Shape{2, 5, 3, 17}, Shape{2, 30, 20, 64}, Shape{1, 9, 9, 3}})
        for (const bool batch : {false, true})
            for (const bool relu : {false, true})
                for (const bool vectors : {false, true}) {
                    CAPTURE(text(s), batch, relu, vectors);
                    const Operand<T, D> x(s, 1), q(s, 2), dy(s, 3);
                    const Shape vector = vector_shape(s.c);
                    const Moments<A, D> moments = moments_of(context, x.value);
                    const op::Normalization<A, D> normal{moments.mean, op::inverse_deviation(context, moments.variance, 1e-5),
                                                         Operand<A, D>(vector, 4).value, Operand<A, D>(vector, 5).value};
                    const auto mask = op::batch_norm(context, x.value, &q.value, normal, relu, relu).mask;
                    const auto run = [&](const Tensor<T, D>& slopes, Tensor<T, D> dq) {
                        Tensor<T, D> dx = poisoned<T, D>(s);
                        Tensor<A, D> dw = zeros<A, D>(vector), db = zeros<A, D>(vector);
                        op::BatchNormGradients<T, D> wanted;
                        wanted.x = &dx, wanted.residual = &dq;
                        if (vectors) wanted.weight = &dw, wanted.bias = &db;
                        op::batch_norm_backward(context, x.value, relu ? &mask : nullptr, slopes, normal, relu, batch, wanted);
                        return std::array{numbers(dx), numbers(dq), numbers(dw), numbers(db)};
                    };
                    const Tensor<T, D> both = dy.value.clone();
                    const auto apart = run(dy.value, poisoned<T, D>(s)), over = run(both, both);
                    for (std::size_t i = 0; i < apart.size(); ++i) CHECK(same_numbers(apart[i], over[i]));
                }
}

TEMPLATE_TEST_CASE("batch_statistics, channel_sum and inverse_deviation agree with their definitions", "[op][kernels]",
                   HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    auto& context = default_context<D>();
    std::vector<Shape> all = shapes;
    all.insert(all.end(), {{1, 1, 1, 1}, {1, 1, 1, 37}, {5, 40, 30, 8}, {3, 61, 47, 1}});
    for (const Shape s : all) {
        CAPTURE(text(s));
        const Operand<T, D> x(s, 1);
        Tensor<double, Cpu> sum = zeros<double>(vector_shape(s.c)), mean(vector_shape(s.c)),
                            variance = zeros<double>(vector_shape(s.c)), inverse(vector_shape(s.c));
        for (std::int64_t i = 0; i < s.size(); ++i) sum.data()[i % s.c] += x[i];
        for (std::int64_t k = 0; k < s.c; ++k) mean.data()[k] = sum.data()[k] / double(s.rows());
        for (std::int64_t i = 0; i < s.size(); ++i) {
            const double away = x[i] - mean.data()[i % s.c];
            variance.data()[i % s.c] += away * away / double(s.rows());
        }
        // Sums of float are taken in float: T's rounding is not theirs.
        const double bound = 2 * tolerance<A>();
        const auto moments = moments_of(context, x.value);
        CHECK(distance(moments.mean, mean) <= bound);
        CHECK(distance(moments.variance, variance) <= bound);
        CHECK(written_error<A, D>(vector_shape(s.c), sum, [&](auto& out, Gradient mode) {
                  op::channel_sum(context, x.value, out, mode);
              }) <= bound);
        const auto seen = numbers(moments.variance);
        for (std::int64_t k = 0; k < s.c; ++k) inverse.data()[k] = 1 / std::sqrt(seen.data()[k] + 1e-3);
        CHECK(distance(op::inverse_deviation(context, moments.variance, 1e-3), inverse) <= bound);
        auto unused_mean = zeros<A, D>(vector_shape(s.c)), unused = zeros<A, D>(vector_shape(s.c));
        const auto both = op::batch_statistics<T>(context, x.value, 1e-3, {&unused_mean, &unused});
        CHECK(distance(both.mean, mean) <= bound);
        CHECK(distance(both.inverse_deviation, inverse) <= bound);
    }
}

TEMPLATE_TEST_CASE("running statistics mix by momentum, of any number of channels", "[op][kernels]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    auto& context = default_context<D>();
    for (const Shape s : {Shape{1, 1, 5, 1}, Shape{1, 1, 1, 35}, Shape{1, 1, 3, 3000}})
        for (const double momentum : {0.1, 0.01, 0.0, 1.0})
            for (const bool unbiased : {false, true}) {
                CAPTURE(text(s), momentum, unbiased);
                const Operand<T, D> x(s, 1);
                const auto moments = moments_of(context, x.value);
                const auto mean = numbers(moments.mean), variance = numbers(moments.variance);
                Operand<A, D> old_mean(vector_shape(s.c), 2), old_variance(vector_shape(s.c), 3);
                op::batch_statistics<T>(context, x.value, 1e-5, {&old_mean.value, &old_variance.value, momentum, unbiased});
                const double correction = unbiased && s.w > 1 ? double(s.w) / double(s.w - 1) : 1;
                Tensor<double, Cpu> expected_mean(vector_shape(s.c)), expected_variance(vector_shape(s.c));
                for (std::int64_t k = 0; k < s.c; ++k) {
                    expected_mean.data()[k] = (1 - momentum) * old_mean[k] + momentum * mean.data()[k];
                    expected_variance.data()[k] =
                        (1 - momentum) * old_variance[k] + momentum * correction * variance.data()[k];
                }
                CHECK(distance(old_mean.value, expected_mean) <= tolerance<A>());
                CHECK(distance(old_variance.value, expected_variance) <= tolerance<A>());
            }
}

TEMPLATE_TEST_CASE("running statistics move by momentum; the unbiased ones by n / (n - 1); frozen ones stay",
                   "[op][kernels]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    const double bound = std::same_as<T, double> ? 1e-12 : 1e-6;
    const Shape s{2, 2, 2, 1};
    const Operand<T, D> x(from_values<double>(s, {1, 2, 3, 4, 5, 6, 7, 8}));
    const auto w = full<A, D>(vector_shape(1), A(1)), b = zeros<A, D>(vector_shape(1));
    const auto one = [](const Tensor<A, D>& t) { return numbers(t).elements()[0]; };
    for (const bool unbiased : {true, false}) {
        auto mean = zeros<A, D>(vector_shape(1)), variance = full<A, D>(vector_shape(1), A(1));
        const auto run = [&](BatchNormState state, const BatchNormOptions& o) {
            batch_norm<T, D>({Variable<T, D>(x.value), Variable<A, D>(w), Variable<A, D>(b), mean, variance, o}, nullptr, false,
                             state);
        };
        run(BatchNormState::batch, {.momentum = 0.1, .unbiased = unbiased});
        CHECK(std::abs(one(mean) - 0.45) < bound);
        CHECK(std::abs(one(variance) - (0.9 + 0.1 * (unbiased ? 6.0 : 5.25))) < bound);
        const double before = one(mean);
        run(BatchNormState::frozen, {});
        run(BatchNormState::running, {});
        CHECK(one(mean) == before);
    }
}

TEMPLATE_TEST_CASE("a large common level costs the moments no digits", "[op][kernels]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    auto level = random_tensor<double>({4, 32, 32, 5}, 1);
    for (double& v : level.elements()) v += 3000;
    const Operand<T, D> x(level);
    const auto m = moments_of(context, x.value), again = moments_of(context, x.value);
    const auto wide = moments_of(default_context<Cpu>(), x.wide);
    CHECK(distance(m.mean, wide.mean) < 1e-6);
    CHECK(distance(m.variance, wide.variance) < 1e-5);
    CHECK(same_numbers(numbers(m.variance), numbers(again.variance)));
}
