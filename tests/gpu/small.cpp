// Softmax, cross-entropy, dropout and average pooling kernels on the host emulation against the ops in double.
#include "gpu/host_cuda.hpp"

#include <holon/average_pool2d.cuh>
#include <holon/classify.cuh>
#include <holon/dropout.cuh>
#include <holon/op/op.hpp>

#include "gpu/compare.hpp"
#include "support/catch.hpp"

using namespace holon;
using namespace holon::test;

TEMPLATE_TEST_CASE("softmax kernels agree with the op", "[gpu]", float, bfloat16, half) {
    using T = TestType;
    auto& context = default_context<Cpu>();
    for (const Order& order : orders)
        for (const Shape s : {Shape{3, 1, 1, 5}, Shape{1, 2, 3, 2}, Shape{70, 1, 1, 1}}) {
            const Both<T> x(s, 1), dy(s, 2), old(s, 3);
            std::vector<T> y(std::size_t(s.size()), T(NAN));
            launch(order, gpu::softmax_forward<T>, 2, 16, s.rows(), int(s.c), x.narrow.data(), y.data());
            REQUIRE(error(y, op::softmax(context, x.wide)) < kernel_tolerance<T>());
            Tensor<double, Cpu> seen(s);
            for (std::size_t i = 0; i < y.size(); ++i) seen.data()[i] = double(float(y[i]));
            for (const bool add : {false, true}) {
                std::vector<T> dx = add ? old.narrow : std::vector<T>(y.size(), T(NAN));
                auto expected = add ? old.wide.clone() : zeros<double>(s);
                op::softmax_backward(context, seen, dy.wide, expected, Gradient::add);
                launch(order, gpu::softmax_backward<T>, 2, 16, s.rows(), int(s.c), std::as_const(y).data(),
                       dy.narrow.data(), dx.data(), add);
                for (std::size_t i = 0; i < dx.size(); ++i)  // one class: all zeros, so absolute
                    REQUIRE(std::abs(double(float(dx[i])) - std::as_const(expected).data()[i]) <
                            4 * kernel_tolerance<T>());
            }
        }
}

TEST_CASE("cross-entropy kernels agree with the op, with and without weights, beyond one block", "[gpu]") {
    auto& context = default_context<Cpu>();
    for (const Order& order : orders)
        for (const int images : {1, 4, gpu::loss_threads, 2 * gpu::loss_threads + 3})
            for (const bool weighted : {false, true}) {
                const int classes = 5;
                const Shape s{images, 1, 1, classes};
                const Both<float> x(s, 1), old(s, 2);
                std::vector<int> labels;
                std::vector<float> weights;
                for (int i = 0; i < images; ++i) {
                    labels.push_back(i * 7 % classes);
                    if (weighted) weights.push_back(0.25f * float(i % 9));
                }
                const float* heavy = weighted ? weights.data() : nullptr;
                float loss = NAN;
                launch(order, gpu::cross_entropy_forward, 1, gpu::loss_threads, images, classes, x.narrow.data(),
                       static_cast<const int*>(labels.data()), heavy, &loss);
                REQUIRE(double(loss) ==
                        Approx(op::cross_entropy(context, x.wide, labels, weights).elements()[0]).epsilon(1e-6));
                const float upstream = 0.5f;
                for (const bool add : {false, true}) {
                    std::vector<float> dx = add ? old.narrow : std::vector<float>(x.narrow.size(), NAN);
                    auto expected = add ? old.wide.clone() : zeros<double>(s);
                    op::cross_entropy_backward(context, x.wide, labels, weights, full<double>({1, 1, 1, 1}, 0.5),
                                               expected, Gradient::add);
                    launch(order, gpu::cross_entropy_backward, unsigned(images + 31) / 32, 32, images, classes,
                           x.narrow.data(), static_cast<const int*>(labels.data()), heavy, &upstream, dx.data(), add);
                    REQUIRE(error(dx, expected) < 1e-6);
                }
            }
}

TEMPLATE_TEST_CASE("the dropout kernel draws the mask of every device", "[gpu]", float, bfloat16, half) {
    using T = TestType;
    auto& context = default_context<Cpu>();
    const op::DropoutMask mask{.rate = 0.5, .seed = 9, .stream = 4, .first = 77};
    const gpu::Mask words{mask.seed, mask.stream, mask.first, std::uint64_t(mask.rate * 0x1p32),
                          float(1 / (1 - mask.rate))};
    for (const Order& order : orders)
        for (const std::int64_t count : {1, 3, 4, 1001}) {
            const Shape s = vector_shape(count);
            const Both<T> x(s, 1), old(s, 2);
            std::vector<T> y(std::size_t(count), T(NAN));
            launch(order, gpu::masked_copy<T>, 3, 32, count, words, x.narrow.data(), y.data(), false);
            const auto expected = op::dropout(context, x.wide, mask);
            for (std::size_t i = 0; i < y.size(); ++i)
                REQUIRE(double(float(y[i])) == std::as_const(expected).data()[i]);
            std::vector<T> dx = old.narrow;
            auto gradient = old.wide.clone();
            op::dropout_backward(context, x.wide, mask, gradient, Gradient::add);
            launch(order, gpu::masked_copy<T>, 3, 32, count, words, x.narrow.data(), dx.data(), true);
            REQUIRE(error(dx, gradient) < kernel_tolerance<T>());
        }
}

namespace {

template <class T, int W> void check_average(const Order& order, Shape s, const Pool2dOptions& o) {
    auto& context = default_context<Cpu>();
    const Shape t = op::pool2d_shape(s, o), g{s.n, 1, 1, s.c};
    const gpu::Pooling pooling{s.n,        s.h,        s.w,        t.h,        t.w,           int(s.c),
                               o.window.h, o.window.w, o.step().h, o.step().w, o.padding.top, o.padding.left};
    const Both<T> x(s, 1), dy(t, 2), old(s, 3), dg(g, 4);
    std::vector<T> y(std::size_t(t.size()), T(NAN)), mean(std::size_t(g.size()), T(NAN));
    launch(order, gpu::average_pool_forward<T, W>, 2, 64, pooling, x.narrow.data(), y.data());
    REQUIRE(error(y, op::average_pool2d(context, x.wide, o)) < kernel_tolerance<T>());
    const unsigned packs = unsigned(s.c) / W;
    launch(order, gpu::global_average_forward<T, W>,
           dim3((packs + gpu::average_lanes - 1) / gpu::average_lanes, unsigned(s.n)),
           dim3(gpu::average_lanes, gpu::average_lines), s.h * s.w, int(s.c), x.narrow.data(), mean.data());
    REQUIRE(error(mean, op::global_average(context, x.wide)) < kernel_tolerance<T>());
    for (const bool add : {false, true}) {
        const auto start = [&] { return add ? old.narrow : std::vector<T>(std::size_t(s.size()), T(NAN)); };
        auto expected = add ? old.wide.clone() : zeros<double>(s);
        op::average_pool2d_backward(context, dy.wide, o, expected, Gradient::add);
        std::vector<T> dx = start();
        launch(order, gpu::average_pool_backward<T, W>, 2, 64, pooling, dy.narrow.data(), dx.data(), add);
        REQUIRE(error(dx, expected) < kernel_tolerance<T>());
        expected = add ? old.wide.clone() : zeros<double>(s);
        op::global_average_backward(context, dg.wide, expected, Gradient::add);
        dx = start();
        launch(order, gpu::global_average_backward<T, W>, 2, 64, s.n, s.h * s.w, int(s.c), dg.narrow.data(), dx.data(),
               add);
        REQUIRE(error(dx, expected) < kernel_tolerance<T>());
    }
}

}  // namespace

TEMPLATE_TEST_CASE("average pooling kernels agree with the ops, over windows and over images", "[gpu]", float, bfloat16,
                   half) {
    constexpr int W = gpu::pack_width<TestType>;
    for (const Order& order : orders) {
        check_average<TestType, W>(order, {2, 9, 7, 2 * W}, {.window = 3, .stride = 2, .padding = 1});
        check_average<TestType, W>(order, {1, 3, 2, 33 * W}, {.window = 2, .stride = 1});
        check_average<TestType, 1>(order, {1, 5, 11, 3}, {.window = {2, 4}, .stride = {1, 3}, .padding = {0, 1, 2, 1}});
        check_average<TestType, 1>(order, {3, 1, 1, 5}, {.window = 1});
    }
}
