// What does not fit together is refused by every device in the same words, with the numbers.
#include "support/catch.hpp"
#include "support/devices.hpp"

using namespace holon;
using namespace holon::test;

namespace {

/// What an op says when it throws `ShapeError`; anything else fails the test that compares it.
template <class F> std::string refusal(const F& f) {
    try {
        f();
    } catch (const ShapeError& error) {
        return error.what();
    }
    return "nothing was refused";
}

}  // namespace

#define CHECK_REFUSED(expression, matcher) CHECK_THAT(refusal([&] { expression; }), matcher)

TEMPLATE_TEST_CASE("convolutions that do not fit are refused with both shapes", "[op]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    auto& context = default_context<D>();
    const Conv2dOptions o{.in = 3, .out = 4, .kernel = 3};
    const auto w = zeros<A, D>(op::filter_shape(o)), odd = zeros<A, D>({4, 3, 2, 3}), b = zeros<A, D>(vector_shape(3));
    auto dw = zeros<A, D>(op::filter_shape(o)), odd_dw = zeros<A, D>({4, 2, 3, 3});
    const Tensor<A, D>* no_bias = nullptr;
    const auto x = zeros<T, D>({1, 8, 8, 3}), dy = zeros<T, D>({1, 6, 6, 4}), wrong = zeros<T, D>({1, 6, 5, 4});
    auto dx = zeros<T, D>({1, 8, 8, 3});
    const auto image = [](Shape s) { return zeros<T, D>(s); };
    CHECK_REFUSED(op::conv2d(context, image({1, 8, 8, 1}), w, no_bias, o),
                  ContainsText("1x8x8x1") && ContainsText("4x3x3x3"));
    CHECK_REFUSED(op::conv2d(context, image({1, 2, 8, 3}), w, no_bias, o), ContainsText("smaller than the window"));
    CHECK_REFUSED(op::conv2d(context, x, odd, no_bias, o), ContainsText("filter 4x3x2x3 does not fit"));
    CHECK_REFUSED(op::conv2d(context, x, w, &b, o), ContainsText("bias 1x1x1x3 for 4 channels out"));
    CHECK_REFUSED(op::conv2d(context, x, w, no_bias, {.in = 3, .out = 4, .kernel = 3, .stride = 0}),
                  ContainsText("must be at least 1"));
    CHECK_REFUSED(op::conv2d_backward_input(context, wrong, w, o, dx, Gradient::assign),
                  ContainsText("conv2d_backward_input: gradient 1x6x5x4") && ContainsText("1x6x6x4 is needed"));
    CHECK_REFUSED(op::conv2d_backward_input(context, dy, odd, o, dx, Gradient::assign), ContainsText("4x3x2x3"));
    CHECK_REFUSED(op::conv2d_backward_filter(context, x, wrong, o, dw, Gradient::assign),
                  ContainsText("conv2d_backward_filter: gradient 1x6x5x4"));
    CHECK_REFUSED(op::conv2d_backward_filter(context, x, dy, o, odd_dw, Gradient::add), ContainsText("4x2x3x3"));
}

TEMPLATE_TEST_CASE("linear maps that do not fit are refused with both shapes", "[op]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    auto& context = default_context<D>();
    const auto x = zeros<T, D>({2, 1, 1, 5}), wrong = zeros<T, D>({2, 1, 1, 4});
    const auto w = zeros<A, D>({3, 1, 1, 5}), b = zeros<A, D>(vector_shape(2)), filter = zeros<A, D>({3, 1, 2, 5});
    const Tensor<A, D>* no_bias = nullptr;
    auto dx = zeros<T, D>({2, 1, 1, 5});
    auto dw = zeros<A, D>({3, 1, 1, 5});
    CHECK_REFUSED(op::linear(context, wrong, w, no_bias),
                  ContainsText("image 2x1x1x4 against the matrix 3x1x1x5") && ContainsText("out x 1 x 1 x 4"));
    CHECK_REFUSED(op::linear(context, x, filter, no_bias), ContainsText("3x1x2x5"));
    CHECK_REFUSED(op::linear(context, x, w, &b), ContainsText("bias 1x1x1x2 for 3 outputs"));
    CHECK_REFUSED(op::linear_backward_input(context, wrong, w, dx, Gradient::assign),
                  ContainsText("linear_backward_input: gradient 2x1x1x4"));
    CHECK_REFUSED(op::linear_backward_weight(context, x, wrong, dw, Gradient::assign),
                  ContainsText("linear_backward_weight: gradient 2x1x1x4"));
}

TEMPLATE_TEST_CASE("batch norm's vectors must have the image's channels", "[op]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    auto& context = default_context<D>();
    const Shape s{2, 3, 4, 5};
    const auto x = zeros<T, D>(s), other = zeros<T, D>({2, 3, 4, 6}), none = zeros<T, D>({0, 3, 4, 5});
    const auto right = zeros<A, D>(vector_shape(5)), wrong = zeros<A, D>(vector_shape(6));
    auto out = zeros<A, D>(vector_shape(6));
    const Tensor<T, D>* alone = nullptr;
    const op::ReluMask<T, D>* unmasked = nullptr;
    for (const int which : {0, 1, 2, 3}) {
        op::Normalization<A, D> normal{right, right, right, right};
        (which == 0   ? normal.mean
         : which == 1 ? normal.inverse_deviation
         : which == 2 ? normal.weight
                      : normal.bias) = wrong;
        CHECK_REFUSED(op::batch_norm(context, x, alone, normal, false, false),
                      ContainsText("batch_norm: image 2x3x4x5 against a vector 1x1x1x6; 1x1x1x5 is needed"));
        CHECK_REFUSED(op::batch_norm_backward(context, x, unmasked, x, normal, false, true, {}), ContainsText("1x1x1x6"));
    }
    const op::Normalization<A, D> normal{right, right, right, right};
    CHECK_REFUSED(op::batch_norm(context, x, &other, normal, false, false), ContainsText("2x3x4x5 against 2x3x4x6"));
    const auto of_other = op::batch_norm(context, other, &other, op::Normalization<A, D>{wrong, wrong, wrong, wrong}, true,
                                         true).mask;
    if (of_other.y)
        CHECK_REFUSED(op::batch_norm_backward(context, x, &of_other, x, normal, true, true, {}), ContainsText("2x3x4x6"));
    auto of_more = zeros<T, D>({2, 3, 5, 5});
    const auto more = op::batch_norm(context, of_more, &of_more, normal, true, true).mask;
    CHECK_REFUSED(op::batch_norm_backward(context, x, &more, x, normal, true, true, {}), ContainsText("2x3x5x"));
    CHECK_REFUSED(op::batch_norm_backward(context, x, unmasked, other, normal, false, true, {}), ContainsText("2x3x4x6"));
    auto dx = zeros<T, D>({2, 3, 4, 6});
    op::BatchNormGradients<T, D> wanted;
    wanted.x = &dx;
    CHECK_REFUSED(op::batch_norm_backward(context, x, unmasked, x, normal, false, true, wanted), ContainsText("2x3x4x6"));
    wanted = {}, wanted.residual = &dx;
    CHECK_REFUSED(op::batch_norm_backward(context, x, unmasked, x, normal, false, true, wanted), ContainsText("2x3x4x6"));
    wanted = {}, wanted.weight = &out;
    CHECK_REFUSED(op::batch_norm_backward(context, x, unmasked, x, normal, false, true, wanted), ContainsText("1x1x1x6"));
    wanted = {}, wanted.bias = &out;
    CHECK_REFUSED(op::batch_norm_backward(context, x, unmasked, x, normal, false, true, wanted), ContainsText("1x1x1x6"));
    if constexpr (std::same_as<D, Gpu>) {  // it counts the blocks of so many columns of channels
        const std::int64_t most = (std::int64_t(1) << 17) * 16 / std::int64_t(sizeof(T));
        auto sums = zeros<A, D>(vector_shape(most)), too_many = zeros<A, D>(vector_shape(most + 1));
        op::channel_sum(context, zeros<T, D>(vector_shape(most)), sums, Gradient::assign);
        CHECK_REFUSED(op::channel_sum(context, zeros<T, D>(vector_shape(most + 1)), too_many, Gradient::assign),
                      ContainsText(text("channel_sum: image 1x1x1x", most + 1, "; a GPU sums over the rows of up to ", most, " channels")));
    }

    // Two of them in one pass: whichever side is wrong.
    const op::Normalization<A, D> of_six{wrong, wrong, wrong, wrong};
    CHECK_REFUSED(op::batch_norm_pair(context, x, normal, other, of_six, true), ContainsText("2x3x4x5 against 2x3x4x6"));
    CHECK_REFUSED(op::batch_norm_pair(context, x, normal, x, of_six, true), ContainsText("batch_norm_pair: image 2x3x4x5 against a vector 1x1x1x6"));
    CHECK_REFUSED(op::batch_norm_pair(context, x, of_six, x, normal, true), ContainsText("1x1x1x6"));
    const auto mask = op::batch_norm_pair(context, x, normal, x, normal, true).mask;
    const auto backward = [&](const op::ReluMask<T, D>& through, const Tensor<T, D>& dy, op::BatchNormGradients<T, D> one,
                              op::BatchNormGradients<T, D> two) {
        op::batch_norm_pair_backward(context, x, normal, x, normal, through, dy, true, one, two);
    };
    CHECK_REFUSED(backward({}, x, {}, {}), ContainsText("batch_norm_pair_backward: needs the mask"));
    CHECK_REFUSED(backward(more, x, {}, {}), ContainsText("2x3x5x"));
    CHECK_REFUSED(backward(mask, other, {}, {}), ContainsText("2x3x4x6"));
    auto aside = zeros<T, D>(s);
    wanted = {}, wanted.residual = &aside;
    CHECK_REFUSED(backward(mask, x, wanted, {}), ContainsText("no residual but its second image"));
    CHECK_REFUSED(backward(mask, x, {}, wanted), ContainsText("no residual but its second image"));
    wanted = {}, wanted.x = &dx;
    CHECK_REFUSED(backward(mask, x, wanted, {}), ContainsText("2x3x4x6"));
    CHECK_REFUSED(backward(mask, x, {}, wanted), ContainsText("2x3x4x6"));
    wanted = {}, wanted.weight = &out;
    CHECK_REFUSED(backward(mask, x, {}, wanted), ContainsText("1x1x1x6"));
    auto running = right.clone();
    CHECK_REFUSED(op::batch_statistics<T>(context, none, 1e-5, {&running, &running}),
                  ContainsText("no positions in 0x3x4x5"));
    CHECK_REFUSED(op::batch_statistics<T>(context, x, 1e-5, {&out, &running}),
                  ContainsText("batch_statistics: image 2x3x4x5 against a vector 1x1x1x6"));
    CHECK_REFUSED(op::batch_statistics<T>(context, x, 1e-5, {&running, &out}), ContainsText("1x1x1x6"));
    CHECK_REFUSED(op::channel_sum(context, x, out, Gradient::assign), ContainsText("channel_sum: image 2x3x4x5"));
}

TEMPLATE_TEST_CASE("windows that see nothing, or too much, are refused", "[op]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    const auto x = zeros<T, D>({1, 20, 20, 2}), dy = zeros<T, D>({1, 10, 10, 2}), wrong = zeros<T, D>({1, 9, 10, 2});
    const Tensor<std::uint8_t, D> place({1, 10, 10, 2}), odd({1, 10, 10, 3});
    auto dx = zeros<T, D>({1, 20, 20, 2});
    const auto mode = Gradient::assign;
    CHECK_REFUSED(op::max_pool2d(context, x, {.window = 16}), ContainsText("window 16x16 has more than 255 taps"));
    CHECK_REFUSED(op::max_pool2d(context, x, {.window = 21}), ContainsText("smaller than the window 21x21"));
    CHECK_REFUSED(op::average_pool2d(context, x, {.window = {1, 21}}), ContainsText("smaller than the window 1x21"));
    for (const Padding p : {Padding{2, 0, 0, 0}, Padding{0, 2, 0, 0}, Padding{0, 0, 2, 0}, Padding{0, 0, 0, 2}}) {
        CHECK_REFUSED(op::max_pool2d(context, x, {.window = 2, .padding = p}), ContainsText("padding must be smaller"));
        CHECK_REFUSED(op::average_pool2d(context, x, {.window = 2, .padding = p}),
                      ContainsText("padding must be smaller"));
    }
    CHECK_REFUSED(op::max_pool2d_backward(context, wrong, place, {}, dx, mode),
                  ContainsText("max_pool2d_backward: gradient 1x9x10x2") && ContainsText("1x10x10x2 does"));
    CHECK_REFUSED(op::max_pool2d_backward(context, dy, odd, {}, dx, mode), ContainsText("places 1x10x10x3"));
    CHECK_REFUSED(op::average_pool2d_backward(context, wrong, {}, dx, mode),
                  ContainsText("average_pool2d_backward: gradient 1x9x10x2"));
    CHECK_REFUSED(op::global_average(context, Tensor<T, D>({2, 0, 3, 4})), ContainsText("no positions in 2x0x3x4"));
    CHECK_REFUSED(op::global_average_backward(context, dy, dx, mode),
                  ContainsText("global_average_backward: gradient 1x10x10x2 for an image 1x20x20x2"));
}

TEMPLATE_TEST_CASE("tensors of different shapes are not added, masked or copied", "[op]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    const auto a = zeros<T, D>({1, 2, 3, 4}), b = zeros<T, D>({1, 2, 4, 3});
    auto out = zeros<T, D>({1, 2, 4, 3}), right = zeros<T, D>({1, 2, 3, 4});
    const auto mode = Gradient::assign;
    const std::string both = ": shapes differ: 1x2x3x4 against 1x2x4x3";
    CHECK_REFUSED(op::add(context, a, b), ContainsText("add" + both));
    CHECK_REFUSED(op::accumulate(context, a, out), ContainsText("accumulate" + both));
    CHECK_REFUSED(op::relu_backward(context, a, b, right, mode), ContainsText("relu_backward" + both));
    CHECK_REFUSED(op::relu_backward(context, a, a, out, mode), ContainsText("relu_backward" + both));
    CHECK_REFUSED(op::softmax_backward(context, a, b, right, mode), ContainsText("softmax_backward" + both));
    CHECK_REFUSED(op::softmax_backward(context, a, a, out, mode), ContainsText("softmax_backward" + both));
    CHECK_REFUSED(op::softmax(context, Tensor<T, D>({1, 2, 2, 0})), ContainsText("softmax: no channels in 1x2x2x0"));
    CHECK_REFUSED(op::dropout_backward(context, a, {}, out, mode), ContainsText("dropout_backward" + both));
    for (const double rate : {-0.1, 1.0, std::numeric_limits<double>::quiet_NaN()}) {
        CHECK_REFUSED(op::dropout(context, a, {.rate = rate}), ContainsText("is not in [0, 1)"));
        CHECK_REFUSED(op::dropout_backward(context, a, {.rate = rate}, right, mode), ContainsText("is not in [0, 1)"));
    }
    CHECK_REFUSED(a.reshape({1, 1, 1, 25}), ContainsText("24 elements") && ContainsText("has 25"));
    CHECK_REFUSED((Tensor<T, D>({1, -2, 3, 4})), ContainsText("negative extent"));
}

TEMPLATE_TEST_CASE("labels, weights and steps that cannot be are refused", "[op]", HOLON_ACCUMULATORS) {
    using A = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    const auto x = zeros<A, D>({4, 1, 1, 3}), map = zeros<A, D>({4, 2, 1, 3}), dy = zeros<A, D>({1, 1, 1, 1});
    auto dx = zeros<A, D>({4, 1, 1, 3}), odd = zeros<A, D>({4, 1, 1, 2});
    const std::vector<int> labels{0, 2, 1, 1}, wrong{0, 2, 3, 1}, negative{0, 2, 1, -1}, few{0, 2, 1};
    const std::vector<float> weights{1, 2};
    CHECK_REFUSED(op::cross_entropy(context, x, wrong, {}), ContainsText("label 3 at 2"));
    CHECK_REFUSED(op::cross_entropy(context, x, negative, {}), ContainsText("label -1 at 3"));
    CHECK_REFUSED(op::cross_entropy(context, x, few, {}), ContainsText("3 labels for logits 4x1x1x3"));
    CHECK_REFUSED(op::cross_entropy(context, x, labels, weights), ContainsText("2 weights for 4 labels"));
    CHECK_REFUSED(op::cross_entropy(context, map, labels, {}), ContainsText("4x2x1x3"));
    const auto nothing = zeros<A, D>({0, 1, 1, 3});
    auto no_gradient = zeros<A, D>({0, 1, 1, 3});
    CHECK_REFUSED(op::cross_entropy(context, nothing, {}, {}),
                  ContainsText("0x1x1x3") && ContainsText("at least one image"));
    CHECK_REFUSED(op::cross_entropy_backward(context, nothing, {}, {}, dy, no_gradient, Gradient::assign),
                  ContainsText("0x1x1x3") && ContainsText("at least one image"));
    const op::Targets<D> unset(3);  // of no labels
    CHECK_REFUSED(op::cross_entropy(context, nothing, unset), ContainsText("at least one image"));
    CHECK_REFUSED(op::cross_entropy_backward(context, nothing, unset, dy, no_gradient, Gradient::assign),
                  ContainsText("at least one image"));
    CHECK_REFUSED(op::cross_entropy_backward(context, x, wrong, {}, dy, dx, Gradient::add),
                  ContainsText("label 3 at 2"));
    CHECK_REFUSED(op::cross_entropy_backward(context, x, labels, {}, dy, odd, Gradient::add),
                  ContainsText("cross_entropy_backward: shapes differ: 4x1x1x3 against 4x1x1x2"));

    auto value = zeros<A, D>(vector_shape(4)), right = zeros<A, D>(vector_shape(4)),
         five = zeros<A, D>(vector_shape(5));
    const auto adam = [&](const Tensor<A, D>& g, Tensor<A, D>& m, Tensor<A, D>& v, std::int64_t step) {
        const op::AdamOperand<A, D> operand{&g, &value, &m, &v, 0.1};
        op::adam(context, std::span<const op::AdamOperand<A, D>>(&operand, 1), {.step = step});
    };
    CHECK_REFUSED(adam(five, right, right, 1), ContainsText("adam: shapes differ: 1x1x1x5 against 1x1x1x4"));
    CHECK_REFUSED(adam(right, five, right, 1), ContainsText("adam: shapes differ"));
    CHECK_REFUSED(adam(right, right, five, 1), ContainsText("adam: shapes differ"));
    CHECK_REFUSED(adam(right, right, right, 0), ContainsText("steps count from 1, not 0"));
    const auto sgd = [&](const Tensor<A, D>& g, Tensor<A, D>* v, double momentum) {
        const op::SgdOperand<A, D> operand{&g, &value, v, 0.1};
        op::sgd(context, std::span<const op::SgdOperand<A, D>>(&operand, 1), {momentum, false});
    };
    CHECK_REFUSED(sgd(five, &right, 0), ContainsText("sgd: shapes differ: 1x1x1x5 against 1x1x1x4"));
    CHECK_REFUSED(sgd(right, &five, 0), ContainsText("sgd: shapes differ"));
    CHECK_REFUSED(sgd(right, nullptr, 0.9), ContainsText("momentum 0.9 needs a velocity"));
}

TEMPLATE_TEST_CASE("warps that do not fit are refused", "[op]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    const auto x = zeros<T, D>({2, 4, 5, 1}), two = zeros<T, D>({2, 4, 5, 2}), dy = zeros<T, D>({2, 4, 5, 3});
    auto dx = zeros<T, D>({2, 4, 5, 1}), odd = zeros<T, D>({2, 5, 4, 1});
    const std::vector<op::Warp> warps(2), three(3);
    const auto mode = Gradient::assign;
    CHECK_REFUSED(op::affine_warp(context, x, warps, {.channels = 4}), ContainsText("4 channels asked for"));
    CHECK_REFUSED(op::affine_warp(context, two, warps, {}), ContainsText("2x4x5x2 has neither 1 nor 3 channels"));
    CHECK_REFUSED(op::affine_warp(context, x, three, {}), ContainsText("3 warps for 2 images"));
    CHECK_REFUSED(op::affine_warp(context, Tensor<T, D>({2, 0, 5, 1}), warps, {}),
                  ContainsText("no pixels in 2x0x5x1"));
    CHECK_REFUSED(op::affine_warp_backward(context, x, dy, three, {}, dx, mode), ContainsText("3 warps for 2 images"));
    CHECK_REFUSED(op::affine_warp_backward(context, x, two, warps, {}, dx, mode),
                  ContainsText("affine_warp_backward: gradient 2x4x5x2"));
    CHECK_REFUSED(op::affine_warp_backward(context, x, dy, warps, {}, odd, mode),
                  ContainsText("2x4x5x1 against 2x5x4x1"));
}
