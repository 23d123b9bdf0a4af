// The remaining ops: definitions, slopes, and the laws they obey.
#include <holon/graph/affine_warp.hpp>
#include <holon/graph/elementwise.hpp>
#include <holon/graph/linear.hpp>
#include <holon/graph/pool2d.hpp>
#include <holon/graph/softmax.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

using namespace holon;
using namespace holon::test;

namespace {
const std::vector<Shape> shapes{{1, 1, 1, 1}, {2, 3, 5, 7}, {1, 8, 6, 17}, {3, 9, 9, 64}, {2, 16, 15, 3}};
const std::vector<Pool2dOptions> pools{{.window = 2}, {.window = 3, .stride = 2, .padding = 1}, {.window = {3, 2}, .stride = 1, .padding = {1, 0, 0, 1}},
                                       {.window = 5}, {.window = 7, .stride = 1, .padding = 3}, {.window = 3, .stride = {1, 2}}, {.window = 1}};
bool fits(const Shape& s, const Pool2dOptions& o) {
    return s.h + o.padding.top + o.padding.bottom >= o.window.h && s.w + o.padding.left + o.padding.right >= o.window.w;
}
}  // namespace

TEST_CASE("slopes of every op without parameters", "[op]") {
    for (const Shape s : shapes) {
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

TEMPLATE_TEST_CASE("pools agree with their definitions, and so do their gradients", "[op]", float, bfloat16, double) {
    using T = TestType;
    auto& context = default_context<Cpu>();
    for (const Shape s : shapes)
        for (const auto& o : pools) {
            if (!fits(s, o)) continue;
            CAPTURE(text(s), text(o.window));
            const auto x = cast<T>(spread_tensor(s, 2));
            const auto pooled = op::max_pool2d(context, x, o);
            const auto mean = op::average_pool2d(context, x, o);
            const Shape t = pooled.y.shape();
            const auto dy = random_tensor<T>(t, 4);
            Tensor<double, Cpu> largest(t), average(t), back = zeros<double>(s), back_mean = zeros<double>(s);
            for (int n = 0; n < t.n; ++n)
                for (int h = 0; h < t.h; ++h)
                    for (int w = 0; w < t.w; ++w)
                        for (int k = 0; k < t.c; ++k) {
                            double top = -1e30, sum = 0;
                            std::vector<std::int64_t> inside;
                            std::int64_t best = 0;
                            for (int r = 0; r < o.window.h; ++r)
                                for (int q = 0; q < o.window.w; ++q) {
                                    const int y = h * o.step().h - o.padding.top + r, z = w * o.step().w - o.padding.left + q;
                                    if (y < 0 || y >= s.h || z < 0 || z >= s.w) continue;
                                    const auto at = s.at(n, y, z, k);
                                    const double v = double(x.data()[at]);
                                    inside.push_back(at);
                                    sum += v;
                                    if (v > top) top = v, best = at;
                                }
                            const double g = double(dy.data()[t.at(n, h, w, k)]);
                            largest.data()[t.at(n, h, w, k)] = top;
                            average.data()[t.at(n, h, w, k)] = sum / double(inside.size());
                            back.data()[best] += g;
                            for (const auto at : inside) back_mean.data()[at] += g / double(inside.size());
                        }
            CHECK(distance(pooled.y, largest) == 0.0);
            CHECK(distance(mean, average) <= tolerance<T>() * 10);
            CHECK(written_error<T>(s, back, [&](auto& dx, Gradient mode) { op::max_pool2d_backward(context, dy, pooled.place, o, dx, mode); }) <= tolerance<T>());
            CHECK(written_error<T>(s, back_mean, [&](auto& dx, Gradient mode) { op::average_pool2d_backward(context, dy, o, dx, mode); }) <= tolerance<T>());
        }
}

TEMPLATE_TEST_CASE("linear agrees with its definition", "[op]", float, bfloat16, double) {
    using T = TestType;
    using A = Accumulate<T>;
    auto& context = default_context<Cpu>();
    for (const Shape s : {Shape{1, 1, 1, 1}, Shape{3, 1, 1, 37}, Shape{2, 3, 5, 64}, Shape{5, 1, 1, 130}})
        for (const int out : {1, 2, 11}) {
            const auto x = random_tensor<T>(s, 1), dy = random_tensor<T>({s.n, s.h, s.w, out}, 2);
            const auto w = random_tensor<A>({out, 1, 1, s.c}, 3), b = random_tensor<A>(vector_shape(out), 4);
            Tensor<double, Cpu> y(dy.shape()), dx = zeros<double>(s), dw = zeros<double>(w.shape());
            for (std::int64_t r = 0; r < s.rows(); ++r)
                for (int k = 0; k < out; ++k) {
                    double sum = double(b.data()[k]);
                    for (std::int64_t i = 0; i < s.c; ++i) {
                        const double v = double(x.data()[r * s.c + i]), weight = double(w.data()[k * s.c + i]), g = double(dy.data()[r * out + k]);
                        sum += v * weight;
                        dx.data()[r * s.c + i] += g * weight;
                        dw.data()[k * s.c + i] += g * v;
                    }
                    y.data()[r * out + k] = sum;
                }
            CAPTURE(text(s), out);
            CHECK(distance(op::linear(context, x, w, &b), y) <= tolerance<T>());
            CHECK(written_error<T>(s, dx, [&](auto& g, Gradient mode) { op::linear_backward_input(context, dy, w, g, mode); }) <= tolerance<T>());
            CHECK(written_error<A>(w.shape(), dw, [&](auto& g, Gradient mode) { op::linear_backward_weight(context, x, dy, g, mode); }) <= tolerance<T>());
        }
    const auto x = random_tensor<double>({2, 2, 1, 5}, 1), w = random_tensor<double>({3, 1, 1, 5}, 2), b = random_tensor<double>(vector_shape(3), 3);
    CHECK(slope_error(x, [&](Double v) { return linear(v, Double(w), Double(b)); }) <= 1e-6);
    CHECK(slope_error(w, [&](Double v) { return linear(Double(x), v, Double(b)); }) <= 1e-6);
    CHECK(slope_error(b, [&](Double v) { return linear(Double(x), Double(w), v); }) <= 1e-6);
}

TEST_CASE("cross-entropy is the weighted mean of -log share, and its slope is share minus truth", "[op]") {
    const auto x = random_tensor<double>({4, 1, 1, 3}, 1);
    const std::vector<int> labels{0, 2, 1, 1};
    const std::vector<float> weights{0.5f, 2, 1, 0};
    CHECK(slope_error(x, [&](Double v) { return cross_entropy(v, std::span<const int>(labels), weights); }) <= 1e-6);
    CHECK(slope_error(x, [&](Double v) { return cross_entropy(v, std::span<const int>(labels)); }) <= 1e-6);
    auto& context = default_context<Cpu>();
    const auto share = op::softmax(context, x);
    double by_hand = 0;
    for (int i = 0; i < 4; ++i) by_hand -= double(weights[std::size_t(i)]) * std::log(share.data()[i * 3 + labels[std::size_t(i)]]) / 4;
    CHECK(std::abs(op::cross_entropy(context, x, labels, weights).elements()[0] - by_hand) < 1e-12);
    const std::vector<int> wrong{0, 2, 3, 1};
    CHECK_THROWS_WITH(op::cross_entropy(context, x, wrong, {}), ContainsText("label 3 at 2"));
    // Scores of any size keep it finite.
    CHECK(std::isfinite(op::cross_entropy(context, full<float>({1, 1, 1, 2}, 3e38f), std::vector<int>{0}, {}).elements()[0]));
}

TEST_CASE("dropout drops its share, scales the rest, and draws the same mask for any number of threads", "[op]") {
    auto& context = default_context<Cpu>();
    const auto x = full<float>({1, 300, 300, 1}, 1.0f);
    const op::DropoutMask mask{0.3, 5, 6, 7};
    const auto y = op::dropout(context, x, mask);
    std::int64_t dropped = 0;
    for (const float v : y.elements()) {
        CHECK((v == 0.0f || std::abs(v - 1 / 0.7f) < 1e-6f));
        dropped += v == 0.0f;
    }
    CHECK(std::abs(double(dropped) / 90000 - 0.3) < 0.006);
#ifdef _OPENMP
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    CHECK(distance(op::dropout(context, x, mask), y) == 0.0);
    omp_set_num_threads(threads);
#endif
}

TEST_CASE("A10 the warp samples where the affine map points", "[op]") {
    auto& context = default_context<Cpu>();
    const Shape s{1, 224, 224, 1};
    Tensor<float, Cpu> x(s);
    for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = float(i);
    op::Warp warp;
    warp.matrix = {0.886326978, -0.298207121, 0.156283360, 1.058807118};
    warp.offset = {46.336516, -24.197679};
    const std::vector<op::Warp> warps{warp};
    const auto y = op::affine_warp(context, x, warps, {.channels = 1});
    CHECK(y.data()[50 * 224 + 100] == float(61 * 224 + 89));  // (60.832153, 89.497201)
    CHECK(y.data()[0] == float(46 * 224));                    // (46.3, -24.2): the nearest edge column
}

TEST_CASE("the warp's slopes, its clipping, its flips", "[op]") {
    auto& context = default_context<Cpu>();
    std::vector<op::Warp> warps(2);
    warps[0].matrix = {0.9, 0.1, -0.2, 1.1};
    warps[0].offset = {0.3, 0.7};
    warps[0].flip_horizontal = true;
    warps[1].matrix = {1.2, -.3, .1, .8};
    warps[1].flip_vertical = true;
    const std::span<const op::Warp> span(warps);
    const auto x = random_tensor<double>({2, 9, 8, 1}, 9);
    CHECK(slope_error(x, [&](Double v) { return affine_warp(v, span, {.bilinear = true, .scale = {1, 2, 3}}); }) <= 1e-6);
    CHECK(slope_error(x, [&](Double v) { return affine_warp(v, span, {.mean = {1, 2, 3}}); }) <= 1e-6);
    std::vector<op::Warp> plain(2);
    plain[0].shift = {20, -20, 0};
    const auto y = op::affine_warp(context, x, plain, {});
    double low = 1e9, high = -1e9;
    for (int i = 0; i < 72; ++i) low = std::min(low, x.data()[i]), high = std::max(high, x.data()[i]);
    CHECK(y.data()[0] == high);
    CHECK(y.data()[1] == low);
    CHECK(y.data()[2] == x.data()[0]);
    plain[1].flip_horizontal = plain[1].flip_vertical = true;
    const auto turned = op::affine_warp(context, x, plain, {.channels = 1});
    for (int i = 0; i < 72; ++i) CHECK(turned.data()[72 + i] == x.data()[72 + 71 - i]);
}

TEST_CASE("every multiple of one: conversions, sums, norms", "[op]") {
    auto& context = default_context<Cpu>();
    for (const Shape s : {Shape{1, 1, 1, 3}, Shape{2, 70, 60, 5}}) {
        auto x = random_tensor<float>(s, 1);
        double squares = 0;
        for (const float v : std::as_const(x).elements()) squares += double(v) * double(v);
        CHECK(std::abs(op::squared_norm(context, x) / squares - 1) < 1e-12);
        CHECK(op::all_finite(context, x));
        x.data()[s.size() - 1] = std::numeric_limits<float>::infinity();
        CHECK_FALSE(op::all_finite(context, x));
        const auto b = op::convert<bfloat16>(context, random_tensor<float>(s, 2));
        CHECK(distance(op::convert<float>(context, b), random_tensor<float>(s, 2)) < 4e-3);
    }
}

TEST_CASE("A8 Adam's coupled decay is twice the lambda of the penalty", "[op]") {
    auto& context = default_context<Cpu>();
    const double lambda = 0.01;
    const auto run = [&](double coupled, bool penalty) {
        auto w = random_tensor<double>(vector_shape(20), 1), m = zeros<double>(vector_shape(20)), v = zeros<double>(vector_shape(20));
        for (int step = 1; step <= 10; ++step) {
            auto g = random_tensor<double>(vector_shape(20), std::uint64_t(100 + step));
            for (double& e : g.elements()) e *= step % 2 ? 3 : 0.1;
            if (penalty)
                for (int i = 0; i < 20; ++i) g.data()[i] += 2 * lambda * std::as_const(w).data()[i];
            const op::AdamOperand<double, Cpu> operand{&g, &w, &m, &v, 0.05, coupled};
            op::adam(context, std::span<const op::AdamOperand<double, Cpu>>(&operand, 1), {.step = step});
        }
        return w;
    };
    CHECK(distance(run(2 * lambda, false), run(0, true)) <= 1e-12);
    CHECK(distance(run(lambda, false), run(0, true)) > 1e-6);
}

TEST_CASE("SGD follows its formula with momentum, Nesterov's too", "[op]") {
    auto& context = default_context<Cpu>();
    for (const bool nesterov : {false, true}) {
        auto w = full<double>(vector_shape(1), 1.0), v = zeros<double>(vector_shape(1));
        double weight = 1, velocity = 0;
        for (int step = 1; step < 5; ++step) {
            const auto g = full<double>(vector_shape(1), 0.5 * step);
            const op::SgdOperand<double, Cpu> operand{&g, &w, &v, 0.1, 0.02, 0.03};
            op::sgd(context, std::span<const op::SgdOperand<double, Cpu>>(&operand, 1), {0.9, nesterov});
            const double slope = 0.5 * step + 0.02 * weight;
            velocity = 0.9 * velocity + slope;
            weight = weight * (1 - 0.1 * 0.03) - 0.1 * (nesterov ? slope + 0.9 * velocity : velocity);
            CHECK(std::abs(std::as_const(w).data()[0] - weight) < 1e-14);
        }
    }
}
