// bfloat16 where oneDNN has no convolution of it: piece by piece in float, rounded once.
#include <holon/op/plan/on_cpu.hpp>

#include <cstring>
#include <set>

#include "op/conv2d_cases.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

using namespace holon;
using namespace holon::test;
using op::Direction;

namespace {

/// Computes bfloat16 in float, whatever the processor can, with so many bytes of float images at a time.
void widen(Context<Cpu>& context, std::int64_t piece_bytes) {
    context.state<op::cpu::Bfloat16Means>() = {true, piece_bytes};
}

/// Whether each number is the exact one rounded once: half of the last of 8 bits off, and what sums in float are off.
bool rounded_once(const Tensor<bfloat16, Cpu>& got, const Tensor<double, Cpu>& exact) {
    for (std::int64_t i = 0; i < exact.size(); ++i) {
        const double there = exact.data()[i];
        if (!(std::abs(double(float(got.data()[i])) - there) <= 0x1p-8 * std::abs(there) + 1e-4)) return false;
    }
    return got.shape() == exact.shape();
}

Tensor<double, Cpu> sum(const Tensor<double, Cpu>& a, const Tensor<double, Cpu>& b) {
    return op::add(default_context<Cpu>(), a, b);
}

struct Operands {
    explicit Operands(const ConvolutionCase& c)
        : x(random_tensor<bfloat16>(c.x, 1)),
          dy(random_tensor<bfloat16>(op::conv2d_shape(c.x, c.o), 2)),
          there(random_tensor<bfloat16>(c.x, 3)),
          filter(random_tensor<float>(op::filter_shape(c.o), 4)),
          filter_there(random_tensor<float>(op::filter_shape(c.o), 5)),
          bias(random_tensor<float>(vector_shape(c.o.out), 6)) {}
    Tensor<bfloat16, Cpu> x, dy, there;
    Tensor<float, Cpu> filter, filter_there, bias;
};

struct Results {
    Tensor<bfloat16, Cpu> y, dx, dx_joined;
    Tensor<float, Cpu> dw, dw_joined;
};

/// A copy of the filter for this context, in whose memory the forms that it keeps are.
Tensor<float, Cpu> of(Context<Cpu>& context, const Tensor<float, Cpu>& filter) {
    Tensor<float, Cpu> own(filter.shape(), context);
    std::copy_n(filter.data(), filter.size(), own.data());
    return own;
}

Results compute(Context<Cpu>& context, const ConvolutionCase& c, const Operands& v) {
    const Tensor<float, Cpu> filter = of(context, v.filter);
    const auto poison = std::numeric_limits<float>::quiet_NaN();
    Results r{op::conv2d(context, v.x, filter, c.o.bias ? &v.bias : nullptr, c.o),
              full<bfloat16, Cpu>(c.x, bfloat16(poison)), v.there.clone(),
              full<float, Cpu>(op::filter_shape(c.o), poison), v.filter_there.clone()};
    op::conv2d_backward_input(context, v.dy, filter, c.o, r.dx, Gradient::assign);
    op::conv2d_backward_input(context, v.dy, filter, c.o, r.dx_joined, Gradient::add);
    op::conv2d_backward_filter(context, v.x, v.dy, c.o, r.dw, Gradient::assign);
    op::conv2d_backward_filter(context, v.x, v.dy, c.o, r.dw_joined, Gradient::add);
    return r;
}

template <class T> bool same_bits(const Tensor<T, Cpu>& a, const Tensor<T, Cpu>& b) {
    return a.shape() == b.shape() && std::memcmp(a.data(), b.data(), std::size_t(a.size()) * sizeof(T)) == 0;
}

/// Every window, with channels that oneDNN blocks and channels that it does not.
std::vector<ConvolutionCase> all_cases() {
    std::vector<ConvolutionCase> all = convolution_cases(common_windows);
    for (const auto& c : convolution_cases(rare_windows)) all.push_back(c);
    for (std::size_t i = 0; i < common_windows.size(); ++i) {
        Conv2dOptions o = common_windows[i];
        o.in = 24, o.out = 16, o.bias = i % 2 == 0;
        all.push_back({{3, 15, 12, 24}, o});
    }
    // Rows of the result that see padding alone, at the top and at the bottom.
    all.push_back({{2, 3, 5, 4}, {.in = 4, .out = 3, .kernel = {2, 1}, .padding = {5, 6, 0, 0}, .bias = true}});
    all.push_back({{1, 2, 5, 8}, {.in = 8, .out = 8, .kernel = 1, .stride = 3, .padding = {7, 9, 0, 0}}});
    return all;
}

constexpr std::int64_t budgets[] = {1, 6000, 40000, 4 << 20};  // bytes: rows one by one, bands, some images, all

}  // namespace

TEST_CASE("widened convolutions are rounded once, whatever the pieces are", "[op]") {
    auto& oracle = default_context<Cpu>();
    for (const ConvolutionCase& c : all_cases()) {
        const Operands v(c);
        const auto x = cast<double>(v.x), dy = cast<double>(v.dy), filter = cast<double>(v.filter),
                   bias = cast<double>(v.bias);
        const auto y = op::conv2d(oracle, x, filter, c.o.bias ? &bias : nullptr, c.o);
        Tensor<double, Cpu> dx(c.x), dw(op::filter_shape(c.o));
        op::conv2d_backward_input(oracle, dy, filter, c.o, dx, Gradient::assign);
        op::conv2d_backward_filter(oracle, x, dy, c.o, dw, Gradient::assign);
        for (const std::int64_t budget : budgets) {
            Context<Cpu> context;
            widen(context, budget);
            CAPTURE(text(c.x), text(op::filter_shape(c.o)), text(c.o.stride), text(c.o.dilation), budget);
            const Results r = compute(context, c, v);
            CHECK(rounded_once(r.y, y));
            CHECK(rounded_once(r.dx, dx));
            CHECK(rounded_once(r.dx_joined, sum(dx, cast<double>(v.there))));
            CHECK(distance(r.dw, dw) <= tolerance<float>());
            CHECK(distance(r.dw_joined, sum(dw, cast<double>(v.filter_there))) <= tolerance<float>());
            const Results again = compute(context, c, v);
            CHECK(same_bits(r.y, again.y));
            CHECK(same_bits(r.dx, again.dx));
            CHECK(same_bits(r.dx_joined, again.dx_joined));
            CHECK(same_bits(r.dw, again.dw));
            CHECK(same_bits(r.dw_joined, again.dw_joined));
        }
    }
}

TEST_CASE("pieces cover every row of the result once and stay within their numbers", "[op]") {
    for (const ConvolutionCase& c : all_cases())
        for (const std::int64_t budget : budgets) {
            const Shape y = op::conv2d_shape(c.x, c.o);
            CAPTURE(text(c.x), text(op::filter_shape(c.o)), budget);
            std::int64_t image = 0, row = 0;
            for (const auto& piece : op::cpu::pieces(c.x, c.o, budget)) {
                CHECK((piece.image == image && piece.y_row == row));
                row += piece.y_rows;
                if (row == y.h) image += piece.images, row = 0;
                CHECK((piece.images == 1 || piece.y_rows == y.h));
                CHECK((piece.x_row >= 0 && piece.x_row + piece.x_rows <= c.x.h));
                if (piece.x_rows) CHECK(op::conv2d_shape(piece.x(c.x), piece.options) == piece.y(y));
                if (piece.y_rows > 1) CHECK(piece.x(c.x).size() + piece.y(y).size() <= budget);
            }
            CHECK((image == c.x.n && row == 0));
        }
    CHECK(op::cpu::pieces({0, 8, 8, 1}, {.kernel = 3}, 1000).empty());
}

TEST_CASE("what a widened convolution holds in float does not grow with the image, and a plan knows it", "[op]") {
    constexpr std::int64_t piece = 1 << 20;
    const Conv2dOptions o{.in = 32, .out = 48, .kernel = 3, .padding = 1};
    for (const auto direction : {Direction::forward, Direction::to_input, Direction::to_filter})
        for (const bool add : {false, true}) {
            if (add && direction == Direction::forward) continue;
            std::set<std::size_t> held;
            for (const std::int64_t rows : {256, 1024}) {
                Context<Cpu> context;
                widen(context, piece);
                const ConvolutionCase c{{1, rows, 96, 32}, o};
                Operands v(c);
                const Tensor<float, Cpu> filter = of(context, v.filter);
                const auto choice = op::plan::choice_on_cpu<bfloat16>(context, direction, c.x, o, add);
                CHECK(choice.engine.starts_with("widened:"));
                context.memory().reset_peak();
                std::size_t result = context.memory().use().current;
                const Gradient mode = add ? Gradient::add : Gradient::assign;
                const Tensor<float, Cpu>* no_bias = nullptr;
                if (direction == Direction::forward)
                    result += std::size_t(op::conv2d(context, v.x, filter, no_bias, o).size()) * sizeof(bfloat16);
                else if (direction == Direction::to_input)
                    op::conv2d_backward_input(context, v.dy, filter, o, v.there, mode);
                else
                    op::conv2d_backward_filter(context, v.x, v.dy, o, v.filter_there, mode);
                const std::size_t took = context.memory().use().peak - result;
                CAPTURE(int(direction), add, rows, choice.engine);
                const std::size_t planned = choice.workspace + choice.aside + choice.form->bytes;
                CHECK(took >= planned);
                CHECK(took <= planned + 4096);  // blocks are rounded up
                CHECK(choice.aside <= piece * 5 / 4 + op::filter_shape(o).size() * sizeof(float));
                held.insert(choice.aside);
            }
            CHECK(*held.rbegin() - *held.begin() <= piece / 8);  // equal bands, so not quite the same
        }
}

TEST_CASE("widened matrix products are those in float, however many rows they take at a time", "[op]") {
    const Shape s{3, 5, 7, 40};
    const auto x = random_tensor<bfloat16>(s, 1), dy = random_tensor<bfloat16>({s.n, s.h, s.w, 11}, 2);
    const auto weight = cast<float>(cast<bfloat16>(random_tensor<float>({11, 1, 1, s.c}, 3)));
    const Tensor<float, Cpu>* no_bias = nullptr;
    const Tensor<double, Cpu>* none = nullptr;
    auto& oracle = default_context<Cpu>();
    const auto wide_x = cast<double>(x), wide_dy = cast<double>(dy), wide_weight = cast<double>(weight);
    const auto y = op::linear(oracle, wide_x, wide_weight, none);
    Tensor<double, Cpu> dx(s), dw(weight.shape());
    op::linear_backward_input(oracle, wide_dy, wide_weight, dx, Gradient::assign);
    op::linear_backward_weight(oracle, wide_x, wide_dy, dw, Gradient::assign);
    for (const std::int64_t budget : {std::int64_t(1), std::int64_t(3000), std::int64_t(1) << 20}) {
        Context<Cpu> context;
        widen(context, budget);
        CHECK(rounded_once(op::linear(context, x, weight, no_bias), y));
        Tensor<bfloat16, Cpu> to_x(s);
        op::linear_backward_input(context, dy, weight, to_x, Gradient::assign);
        CHECK(rounded_once(to_x, dx));
        Tensor<float, Cpu> to_weight(weight.shape());
        op::linear_backward_weight(context, x, dy, to_weight, Gradient::assign);
        CHECK(distance(to_weight, dw) <= tolerance<float>());
    }
}
