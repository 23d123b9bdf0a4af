// Shares over channels and the loss of labels under them, on every device, against their definitions.
#include "support/catch.hpp"
#include "support/devices.hpp"

using namespace holon;
using namespace holon::test;

namespace {

/// By the definition, in double, over the channels of each row.
Tensor<double, Cpu> shares(const Tensor<double, Cpu>& x) {
    const Shape s = x.shape();
    Tensor<double, Cpu> y(s);
    for (std::int64_t r = 0; r < s.rows(); ++r) {
        const double* from = x.data() + r * s.c;
        const double top = *std::max_element(from, from + s.c);
        double sum = 0;
        for (std::int64_t k = 0; k < s.c; ++k) sum += std::exp(from[k] - top);
        for (std::int64_t k = 0; k < s.c; ++k) y.data()[r * s.c + k] = std::exp(from[k] - top) / sum;
    }
    return y;
}

}  // namespace

TEMPLATE_TEST_CASE("softmax agrees with its definition, forward and backward", "[op][kernels]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    for (const Shape s : {Shape{1, 1, 1, 1}, Shape{3, 1, 1, 5}, Shape{1, 2, 3, 2}, Shape{700, 1, 1, 3},
                          Shape{2, 5, 4, 1000}, Shape{0, 1, 1, 4}})
        for (const double spread : {1.0, 30.0}) {
            CAPTURE(text(s), spread);
            auto scores = random_tensor<double>(s, 1);
            for (double& v : scores.elements()) v *= spread;
            const Operand<T, D> x(scores), dy(s, 2);
            const auto y = op::softmax(context, x.value);
            CHECK(distance(y, shares(x.wide)) <= tolerance<T>());
            const auto seen = numbers(y);
            Tensor<double, Cpu> dx(s);
            for (std::int64_t r = 0; r < s.rows(); ++r) {
                double dot = 0;
                for (std::int64_t k = r * s.c; k < (r + 1) * s.c; ++k) dot += seen.data()[k] * dy[k];
                for (std::int64_t k = r * s.c; k < (r + 1) * s.c; ++k) dx.data()[k] = seen.data()[k] * (dy[k] - dot);
            }
            // One channel: 1 whatever the score, and a slope of nothing.
            if (s.c > 1)
                CHECK(written_error<T, D>(s, dx, [&](auto& out, Gradient mode) {
                          op::softmax_backward(context, y, dy.value, out, mode);
                      }) <= 4 * tolerance<T>());
        }
}

TEMPLATE_TEST_CASE("softmax of scores of any size is finite", "[op][kernels]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    const double most = std::same_as<T, float16> ? 60000 : 3e38;
    const Operand<T, D> x(from_values<double>({2, 1, 1, 3}, {most, -most, 0, -most, -most, -most}));
    const auto y = numbers(op::softmax(default_context<D>(), x.value));
    const double third = rounded<T>(1.0 / 3);
    CHECK(distance(y, from_values<double>({2, 1, 1, 3}, {1, 0, 0, third, third, third})) <= tolerance<T>());
}

TEMPLATE_TEST_CASE("cross-entropy is the weighted mean of -log share, and its slope is share minus truth",
                   "[op][kernels]", HOLON_ACCUMULATORS) {
    using A = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    for (const int images : {1, 4, 128, 259})
        for (const int classes : {2, 5, 300})
            for (const bool weighted : {false, true}) {
                CAPTURE(images, classes, weighted);
                const Shape s{images, 1, 1, classes};
                const Operand<A, D> x(s, 1);
                std::vector<int> labels;
                std::vector<float> weights;
                for (int i = 0; i < images; ++i) {
                    labels.push_back((i * 7 + 1) % classes);
                    if (weighted) weights.push_back(0.25f * float((i + 3) % 9));
                }
                const auto y = shares(x.wide);
                const double upstream = 0.75;
                double loss = 0;
                Tensor<double, Cpu> dx(s);
                for (std::int64_t i = 0; i < images; ++i) {
                    const double weight = weighted ? double(weights[std::size_t(i)]) : 1;
                    const int label = labels[std::size_t(i)];
                    loss -= weight * std::log(y.data()[i * classes + label]) / images;
                    for (int k = 0; k < classes; ++k)
                        dx.data()[i * classes + k] =
                            upstream * weight / images * (y.data()[i * classes + k] - (k == label ? 1 : 0));
                }
                const auto given = op::cross_entropy(context, x.value, labels, weights);
                CHECK(given.shape() == Shape{1, 1, 1, 1});
                CHECK(std::abs(numbers(given).elements()[0] - loss) <= tolerance<A>() * std::abs(loss));
                const auto dy = full<A, D>({1, 1, 1, 1}, A(upstream));
                CHECK(written_error<A, D>(s, dx, [&](auto& out, Gradient mode) {
                          op::cross_entropy_backward(context, x.value, labels, weights, dy, out, mode);
                      }) <= tolerance<A>());
            }
    // By hand, from the op's own shares.
    const Operand<A, D> x({4, 1, 1, 3}, 1);
    const std::vector<int> labels{0, 2, 1, 1};
    const std::vector<float> weights{0.5f, 2, 1, 0};
    const auto share = numbers(op::softmax(context, x.value));
    double by_hand = 0;
    for (int i = 0; i < 4; ++i)
        by_hand -= double(weights[std::size_t(i)]) * std::log(share.data()[i * 3 + labels[std::size_t(i)]]) / 4;
    CHECK(std::abs(numbers(op::cross_entropy(context, x.value, labels, weights)).elements()[0] - by_hand) <
          (std::same_as<A, double> ? 1e-12 : 1e-6));
    // Scores of any size keep it finite.
    const auto large = full<A, D>({1, 1, 1, 2}, A(3e38));
    CHECK(std::isfinite(numbers(op::cross_entropy(context, large, std::vector<int>{0}, {})).elements()[0]));
}
