// Compiled with -ffast-math: what is told from its being infinite or NaN still is.
#include <holon/holon.hpp>
#include <holon/metric/operating_point.hpp>
#include <holon/optim/loss_scale.hpp>

#include <cstdio>
#include <limits>

using namespace holon;

namespace {
int failures = 0;
void check(bool holds, const char* what) {
    if (!holds) std::printf("not so: %s\n", what), ++failures;
}
/// Numbers that the compiler cannot see through.
template <class N> N hidden(N value) {
    asm volatile("" : "+m"(value));
    return value;
}
template <class Error, class Body> bool throws(const Body& body) {
    try {
        body();
    } catch (const Error&) {
        return true;
    }
    return false;
}
template <class T> void tensors(T odd) {
    auto& context = default_context<Cpu>();
    auto x = full<T>({1, 3, 3, 32}, 1);
    check(op::all_finite(context, x), "ones are finite");
    for (const std::int64_t at : {0, 5, 287}) {
        x.data()[at] = odd;
        check(!op::all_finite(context, x), "one that is not finite is found among the rest");
        x.data()[at] = T(1);
    }
}
}  // namespace

int main() {
    const float infinity = std::bit_cast<float>(hidden(0x7f800000u)), nan = std::bit_cast<float>(hidden(0x7fc00000u));
    const double wide_infinity = std::bit_cast<double>(hidden(std::uint64_t(0x7ff0000000000000))),
                 wide_nan = std::bit_cast<double>(hidden(std::uint64_t(0x7ff8000000000000)));
    for (const float odd : {infinity, nan}) tensors<float>(odd), tensors<bfloat16>(bfloat16(odd));
    for (const double odd : {wide_infinity, wide_nan, -wide_infinity}) tensors<double>(odd);
    check(std::uint16_t(float16(nan).bits & 0x7fff) > 0x7c00, "NaN as a float16 is NaN");

    const std::vector<double> scores{0.5, wide_nan, 0.25}, good{0.5, 0.75, 0.25};
    const std::vector<int> labels{0, 1, 0};
    check(throws<NumericError>([&] { auc(scores, labels); }), "auc refuses a NaN");
    check(auc(good, labels) == 1, "auc");
    check(throws<DataError>([&] { operating_point(wide_nan, good, labels); }), "a NaN is no threshold");

    LossScale scale(LossScale::Options{});
    check(scale.accept(1).has_value() && !scale.accept(wide_infinity) && !scale.accept(wide_nan), "LossScale");

    auto& context = default_context<Cpu>();
    const auto finite = full<float>({1, 1, 1, 8}, 1);
    auto loss = full<float>({1, 1, 1, 1}, 1);
    const Tensor<float, Cpu>* const gradients[] = {&finite};
    const auto taken = [&] {
        return op::step_scale(context, std::span<const Tensor<float, Cpu>* const>(gradients), &loss, [] { return op::StepLimit{}; })
            .data()[1];
    };
    check(taken() == 1, "a finite step is taken");
    loss.data()[0] = nan;
    check(taken() == 0, "a step whose loss is NaN is not taken");

    // Max pooling: NaN wins, wherever it is in the window.
    for (int at = 0; at < 4; ++at) {
        auto x = full<float>({1, 2, 2, 16}, 1);
        x.data()[at * 16 + 3] = nan;
        const auto y = op::max_pool2d(context, x, {.window = 2}).y;
        check(is_nan(y.data()[3]) && y.data()[4] == 1, "NaN wins in max_pool");
    }
    if (!failures) std::printf("all as it should be\n");
    return failures;
}
