// A first convolution's image is padded to the channels that tensor cores take once a step, its filter's copy is written by
// the optimizer as that of others, and the numbers are those of the convolution that is not padded.
#include <holon/graph/conv2d.hpp>

#include "fake/fake.hpp"
#include "support/catch.hpp"
#include "support/devices.hpp"

using namespace holon;
using namespace holon::test;

namespace {

struct Work {
    std::int64_t forward, backward;
};

/// Kernels, beside cuDNN's, that a convolution takes whose filter's copy has been made.
template <class T> Work work_of(int channels, Recompute policy) {
    using A = Accumulate<T>;
    const Recomputing recomputing(policy);
    const Conv2dOptions o{.in = channels, .out = 16, .kernel = 3, .padding = 1};
    const Operand<T, Gpu> x({2, 6, 5, channels}, 1), dy({2, 6, 5, 16}, 2);
    auto w = Variable<A, Gpu>::leaf(Operand<A, Gpu>(op::filter_shape(o), 3).value);
    Work work{};
    for (int pass = 0; pass < 2; ++pass) {
        fake::reset();
        const auto y = conv2d(Variable<T, Gpu>(x.value), w, Variable<A, Gpu>(), o, Recompute::block);
        const auto all = [] { return fake::counts().kernels; };
        work.forward = all();
        y.backward(dy.value.clone());
        work.backward = all() - work.forward;
        w.clear_gradient();
    }
    return work;
}

}  // namespace

TEST_CASE("an image of few channels is padded by one kernel, once a step", "[train_gpu]") {
    const Work whole = work_of<bfloat16>(8, Recompute::nothing), few = work_of<bfloat16>(3, Recompute::nothing);
    CHECK(few.forward == whole.forward + 1);
    CHECK(few.backward == whole.backward);
    // Under `block` nothing asks for the result again here, and only the filter's gradient for the image.
    const Work again = work_of<bfloat16>(3, Recompute::block);
    CHECK(again.forward == few.forward);
    CHECK(again.backward == few.backward + 1);
    const Work half = work_of<float16>(3, Recompute::nothing);
    CHECK(half.forward == whole.forward);
    CHECK(half.backward == whole.backward);
}

TEST_CASE("added zeros change no bit of a convolution's results", "[train_gpu]") {
    using T = bfloat16;
    fake::reset();
    auto& context = default_context<Gpu>();
    for (int channels = 1; channels < 8; ++channels) {
        const Conv2dOptions o{.in = channels, .out = 12, .kernel = 7, .stride = 2, .padding = 3};
        const Operand<T, Gpu> x({2, 11, 13, channels}, 1), dy(op::conv2d_shape(x.value.shape(), o), 2);
        const Operand<float, Gpu> w(op::filter_shape(o), 3), before(op::filter_shape(o), 4);
        const Tensor<float, Gpu>* const none = nullptr;
        const auto padded = op::pad_for_conv2d(context, x.value, o);
        CHECK(padded.shape().c == 8);
        CHECK(same_numbers(numbers(op::conv2d(context, padded, w.value, none, o)),
                           numbers(op::conv2d(context, x.value, w.value, none, o))));
        for (const Gradient mode : {Gradient::assign, Gradient::add}) {
            auto one = before.value.clone(), other = before.value.clone();
            op::conv2d_backward_filter(context, padded, dy.value, o, one, mode);
            op::conv2d_backward_filter(context, x.value, dy.value, o, other, mode);
            CHECK(same_numbers(numbers(one), numbers(other)));
        }
    }
}

TEST_CASE("a padded copy of a filter is written with it, by optimizers and by hand", "[train_gpu]") {
    using T = bfloat16;
    auto& context = default_context<Gpu>();
    const Conv2dOptions o{.in = 3, .out = 16, .kernel = 3, .padding = 1};
    const Shape s = op::filter_shape(o);
    const Operand<T, Gpu> x({2, 6, 5, 3}, 1), dy({2, 6, 5, 16}, 5);
    const Operand<float, Gpu> gradient(s, 3), other(s, 4);
    auto filter = Operand<float, Gpu>(s, 2).value.clone();
    auto first = zeros<float, Gpu>(s), second = zeros<float, Gpu>(s);
    const Tensor<float, Gpu>* const none = nullptr;
    const auto padded = op::pad_for_conv2d(context, x.value, o);
    // With what is kept of the filter, and with its numbers in a tensor that nobody has seen.
    const auto is_current = [&] {
        return same_numbers(numbers(op::conv2d(context, padded, filter, none, o)),
                            numbers(op::conv2d(context, x.value, filter.clone(), none, o)));
    };
    CHECK(is_current());
    for (int round = 0; round < 3; ++round) {
        const op::AdamOperand<float, Gpu> adam{&gradient.value, &filter, &first, &second, 0.1};
        op::adam(context, std::span(&adam, 1), {.step = round + 1});
        const auto kernels = fake::counts().kernels;
        const auto y = op::conv2d(context, padded, filter, none, o);
        CHECK(fake::counts().kernels == kernels);  // the copy was written by the optimizer
        CHECK(is_current());
        // The gradient to x takes the filter as it is, and leaves the copy that the next step takes.
        Tensor<T, Gpu> dx(x.value.shape()), again(x.value.shape());
        op::conv2d_backward_input(context, dy.value, filter, o, dx, Gradient::assign);
        op::conv2d_backward_input(context, dy.value, filter.clone(), o, again, Gradient::assign);
        CHECK(same_numbers(numbers(dx), numbers(again)));
        CHECK(is_current());
        context.copy(filter.data(), other.value.data(), std::size_t(s.size()) * sizeof(float));
        CHECK(is_current());
    }
}
