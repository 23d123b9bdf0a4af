// Elementwise kernels, max pooling and Adam on the host emulation against the ops in double.
#include "gpu/host_cuda.hpp"

#include <holon/elementwise.cuh>
#include <holon/max_pool2d.cuh>
#include <holon/op/op.hpp>
#include <holon/optimizer.cuh>

#include "gpu/compare.hpp"
#include "support/catch.hpp"

using namespace holon;
using namespace holon::test;

TEMPLATE_TEST_CASE("elementwise kernels agree with the ops, packs and rest", "[gpu]", float, bfloat16, half) {
    using T = TestType;
    constexpr int W = gpu::pack_width<T>;
    auto& context = default_context<Cpu>();
    for (const Order& order : orders)
        for (const std::int64_t count : {1, W - 1, W, 5 * W + 3, 1000}) {
            const Shape s{1, 1, 1, count};
            const Both<T> a(s, 1), b(s, 2), old(s, 3);
            std::vector<T> y(std::size_t(count), T(NAN));
            const auto run = [&](auto f) { launch(order, gpu::each<W, decltype(f)>, 3, 32, count, f); };
            run(gpu::Relu<T>{a.narrow.data(), y.data()});
            REQUIRE(error(y, op::relu(context, a.wide)) == 0);
            run(gpu::Add<T>{a.narrow.data(), b.narrow.data(), y.data()});
            REQUIRE(error(y, op::add(context, a.wide, b.wide)) < kernel_tolerance<T>());
            run(gpu::Scale<T>{a.narrow.data(), 0.5f, y.data()});
            auto half_a = a.wide.clone();
            op::scale(context, half_a, 0.5);
            REQUIRE(error(y, half_a) == 0);
            run(gpu::Fill<T>{3.f, y.data()});
            REQUIRE(error(y, full<double>(s, 3.0)) == 0);
            for (const bool add : {false, true}) {
                std::vector<T> dx = add ? old.narrow : std::vector<T>(std::size_t(count), T(NAN));
                auto expected = add ? old.wide.clone() : zeros<double>(s);
                op::relu_backward(context, a.wide, b.wide, expected, Gradient::add);
                run(gpu::ReluBackward<T>{a.narrow.data(), b.narrow.data(), dx.data(), add});
                REQUIRE(error(dx, expected) < kernel_tolerance<T>());
            }
            std::vector<float> wide(std::size_t(count), NAN);
            run(gpu::Convert<T, float>{a.narrow.data(), wide.data()});
            REQUIRE(error(wide, a.wide) == 0);
            run(gpu::Convert<float, T>{wide.data(), y.data()});
            REQUIRE(error(y, a.wide) == 0);
        }
}

namespace {

template <class T, int W> void check_pool(const Order& order, Shape s, const Pool2dOptions& o) {
    auto& context = default_context<Cpu>();
    const Shape t = op::pool2d_shape(s, o);
    const gpu::Pooling pooling{s.n,        s.h,        s.w,        t.h,        t.w,           int(s.c),
                               o.window.h, o.window.w, o.step().h, o.step().w, o.padding.top, o.padding.left};
    const Both<T> x(s, 1), dy(t, 2), old(s, 3);
    std::vector<T> y(std::size_t(t.size()), T(NAN));
    std::vector<std::uint8_t> place(std::size_t(t.size()), 255);
    launch(order, gpu::max_pool_forward<T, W>, 2, 64, pooling, x.narrow.data(), y.data(), place.data());
    const auto expected = op::max_pool2d(context, x.wide, o);
    REQUIRE(error(y, expected.y) == 0);
    REQUIRE(std::equal(place.begin(), place.end(), std::as_const(expected.place).data()));
    for (const bool add : {false, true}) {
        std::vector<T> dx = add ? old.narrow : std::vector<T>(std::size_t(s.size()), T(NAN));
        auto gradient = add ? old.wide.clone() : zeros<double>(s);
        op::max_pool2d_backward(context, dy.wide, expected.place, o, gradient, Gradient::add);
        launch(order, gpu::max_pool_backward<T, W>, 2, 64, pooling, dy.narrow.data(), place.data(), dx.data(), add);
        REQUIRE(error(dx, gradient) < kernel_tolerance<T>());
    }
}

}  // namespace

TEMPLATE_TEST_CASE("max pooling kernels agree with the op, ties and all", "[gpu]", float, bfloat16, half) {
    constexpr int W = gpu::pack_width<TestType>;
    for (const Order& order : orders) {
        check_pool<TestType, W>(order, {2, 9, 7, 2 * W}, {.window = 3, .stride = 2, .padding = 1});  // ResNet's
        check_pool<TestType, W>(order, {1, 8, 6, W}, {.window = 2});                                 // VGG's
        check_pool<TestType, 1>(order, {1, 5, 11, 3}, {.window = {2, 4}, .stride = {1, 3}, .padding = {0, 1, 2, 1}});
        check_pool<TestType, 1>(order, {1, 1, 1, 5}, {.window = 1});
    }
}

TEST_CASE("one launch of Adam steps every parameter as the op does", "[gpu]") {
    auto& context = default_context<Cpu>();
    const std::int64_t sizes[] = {1, 64, gpu::step_chunk, gpu::step_chunk + 1, 3 * gpu::step_chunk - 5};
    for (const Order& order : orders) {
        std::vector<Both<float>> g, w, m, v;
        std::uint64_t seed = 1;
        for (const std::int64_t size : sizes)
            for (auto* list : {&g, &w, &m, &v}) list->emplace_back(vector_shape(size), seed++);
        for (auto& second : v)
            for (std::size_t i = 0; i < second.narrow.size(); ++i) {
                second.narrow[i] = std::abs(second.narrow[i]);
                second.wide.data()[i] = double(second.narrow[i]);
            }
        std::vector<op::AdamOperand<double, Cpu>> operands;
        std::vector<gpu::AdamParameter> parameters;
        std::int64_t chunks = 0;
        const op::AdamStep step{.step = 3};
        const double rate = 0.01, coupled = 0.1, decoupled = 0.2, corrected = 1 - std::pow(step.beta1, 3.0);
        for (std::size_t k = 0; k < g.size(); ++k) {
            operands.push_back({&g[k].wide, &w[k].wide, &m[k].wide, &v[k].wide, rate, coupled, decoupled});
            parameters.push_back({g[k].narrow.data(), w[k].narrow.data(), m[k].narrow.data(), v[k].narrow.data(),
                                  sizes[k], chunks, float(rate / corrected), float(coupled),
                                  float(1 - rate * decoupled)});
            chunks += (sizes[k] + gpu::step_chunk - 1) / gpu::step_chunk;
        }
        op::adam(context, std::span<const op::AdamOperand<double, Cpu>>(operands), step);
        launch(
            order, gpu::adam_step, unsigned(chunks), 128, static_cast<const gpu::AdamParameter*>(parameters.data()),
            int(parameters.size()),
            gpu::AdamNumbers{0.9f, 0.1f, 0.999f, 0.001f, float(1 / std::sqrt(1 - std::pow(step.beta2, 3.0))), 1e-8f});
        for (std::size_t k = 0; k < g.size(); ++k) {
            REQUIRE(error(w[k].narrow, w[k].wide) < 1e-5);
            REQUIRE(error(m[k].narrow, m[k].wide) < 1e-6);
            REQUIRE(error(v[k].narrow, v[k].wide) < 1e-6);
        }
    }
}
