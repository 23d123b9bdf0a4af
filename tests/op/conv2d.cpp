// Convolution: oneDNN and the plain loops against seven loops written here, and against central differences.
#include <holon/graph/conv2d.hpp>
#include <holon/model/resnet.hpp>
#include <holon/model/vgg.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

using namespace holon;
using namespace holon::test;

namespace {

struct Case {
    Shape x;
    Conv2dOptions o;
};

/// Kernels, strides, paddings (uneven too), dilations, channels and sizes that are no multiple of anything.
std::vector<Case> cases() {
    std::vector<Case> all;
    const std::vector<std::pair<int, int>> channels{{1, 1}, {3, 5}, {16, 32}, {17, 35}, {64, 3}};
    const std::vector<Conv2dOptions> shapes{
        {.kernel = 1}, {.kernel = 1, .stride = 2}, {.kernel = 2, .padding = {0, 1, 0, 1}},
        {.kernel = 3, .padding = 1}, {.kernel = 3, .stride = 2, .padding = 1}, {.kernel = 3, .stride = {2, 1}, .padding = {1, 0, 2, 1}},
        {.kernel = 3, .padding = 2, .dilation = 2}, {.kernel = {1, 5}, .stride = {1, 3}, .padding = {0, 0, 2, 1}},
        {.kernel = {3, 5}, .padding = {1, 1, 4, 4}, .dilation = {1, 2}}, {.kernel = 5, .stride = 3, .padding = 2, .dilation = 2},
        {.kernel = 7, .stride = 2, .padding = 3}, {.kernel = 7, .stride = 2, .padding = {2, 3, 2, 3}}, {.kernel = 5, .stride = 2, .padding = 3, .dilation = {3, 1}}};
    int turn = 0;
    for (const auto& [in, out] : channels)
        for (Conv2dOptions o : shapes) {
            o.in = in, o.out = out, o.bias = turn % 2 == 0;
            all.push_back({{1 + turn % 3, 13 + turn % 4, 14 - turn % 3, in}, o});
            ++turn;
        }
    return all;
}

struct Results {
    Tensor<double, Cpu> y, dx, dw;
};

/// From the definition, each sum by itself.
Results by_definition(const Case& c, const Tensor<double, Cpu>& x, const Tensor<double, Cpu>& w, const Tensor<double, Cpu>& b,
                      const Tensor<double, Cpu>& dy) {
    const Shape xs = c.x, ys = dy.shape(), ws = w.shape();
    Results r{zeros<double>(ys), zeros<double>(xs), zeros<double>(ws)};
    double *y = r.y.data(), *dx = r.dx.data(), *dw = r.dw.data();
    for (int n = 0; n < ys.n; ++n)
        for (int k = 0; k < ys.c; ++k)
            for (int p = 0; p < ys.h; ++p)
                for (int q = 0; q < ys.w; ++q) {
                    const auto at = ys.at(n, p, q, k);
                    if (c.o.bias) y[at] += b.data()[k];
                    for (int i = 0; i < ws.h; ++i)
                        for (int j = 0; j < ws.w; ++j) {
                            const int h = p * c.o.stride.h + i * c.o.dilation.h - c.o.padding.top;
                            const int v = q * c.o.stride.w + j * c.o.dilation.w - c.o.padding.left;
                            if (h < 0 || h >= xs.h || v < 0 || v >= xs.w) continue;
                            for (int d = 0; d < xs.c; ++d) {
                                y[at] += x.data()[xs.at(n, h, v, d)] * w.data()[ws.at(k, i, j, d)];
                                dx[xs.at(n, h, v, d)] += dy.data()[at] * w.data()[ws.at(k, i, j, d)];
                                dw[ws.at(k, i, j, d)] += dy.data()[at] * x.data()[xs.at(n, h, v, d)];
                            }
                        }
                }
    return r;
}

template <class T>
void agrees(const Case& c) {
    using A = Accumulate<T>;
    auto& context = default_context<Cpu>();
    const auto x = random_tensor<T>(c.x, 1);
    const auto w = random_tensor<A>(op::filter_shape(c.o), 2);
    const auto b = random_tensor<A>(vector_shape(c.o.out), 3);
    const auto dy = random_tensor<T>(op::conv2d_shape(c.x, c.o), 4);
    const Results r = by_definition(c, cast<double>(x), cast<double>(w), cast<double>(b), cast<double>(dy));
    CAPTURE(text(c.x), text(op::filter_shape(c.o)), element_name<T>());
    CHECK(distance(op::conv2d(context, x, w, c.o.bias ? &b : nullptr, c.o), r.y) <= tolerance<T>());
    CHECK(written_error<T>(c.x, r.dx, [&](auto& dx, Gradient mode) {
              op::conv2d_backward_input(context, dy, w, c.o, dx, mode);
          }) <= tolerance<T>());
    CHECK(written_error<A>(op::filter_shape(c.o), r.dw, [&](auto& dw, Gradient mode) {
              op::conv2d_backward_filter(context, x, dy, c.o, dw, mode);
          }) <= tolerance<T>());
}

}  // namespace

TEMPLATE_TEST_CASE("conv2d agrees with its definition in all three directions", "[op]", float, bfloat16, double) {
    for (const Case& c : cases()) agrees<TestType>(c);
}

TEST_CASE("conv2d's gradients are its slopes", "[op]") {
    for (const Case& c : cases()) {
        const auto x = random_tensor<double>(c.x, 1), w = random_tensor<double>(op::filter_shape(c.o), 2),
                   b = random_tensor<double>(vector_shape(c.o.out), 3);
        CAPTURE(text(c.x), text(op::filter_shape(c.o)));
        CHECK(slope_error(x, [&](Double v) { return conv2d(v, Double(w), Double(b), c.o); }) <= 1e-6);
        CHECK(slope_error(w, [&](Double v) { return conv2d(Double(x), v, Double(b), c.o); }) <= 1e-6);
        if (c.o.bias) CHECK(slope_error(b, [&](Double v) { return conv2d(Double(x), Double(w), v, c.o); }) <= 1e-6);
    }
}

namespace {

/// Every convolution that a network calls for an image of this shape, in the three directions: none may be `ref`.
template <class T, class Net>
void no_reference_code(Net& net, Shape image) {
    auto& context = default_context<Cpu>();
    struct Seen {
        Shape x;
        Conv2dOptions o;
    };
    // Shapes are followed on the plan of the layers rather than by running them.
    std::vector<Seen> seen;
    if constexpr (requires { net.units; }) {
        Shape s = image;
        for (auto& unit : net.units) {
            seen.push_back({s, unit.conv.options});
            s = op::conv2d_shape(s, unit.conv.options);
            if (unit.last) s = op::pool2d_shape(s, {.window = 2});
        }
    } else {
        seen.push_back({image, net.conv1.options});
        Shape s = op::pool2d_shape(op::conv2d_shape(image, net.conv1.options), net.pool.options);
        for (auto& stage : net.stages)
            for (auto& block : stage) {
                const Shape in = s;
                for (auto* conv : {&block.conv1, &block.conv2, &block.conv3}) {
                    seen.push_back({s, conv->options});
                    s = op::conv2d_shape(s, conv->options);
                }
                if (block.downsample) seen.push_back({in, block.downsample->conv.options});
            }
    }
    for (const Seen& c : seen)
        for (const auto direction : {op::Direction::forward, op::Direction::to_input, op::Direction::to_filter}) {
            const std::string by = op::conv2d_implementation<T>(context, c.x, c.o, direction);
            CAPTURE(text(c.x), text(op::filter_shape(c.o)), int(direction), by);
            CHECK(by.find("ref") == by.npos);
        }
}

}  // namespace

TEMPLATE_TEST_CASE("no convolution of the models runs oneDNN's reference code", "[op]", float, bfloat16) {
    Random random;
    ResNet<TestType, Cpu> torch(resnet50_options(), random), keras(resnet50_keras_options(), random);
    Vgg16<TestType, Cpu> vgg(random);
    for (const Shape image : {Shape{2, 224, 224, 3}, Shape{1, 1152, 896, 3}, Shape{4, 96, 64, 3}}) {
        no_reference_code<TestType>(torch, image);
        no_reference_code<TestType>(keras, image);
        no_reference_code<TestType>(vgg, image);
    }
}

TEST_CASE("a filter's own layout is kept from the second use on and dropped when the filter is written", "[op]") {
    Context<Cpu> context;
    auto& engine = context.state<op::cpu::Engine>();
    const Conv2dOptions o{.in = 16, .out = 32, .kernel = 3, .padding = 1};
    Tensor<float, Cpu> x({1, 8, 8, 16}, context), w(op::filter_shape(o), context);
    std::fill_n(x.data(), x.size(), 1.0f);
    std::fill_n(w.data(), w.size(), 1.0f);
    const Tensor<float, Cpu>* no_bias = nullptr;
    const auto middle = [&] {
        const auto y = op::conv2d(context, x, w, no_bias, o);
        return y.data()[y.shape().at(0, 4, 4, 0)];
    };
    for (int i = 0; i < 5; ++i) CHECK(middle() == 144.0f);
    CHECK(engine.reorders == 2);
    std::fill_n(w.data(), w.size(), 2.0f);
    CHECK(middle() == 288.0f);
    CHECK(engine.reorders == 3);
}

TEST_CASE("primitives of ever new image sizes do not pile up", "[op]") {
    Context<Cpu> context;
    const Conv2dOptions o{.in = 1, .out = 1, .kernel = 1};
    const auto w = full<float>(op::filter_shape(o), 1.0f, context);
    const Tensor<float, Cpu>* no_bias = nullptr;
    for (int h = 1; h <= int(op::cpu::Engine::capacity) + 50; ++h)
        op::conv2d(context, zeros<float>({1, h, 1, 1}, context), w, no_bias, o);
    CHECK(context.state<op::cpu::Engine>().size() == op::cpu::Engine::capacity);
}

TEST_CASE("conv2d refuses what does not fit, with both shapes", "[op]") {
    auto& context = default_context<Cpu>();
    const Conv2dOptions o{.in = 3, .out = 4, .kernel = 3};
    const auto w = zeros<float>(op::filter_shape(o));
    const Tensor<float, Cpu>* no_bias = nullptr;
    CHECK_THROWS_WITH(op::conv2d(context, zeros<float>({1, 8, 8, 1}), w, no_bias, o),
                      ContainsText("1x8x8x1") && ContainsText("4x3x3x3"));
    CHECK_THROWS_WITH(op::conv2d(context, zeros<float>({1, 2, 8, 3}), w, no_bias, o), ContainsText("smaller than the window"));
}
