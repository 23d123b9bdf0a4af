// Windows and whole images reduced, on every device, against their definitions.
#include "op/pool2d_cases.hpp"
#include "support/catch.hpp"
#include "support/devices.hpp"

using namespace holon;
using namespace holon::test;

TEMPLATE_TEST_CASE("pools agree with their definitions, and so do their gradients", "[op][kernels]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    for (const Shape s : pool_shapes)
        for (const auto& o : pools) {
            if (!fits(s, o)) continue;
            CAPTURE(text(s), text(o.window));
            const Operand<T, D> x(spread_tensor(s, 2));
            const auto pooled = op::max_pool2d(context, x.value, o);
            const auto mean = op::average_pool2d(context, x.value, o);
            const Shape t = pooled.y.shape();
            const Operand<T, D> dy(t, 4);
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
                                    const int y = h * o.step().h - o.padding.top + r,
                                              z = w * o.step().w - o.padding.left + q;
                                    if (y < 0 || y >= s.h || z < 0 || z >= s.w) continue;
                                    const auto at = s.at(n, y, z, k);
                                    inside.push_back(at);
                                    sum += x[at];
                                    if (x[at] > top) top = x[at], best = at;
                                }
                            const double g = dy[t.at(n, h, w, k)];
                            largest.data()[t.at(n, h, w, k)] = top;
                            average.data()[t.at(n, h, w, k)] = sum / double(inside.size());
                            back.data()[best] += g;
                            for (const auto at : inside) back_mean.data()[at] += g / double(inside.size());
                        }
            CHECK(distance(pooled.y, largest) == 0.0);
            CHECK(distance(mean, average) <= tolerance<T>() * (std::same_as<T, float16> ? 1 : 10));
            CHECK(written_error<T, D>(s, back, [&](auto& dx, Gradient mode) {
                      op::max_pool2d_backward(context, dy.value, pooled.place, o, dx, mode);
                  }) <= tolerance<T>());
            CHECK(written_error<T, D>(s, back_mean, [&](auto& dx, Gradient mode) {
                      op::average_pool2d_backward(context, dy.value, o, dx, mode);
                  }) <= tolerance<T>());
        }
}

TEMPLATE_TEST_CASE("global_average agrees with its definition, and so does its gradient", "[op][kernels]",
                   HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    std::vector<Shape> shapes = pool_shapes;
    shapes.insert(shapes.end(), {{2, 7, 7, 2048}, {1, 40, 36, 5}, {9, 1, 1, 8}, {0, 3, 3, 4}});
    for (const Shape s : shapes) {
        CAPTURE(text(s));
        const Operand<T, D> x(s, 1), dy({s.n, 1, 1, s.c}, 2);
        auto y = zeros<double>({s.n, 1, 1, s.c});
        Tensor<double, Cpu> dx(s);
        const double positions = double(s.h * s.w);
        for (std::int64_t i = 0; i < s.size(); ++i) {
            const std::int64_t at = i / s.c / (s.h * s.w) * s.c + i % s.c;
            y.data()[at] += x[i] / positions;
            dx.data()[i] = dy[at] / positions;
        }
        CHECK(distance(op::global_average(context, x.value), y) <= tolerance<T>());
        CHECK(written_error<T, D>(s, dx, [&](auto& out, Gradient mode) {
                  op::global_average_backward(context, dy.value, out, mode);
              }) <= tolerance<T>());
    }
}
