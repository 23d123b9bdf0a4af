// Convolution on the processor: slopes by central differences, and what oneDNN is asked for.
#include <holon/graph/conv2d.hpp>
#include <holon/model/resnet.hpp>
#include <holon/model/vgg.hpp>
#include <holon/op/cpu/conv2d.hpp>

#include "op/conv2d_cases.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

using namespace holon;
using namespace holon::test;

TEST_CASE("conv2d's gradients are its slopes", "[op]") {
    for (const ConvolutionCase& c : convolution_cases(common_windows)) {
        const auto x = random_tensor<double>(c.x, 1), w = random_tensor<double>(op::filter_shape(c.o), 2),
                   b = random_tensor<double>(vector_shape(c.o.out), 3);
        CAPTURE(text(c.x), text(op::filter_shape(c.o)));
        CHECK(slope_error(x, [&](Double v) { return conv2d(v, Double(w), Double(b), c.o); }) <= 1e-6);
        CHECK(slope_error(w, [&](Double v) { return conv2d(Double(x), v, Double(b), c.o); }) <= 1e-6);
        if (c.o.bias) CHECK(slope_error(b, [&](Double v) { return conv2d(Double(x), Double(w), v, c.o); }) <= 1e-6);
    }
}

#ifdef __x86_64__  // elsewhere oneDNN may be built without a library for the processor, as Debian's is for aarch64
namespace {

/// Below AVX2 oneDNN's gradients in float are products of matrices with an unrolled image, which it makes of at most 2^28
/// numbers: larger ones run its reference code. bfloat16 is computed there in pieces that are far smaller.
template <class T> bool unrolls_too_much(const Shape& x, const Conv2dOptions& o, op::Direction direction) {
    const std::string isa = op::cpu::instruction_set();
    return std::same_as<T, float> && (isa == "sse41" || isa == "avx") && direction != op::Direction::forward &&
           op::conv2d_shape({1, x.h, x.w, x.c}, o).rows() * o.kernel.h * o.kernel.w * std::max(o.in, o.out) > 1 << 28;
}

/// Every convolution that a network calls for an image of this shape, in the three directions: none may be `ref`.
template <class T, class Net> void no_reference_code(Net& net, Shape image) {
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
            if (!unrolls_too_much<T>(c.x, c.o, direction)) CHECK(by.find("ref") == by.npos);
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
#endif

TEMPLATE_TEST_CASE("a gradient too large for the cache joins another some images at a time, as at once", "[op]", float,
                   bfloat16) {
    using T = TestType;
    auto& context = default_context<Cpu>();
    const std::int64_t side = 64 * std::int64_t(sizeof(float) / sizeof(T));  // rows; an image is 4 MiB of either type
    for (const std::int64_t images : {6, 5, 4}) {
        const Conv2dOptions o{.in = 256, .out = 8, .kernel = 3, .padding = 1};
        const Shape xs{images, side, 64, 256}, ys = op::conv2d_shape(xs, o);
        CAPTURE(text(xs));
        CHECK(op::cpu::images_aside<T>(xs) == (images == 6 ? 3 : images == 5 ? 1 : 4));
        const auto dy = random_tensor<T>(ys, 1), there = random_tensor<T>(xs, 2);
        const auto filter = random_tensor<Accumulate<T>>(op::filter_shape(o), 3);
        Tensor<T, Cpu> alone(xs), joined = there.clone();
        op::conv2d_backward_input(context, dy, filter, o, alone, Gradient::assign);
        op::conv2d_backward_input(context, dy, filter, o, joined, Gradient::add);
        // Both results are off by half of their last bit: at most 2^-8 of them in bfloat16; in float their sums of 72 are, too.
        double worst = 0;
        for (std::int64_t i = 0; i < xs.size(); ++i) {
            const double share = float(alone.data()[i]), result = float(joined.data()[i]);
            const double sum = share + double(float(there.data()[i]));
            worst = std::max(worst, std::abs(result - sum) / std::max(1.0, std::abs(share) + std::abs(result)));
        }
        CHECK(worst <= (std::same_as<T, float> ? 1e-6 : 0x1.01p-8));
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

TEST_CASE("a filter of one tap gets its gradient by a matrix product where that is faster, to the same numbers", "[op]") {
    auto& context = default_context<Cpu>();
    for (const Extent stride : {Extent{1, 1}, Extent{2, 2}, Extent{3, 1}})
        for (const auto& [in, out] : {std::pair{256, 272}, std::pair{300, 256}, std::pair{255, 256}}) {
            const Conv2dOptions o{.in = in, .out = out, .kernel = 1, .stride = stride};
            const Shape xs{3, 8, 9, in}, ys = op::conv2d_shape(xs, o);
            CAPTURE(text(xs), text(ys));
            CHECK(op::cpu::filter_by_product<bfloat16>(xs, o) == (in >= 256));
            const auto x = random_tensor<bfloat16>(xs, 1), dy = random_tensor<bfloat16>(ys, 2);
            const auto there = random_tensor<float>(op::filter_shape(o), 3);
            Tensor<double, Cpu> exact(op::filter_shape(o));
            op::conv2d_backward_filter(context, cast<double>(x), cast<double>(dy), o, exact, Gradient::assign);
            Tensor<float, Cpu> alone(op::filter_shape(o)), joined = there.clone();
            op::conv2d_backward_filter(context, x, dy, o, alone, Gradient::assign);
            op::conv2d_backward_filter(context, x, dy, o, joined, Gradient::add);
            CHECK(distance(alone, exact) <= 1e-6);
            for (std::int64_t i = 0; i < exact.size(); ++i) exact.data()[i] += double(there.data()[i]);
            CHECK(distance(joined, exact) <= 1e-6);
        }
    const Conv2dOptions wide{.in = 256, .out = 256, .kernel = 1};
    CHECK(op::cpu::filter_by_product<bfloat16>({2, 64, 64, 256}, wide));
    CHECK_FALSE(op::cpu::filter_by_product<bfloat16>({2, 64, 65, 256}, wide));  // more positions
    CHECK_FALSE(op::cpu::filter_by_product<float>({1, 7, 7, 256}, wide));
    CHECK_FALSE(op::cpu::filter_by_product<bfloat16>({1, 7, 7, 256}, {.in = 256, .out = 256, .kernel = 1, .padding = 1}));
    CHECK_FALSE(op::cpu::filter_by_product<bfloat16>({1, 7, 7, 256}, {.in = 256, .out = 256, .kernel = {1, 2}}));
}

TEMPLATE_TEST_CASE("a filter of one tap gives the image's gradient, alone and added in one pass, at any number of positions",
                   "[op]", float, bfloat16) {
    using T = TestType;
    Context<Cpu> context;
    for (const auto& [in, out] : {std::pair{64, 256}, std::pair{256, 64}, std::pair{17, 35}, std::pair{1, 1}, std::pair{16, 5}})
        for (const Extent size : {Extent{8, 9}, Extent{5, 6}, Extent{9, 10}, Extent{30, 31}}) {
            const Conv2dOptions o{.in = in, .out = out, .kernel = 1};
            const Shape xs{3, size.h, size.w, in}, ys = op::conv2d_shape(xs, o);
            CAPTURE(text(xs), text(ys));
            const auto dy = random_tensor<T>(ys, 1), there = random_tensor<T>(xs, 2);
            const auto filter = random_tensor<float>(op::filter_shape(o), 3);
            Tensor<double, Cpu> exact(xs);
            op::conv2d_backward_input(context, cast<double>(dy), cast<double>(filter), o, exact, Gradient::assign);
            auto alone = full<T>(xs, T(NAN));
            op::conv2d_backward_input(context, dy, filter, o, alone, Gradient::assign);
            CHECK(distance(cast<double>(alone), exact) <= tolerance<T>());
            for (std::int64_t i = 0; i < exact.size(); ++i) exact.data()[i] += double(float(there.data()[i]));
            Tensor<T, Cpu> joined = there.clone();
            op::conv2d_backward_input(context, dy, filter, o, joined, Gradient::add);
            CHECK(distance(cast<double>(joined), exact) <= tolerance<T>());
        }
    constexpr bool narrow = std::same_as<T, bfloat16>;
    CHECK(op::cpu::input_by_forward<T>({.in = 4, .out = 4, .kernel = 1}, true) == narrow);
    CHECK_FALSE(op::cpu::input_by_forward<T>({.in = 4, .out = 4, .kernel = 1}, false));
    CHECK(op::cpu::input_by_forward<T>({.in = 4, .out = 5, .kernel = 1}, false) == narrow);
    CHECK_FALSE(op::cpu::input_by_forward<T>({.in = 4, .out = 4, .kernel = 1, .stride = {1, 2}}, true));
    CHECK_FALSE(op::cpu::input_by_forward<T>({.in = 4, .out = 4, .kernel = 1, .padding = {0, 0, 0, 1}}, true));
}
