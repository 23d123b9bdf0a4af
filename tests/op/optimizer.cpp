// Adam, SGD, norms and the search for what is not finite, on every device, against their formulas in double.
#include "support/catch.hpp"
#include "support/devices.hpp"

using namespace holon;
using namespace holon::test;

namespace {

/// A parameter with its gradient and moments on a device, and the same in double, which `adam` and `sgd` step here.
template <class A, class D> struct Stepped {
    Operand<A, D> value, gradient;
    Operand<A, D> first, second;
    double rate, coupled, decoupled;

    Stepped(Shape s, std::uint64_t seed, double r, double c = 0, double d = 0)
        : value(s, seed),
          gradient(s, seed),
          first(zeros<double>(s)),
          second(zeros<double>(s)),
          rate(r),
          coupled(c),
          decoupled(d) {}

    void draw(std::uint64_t seed) { gradient = Operand<A, D>(value.wide.shape(), seed); }

    op::AdamOperand<A, D> for_adam() {
        return {&gradient.value, &value.value, &first.value, &second.value, rate, coupled, decoupled};
    }
    op::SgdOperand<A, D> for_sgd(bool velocity) {
        return {&gradient.value, &value.value, velocity ? &first.value : nullptr, rate, coupled, decoupled};
    }
    void adam(const op::AdamStep& o) {
        double *w = value.wide.data(), *m = first.wide.data(), *v = second.wide.data();
        for (std::int64_t i = 0; i < value.wide.size(); ++i) {
            const double slope = o.gradient_scale * gradient[i] + coupled * w[i];
            m[i] = o.beta1 * m[i] + (1 - o.beta1) * slope;
            v[i] = o.beta2 * v[i] + (1 - o.beta2) * slope * slope;
            const double step = m[i] / (1 - std::pow(o.beta1, double(o.step))),
                         root = std::sqrt(v[i] / (1 - std::pow(o.beta2, double(o.step))));
            w[i] = w[i] - rate * decoupled * w[i] - rate * step / (root + o.epsilon);
        }
    }
    void sgd(const op::SgdStep& o) {
        double *w = value.wide.data(), *v = first.wide.data();
        for (std::int64_t i = 0; i < value.wide.size(); ++i) {
            const double slope = o.gradient_scale * gradient[i] + coupled * w[i];
            v[i] = o.momentum * v[i] + slope;
            w[i] = w[i] - rate * decoupled * w[i] - rate * (o.nesterov ? slope + o.momentum * v[i] : v[i]);
        }
    }
    double error() const {
        const auto of = [](const Operand<A, D>& x) { return distance(x.value, x.wide); };
        return std::max({of(value), of(first), of(second)});
    }
};

/// Short, long, and around the stretches that cards step by.
template <class A, class D> std::vector<Stepped<A, D>> several(std::uint64_t seed) {
    std::vector<Stepped<A, D>> all;
    all.emplace_back(vector_shape(1), seed + 1, 0.01);
    all.emplace_back(Shape{3, 3, 3, 3}, seed + 2, 0.1, 0.02);
    all.emplace_back(vector_shape(0), seed + 3, 0.1);
    all.emplace_back(vector_shape(2048), seed + 4, 0.003, 0, 0.4);
    all.emplace_back(Shape{7, 3, 3, 65}, seed + 5, 0.02, 0.01, 0.1);
    all.emplace_back(vector_shape(20), seed + 6, 0.0);
    return all;
}

template <class A> constexpr double step_tolerance() { return std::same_as<A, double> ? 1e-12 : 1e-6; }

}  // namespace

TEMPLATE_TEST_CASE("Adam follows its formula for one parameter and for several, whose rates change", "[op][kernels]",
                   HOLON_ACCUMULATORS) {
    using A = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    auto all = several<A, D>(10), others = several<A, D>(20);
    const auto step = [&](std::vector<Stepped<A, D>>& parameters, const op::AdamStep& o, std::uint64_t seed) {
        std::vector<op::AdamOperand<A, D>> operands;
        for (auto& p : parameters) {
            p.draw(++seed);
            p.adam(o);
            operands.push_back(p.for_adam());
        }
        op::adam(context, std::span<const op::AdamOperand<A, D>>(operands), o);
    };
    for (int i = 1; i <= 5; ++i) {
        step(all, {.step = i}, 100 * std::uint64_t(i));
        step(others, {.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-3, .step = i, .gradient_scale = 0x1p-7},
             1000 * std::uint64_t(i));
        if (i == 3)
            for (auto& p : all) p.rate /= 10;
        for (const auto* parameters : {&all, &others})
            for (const auto& p : *parameters) {
                CAPTURE(i, text(p.value.wide.shape()));
                CHECK(p.error() <= step_tolerance<A>());
            }
    }
    Stepped<A, D> one(vector_shape(20), 5, 0.1);
    for (int i = 1; i <= 5; ++i) {
        one.draw(std::uint64_t(i));
        one.adam({.step = i});
        const auto operand = one.for_adam();
        op::adam(context, std::span<const op::AdamOperand<A, D>>(&operand, 1), {.step = i});
        CHECK(one.error() <= step_tolerance<A>());
    }
    op::adam(context, std::span<const op::AdamOperand<A, D>>(), {});
    Stepped<A, D> none(vector_shape(0), 5, 0.1);
    const auto operand = none.for_adam();
    op::adam(context, std::span<const op::AdamOperand<A, D>>(&operand, 1), {});
    CHECK(op::all_finite(context, one.value.value));  // the device goes on
}

TEMPLATE_TEST_CASE("A8 Adam's coupled decay is twice the lambda of the penalty", "[op][kernels]", HOLON_ACCUMULATORS) {
    using A = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    const double lambda = 0.01;
    const auto run = [&](double coupled, bool penalty) {
        Operand<A, D> w(vector_shape(20), 1);
        auto m = zeros<A, D>(vector_shape(20)), v = zeros<A, D>(vector_shape(20));
        for (int step = 1; step <= 10; ++step) {
            auto slopes = random_tensor<double>(vector_shape(20), std::uint64_t(100 + step));
            for (double& e : slopes.elements()) e *= step % 2 ? 3 : 0.1;
            if (penalty) {
                const auto now = numbers(w.value);
                for (int i = 0; i < 20; ++i) slopes.data()[i] += 2 * lambda * now.data()[i];
            }
            const Operand<A, D> g(slopes);
            const op::AdamOperand<A, D> operand{&g.value, &w.value, &m, &v, 0.05, coupled};
            op::adam(context, std::span<const op::AdamOperand<A, D>>(&operand, 1), {.step = step});
        }
        return numbers(w.value);
    };
    CHECK(distance(run(2 * lambda, false), run(0, true)) <= step_tolerance<A>());
    CHECK(distance(run(lambda, false), run(0, true)) > (std::same_as<A, double> ? 1e-6 : 1e-4));
}

TEMPLATE_TEST_CASE("SGD follows its formula with momentum, Nesterov's too, and without", "[op][kernels]",
                   HOLON_ACCUMULATORS) {
    using A = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    for (const op::SgdStep o :
         {op::SgdStep{0.9, false}, op::SgdStep{0.9, true}, op::SgdStep{0, false}, op::SgdStep{0.7, true, 0.25}}) {
        const bool velocity = o.momentum != 0;
        auto all = several<A, D>(30);
        for (int i = 1; i <= 5; ++i) {
            std::vector<op::SgdOperand<A, D>> operands;
            for (auto& p : all) {
                p.draw(std::uint64_t(50 * i) + std::uint64_t(operands.size()));
                p.sgd(o);
                operands.push_back(p.for_sgd(velocity));
            }
            op::sgd(context, std::span<const op::SgdOperand<A, D>>(operands), o);
            for (const auto& p : all) {
                CAPTURE(i, o.momentum, o.nesterov, text(p.value.wide.shape()));
                CHECK((velocity ? p.error() : distance(p.value.value, p.value.wide)) <= step_tolerance<A>());
            }
        }
        // One number, by hand.
        auto w = full<A, D>(vector_shape(1), A(1)), v = zeros<A, D>(vector_shape(1));
        double weight = 1, speed = 0;
        for (int step = 1; step < 5; ++step) {
            const auto g = full<A, D>(vector_shape(1), A(0.5 * step));
            const op::SgdOperand<A, D> operand{&g, &w, velocity ? &v : nullptr, 0.1, 0.02, 0.03};
            op::sgd(context, std::span<const op::SgdOperand<A, D>>(&operand, 1), o);
            const double slope = o.gradient_scale * 0.5 * step + 0.02 * weight;
            speed = o.momentum * speed + slope;
            weight = weight * (1 - 0.1 * 0.03) - 0.1 * (o.nesterov ? slope + o.momentum * speed : speed);
            CHECK(std::abs(numbers(w).elements()[0] - weight) < (std::same_as<A, double> ? 1e-14 : 1e-6));
        }
    }
    op::sgd(context, std::span<const op::SgdOperand<A, D>>(), {});
    Stepped<A, D> none(vector_shape(0), 5, 0.1);
    const auto operand = none.for_sgd(true);
    op::sgd(context, std::span<const op::SgdOperand<A, D>>(&operand, 1), {0.9, true});
    CHECK(op::all_finite(context, Operand<A, D>(vector_shape(9), 1).value));
}

TEMPLATE_TEST_CASE("squared_norm sums in double", "[op][kernels]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    CHECK(op::squared_norm(context, Tensor<T, D>(vector_shape(0))) == 0);
    for (const Shape s :
         {Shape{1, 1, 1, 1}, Shape{1, 1, 1, 3}, Shape{1, 1, 1, 257}, Shape{2, 70, 60, 5}, Shape{1, 1, 1, 300001}}) {
        const Operand<T, D> x(s, 1);
        double squares = 0;
        for (std::int64_t i = 0; i < s.size(); ++i) squares += x[i] * x[i];
        CHECK(std::abs(op::squared_norm(context, x.value) / squares - 1) < 1e-12);
    }
}

TEMPLATE_TEST_CASE("squared_norm over several tensors is their sum", "[op][kernels]", HOLON_ACCUMULATORS) {
    using A = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    std::vector<Operand<A, D>> all;
    std::vector<const Tensor<A, D>*> tensors;
    double squares = 0;
    CHECK(op::squared_norm(context, std::span<const Tensor<A, D>* const>(tensors)) == 0);
    for (const std::int64_t size : {7, 0, 1, 70000, 2048}) {
        all.emplace_back(vector_shape(size), std::uint64_t(size));
        for (std::int64_t i = 0; i < size; ++i) squares += all.back()[i] * all.back()[i];
    }
    for (const auto& x : all) tensors.push_back(&x.value);
    CHECK(std::abs(op::squared_norm(context, std::span<const Tensor<A, D>* const>(tensors)) / squares - 1) < 1e-12);
}

TEMPLATE_TEST_CASE("all_finite finds one infinity, of either sign, and one NaN, wherever it stands", "[op][kernels]",
                   HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    const double infinity = std::numeric_limits<double>::infinity();
    CHECK(op::all_finite(context, Tensor<T, D>(vector_shape(0))));
    const double most = std::same_as<T, float16> ? 65504 : 3e38;
    for (const std::int64_t size : {1, 3, 257, 42000, 300001}) {
        auto x = random_tensor<double>(vector_shape(size), 1);
        x.data()[size / 3] = -most;
        CHECK(op::all_finite(context, Operand<T, D>(x).value));
        for (const double bad : {infinity, -infinity, std::numeric_limits<double>::quiet_NaN()})
            for (const std::int64_t at : {std::int64_t(0), size / 2, size - 1}) {
                CAPTURE(size, bad, at);
                auto y = x.clone();
                y.data()[at] = bad;
                CHECK_FALSE(op::all_finite(context, Operand<T, D>(y).value));
            }
    }
}
