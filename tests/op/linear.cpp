// The linear map on every device against its definition.
#include "support/catch.hpp"
#include "support/devices.hpp"

using namespace holon;
using namespace holon::test;

TEMPLATE_TEST_CASE("linear agrees with its definition, with a bias and without", "[op]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    auto& context = default_context<D>();
    for (const Shape s : {Shape{1, 1, 1, 1}, Shape{3, 1, 1, 37}, Shape{2, 3, 5, 64}, Shape{5, 1, 1, 130}})
        for (const int out : {1, 2, 11, 64})
            for (const bool biased : {true, false}) {
                const Operand<T, D> x(s, 1), dy({s.n, s.h, s.w, out}, 2);
                const Operand<A, D> w({out, 1, 1, s.c}, 3), b(vector_shape(out), 4);
                Tensor<double, Cpu> y(dy.wide.shape()), dx = zeros<double>(s), dw = zeros<double>(w.wide.shape());
                for (std::int64_t r = 0; r < s.rows(); ++r)
                    for (int k = 0; k < out; ++k) {
                        double sum = biased ? b[k] : 0;
                        for (std::int64_t i = 0; i < s.c; ++i) {
                            const double v = x[r * s.c + i], weight = w[k * s.c + i], g = dy[r * out + k];
                            sum += v * weight;
                            dx.data()[r * s.c + i] += g * weight;
                            dw.data()[k * s.c + i] += g * v;
                        }
                        y.data()[r * out + k] = sum;
                    }
                CAPTURE(text(s), out, biased);
                CHECK(distance(op::linear(context, x.value, w.value, biased ? &b.value : nullptr), y) <=
                      tolerance<T>());
                CHECK(written_error<T, D>(s, dx, [&](auto& g, Gradient mode) {
                          op::linear_backward_input(context, dy.value, w.value, g, mode);
                      }) <= tolerance<T>());
                CHECK(written_error<A, D>(w.wide.shape(), dw, [&](auto& g, Gradient mode) {
                          op::linear_backward_weight(context, x.value, dy.value, g, mode);
                      }) <= tolerance<T>());
            }
}

TEMPLATE_TEST_CASE("linear of no images gives none, and a weight's gradient of zeros", "[op]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    auto& context = default_context<D>();
    const Tensor<T, D> none({0, 1, 1, 7});
    const Operand<A, D> w({3, 1, 1, 7}, 1), b(vector_shape(3), 2);
    const auto y = op::linear(context, none, w.value, &b.value);
    CHECK(y.shape() == Shape{0, 1, 1, 3});
    Tensor<T, D> dx(none.shape());
    op::linear_backward_input(context, y, w.value, dx, Gradient::assign);
    const auto nothing = zeros<double>(w.wide.shape());
    CHECK(written_error<A, D>(w.wide.shape(), nothing, [&](auto& g, Gradient mode) {
              op::linear_backward_weight(context, none, y, g, mode);
          }) == 0.0);
}
