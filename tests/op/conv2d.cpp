// Convolution on every device against seven loops written here.
#include "op/conv2d_cases.hpp"
#include "support/catch.hpp"
#include "support/devices.hpp"

using namespace holon;
using namespace holon::test;

namespace {

using Case = ConvolutionCase;

struct Results {
    Tensor<double, Cpu> y, dx, dw;
};

/// From the definition, each sum by itself.
Results by_definition(const Case& c, const Tensor<double, Cpu>& x, const Tensor<double, Cpu>& w,
                      const Tensor<double, Cpu>& b, const Tensor<double, Cpu>& dy) {
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

template <class T, class D> void agrees(const Case& c) {
    using A = Accumulate<T>;
    auto& context = default_context<D>();
    const Operand<T, D> x(c.x, 1), dy(op::conv2d_shape(c.x, c.o), 4);
    const Operand<A, D> w(op::filter_shape(c.o), 2), b(vector_shape(c.o.out), 3);
    const Results r = by_definition(c, x.wide, w.wide, b.wide, dy.wide);
    CAPTURE(text(c.x), text(op::filter_shape(c.o)), text(c.o.stride), text(c.o.dilation), element_name<T>());
    CHECK(distance(op::conv2d(context, x.value, w.value, c.o.bias ? &b.value : nullptr, c.o), r.y) <= tolerance<T>());
    CHECK(written_error<T, D>(c.x, r.dx, [&](auto& dx, Gradient mode) {
              op::conv2d_backward_input(context, dy.value, w.value, c.o, dx, mode);
          }) <= tolerance<T>());
    CHECK(written_error<A, D>(op::filter_shape(c.o), r.dw, [&](auto& dw, Gradient mode) {
              op::conv2d_backward_filter(context, x.value, dy.value, c.o, dw, mode);
          }) <= tolerance<T>());
}

}  // namespace

TEMPLATE_TEST_CASE("conv2d agrees with its definition in all three directions", "[op]", HOLON_ELEMENTS) {
    for (const auto* windows : {&common_windows, &rare_windows})
        for (const Case& c : convolution_cases(*windows))
            agrees<typename TestType::element, typename TestType::device>(c);
}

TEMPLATE_TEST_CASE("conv2d of no images gives none, and a filter's gradient of zeros", "[op]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    auto& context = default_context<D>();
    const Conv2dOptions o{.in = 3, .out = 4, .kernel = 3, .stride = 2, .padding = 1};
    const Tensor<T, D> none({0, 8, 6, 3});
    const Operand<A, D> w(op::filter_shape(o), 1);
    const Tensor<A, D>* no_bias = nullptr;
    const auto y = op::conv2d(context, none, w.value, no_bias, o);
    CHECK(y.shape() == Shape{0, 4, 3, 4});
    Tensor<T, D> dx(none.shape());
    op::conv2d_backward_input(context, y, w.value, o, dx, Gradient::assign);
    const auto nothing = zeros<double>(op::filter_shape(o));
    CHECK(written_error<A, D>(op::filter_shape(o), nothing, [&](auto& dw, Gradient mode) {
              op::conv2d_backward_filter(context, none, y, o, dw, mode);
          }) == 0.0);
}
