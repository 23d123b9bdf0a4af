// Dropout's mask and the affine warp on every device against formulas written here.
#include "support/catch.hpp"
#include "support/devices.hpp"

using namespace holon;
using namespace holon::test;

namespace {

/// What dropout makes of v at element i: nothing, or v times 1 / (1 - rate), as ops round.
template <class T> double dropped(double v, std::int64_t i, const op::DropoutMask& mask) {
    using A = Accumulate<T>;
    const auto words = philox(mask.seed, mask.first + std::uint64_t(i / 4), mask.stream);
    const bool keeps = words[std::size_t(i % 4)] >= std::uint64_t(mask.rate * 0x1p32);
    return keeps ? rounded<T>(double(A(v) * A(1 / (1 - mask.rate)))) : 0;
}

/// A warp from its definition, in double. `margin` is how far the nearest decision (which pixel, cut or not) is from
/// being another: devices round differently.
struct Warped {
    Tensor<double, Cpu> y, dx;
    double margin = 1;
};

Warped by_definition(const Tensor<double, Cpu>& x, const Tensor<double, Cpu>& dy, const std::vector<op::Warp>& warps,
                     const op::WarpOptions& o) {
    const Shape s = x.shape();
    const Shape t{s.n, s.h, s.w, o.channels};
    Warped out{Tensor<double, Cpu>(t), zeros<double>(s)};
    struct Tap {
        std::int64_t row, column;
        double share;
    };
    const auto inside = [](double at, std::int64_t size) {
        return std::int64_t(std::clamp(at, 0.0, double(size - 1)));
    };
    for (std::int64_t n = 0; n < s.n; ++n) {
        const op::Warp& warp = warps[std::size_t(n)];
        const auto taps = [&](std::int64_t r, std::int64_t q) -> std::vector<Tap> {
            const double y = warp.matrix[0] * double(r) + warp.matrix[1] * double(q) + warp.offset[0];
            const double z = warp.matrix[2] * double(r) + warp.matrix[3] * double(q) + warp.offset[1];
            if (!o.bilinear) {
                for (const double v : {y + 0.5, z + 0.5})
                    out.margin = std::min(out.margin, std::abs(v - std::round(v)));
                return {{inside(std::floor(y + 0.5), s.h), inside(std::floor(z + 0.5), s.w), 1}};
            }
            const double top = std::floor(y), left = std::floor(z), fy = y - top, fz = z - left;
            std::vector<Tap> all;
            for (const int down : {0, 1})
                for (const int right : {0, 1})
                    all.push_back({inside(top + down, s.h), inside(left + right, s.w),
                                   (down ? fy : 1 - fy) * (right ? fz : 1 - fz)});
            return all;
        };
        const auto sampled = [&](std::int64_t r, std::int64_t q, int k) {
            double v = 0;
            for (const Tap& tap : taps(r, q)) v += tap.share * x.data()[s.at(n, tap.row, tap.column, s.c == 1 ? 0 : k)];
            return v;
        };
        double low = std::numeric_limits<double>::infinity(), high = -low;
        for (std::int64_t r = 0; r < s.h; ++r)
            for (std::int64_t q = 0; q < s.w; ++q)
                for (int k = 0; k < o.channels; ++k) {
                    low = std::min(low, sampled(r, q, k));
                    high = std::max(high, sampled(r, q, k));
                }
        const bool shifted = warp.shift != std::array<float, 3>{0, 0, 0};
        for (std::int64_t row = 0; row < s.h; ++row)
            for (std::int64_t column = 0; column < s.w; ++column)
                for (int k = 0; k < o.channels; ++k) {
                    const std::int64_t r = warp.flip_vertical ? s.h - 1 - row : row,
                                       q = warp.flip_horizontal ? s.w - 1 - column : column;
                    const std::size_t c = std::size_t(k);
                    double v = sampled(r, q, k) + double(warp.shift[c]);
                    const bool cut = shifted && (v < low || v > high);
                    if (shifted && warp.shift[c] != 0)
                        out.margin = std::min({out.margin, std::abs(v - low), std::abs(v - high)});
                    if (cut) v = std::clamp(v, low, high);
                    const auto at = t.at(n, row, column, k);
                    out.y.data()[at] = (v - double(o.mean[c])) * double(o.scale[c]);
                    if (cut) continue;
                    for (const Tap& tap : taps(r, q))
                        out.dx.data()[s.at(n, tap.row, tap.column, s.c == 1 ? 0 : k)] +=
                            tap.share * dy.data()[at] * double(o.scale[c]);
                }
    }
    return out;
}

/// Maps of all kinds: none, rotation, mirror, zoom either way, flat, far off.
std::vector<op::Warp> maps() {
    std::vector<op::Warp> all(8);
    all[1].matrix = {0.886326978, -0.298207121, 0.156283360, 1.058807118}, all[1].offset = {2.336516, -1.197679};
    all[2].matrix = {-0.97, 0.11, 0.05, 1.03}, all[2].offset = {9.27371, 0.12372};
    all[3].matrix = {3.17, 0.21, -0.33, 2.71}, all[3].offset = {-8.13411, -6.06173};
    all[4].matrix = {0.237, 0.031, -0.043, 0.289}, all[4].offset = {3.30037, 2.17059};
    all[5].matrix = {0.51, 1.02, 0.255, 0.51}, all[5].offset = {1.12337, 0.31741};
    all[6].offset = {500.21, -700.13};
    all[7].matrix = {0, 1, 1, 0}, all[7].offset = {0.2, -0.3};
    return all;
}

}  // namespace

TEMPLATE_TEST_CASE("dropout drops by the same mask on every device", "[op][kernels]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    for (const std::int64_t size : {0, 1, 3, 4, 5, 1001, 90000})
        for (const op::DropoutMask mask : {op::DropoutMask{0.3, 5, 6, 7}, op::DropoutMask{0.5, 1, 2, 1ull << 40},
                                           op::DropoutMask{0.999, ~0ull, 3, 0}, op::DropoutMask{0, 1, 2, 3}}) {
            CAPTURE(size, mask.rate);
            const Shape s = vector_shape(size);
            const Operand<T, D> x(s, 1);
            Tensor<double, Cpu> y(s);
            for (std::int64_t i = 0; i < size; ++i) y.data()[i] = dropped<T>(x[i], i, mask);
            CHECK(same_numbers(numbers(op::dropout(context, x.value, mask)), y));
            CHECK(written_error<T, D>(s, y, [&](auto& dx, Gradient mode) {
                      op::dropout_backward(context, x.value, mask, dx, mode);
                  }) <= tolerance<T>());
        }
    const op::DropoutMask mask{0.3, 5, 6, 7};
    const Operand<T, D> ones(full<double>({1, 300, 300, 1}, 1.0));
    const auto y = numbers(op::dropout(context, ones.value, mask));
    const double keep = rounded<T>(double(Accumulate<T>(1 / 0.7)));
    std::int64_t dropped = 0, wrong = 0;
    for (const double v : y.elements()) dropped += v == 0, wrong += v != 0 && v != keep;
    CHECK(wrong == 0);
    CHECK(std::abs(double(dropped) / 90000 - 0.3) < 0.006);
}

TEMPLATE_TEST_CASE("the warp agrees with its definition, forward and backward", "[op][kernels]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    struct Kind {
        int from;
        op::WarpOptions o;
    };
    const std::vector<Kind> kinds{{1, {.channels = 1}},
                                  {1, {.mean = {0.1f, -0.2f, 0.3f}, .scale = {1, 2, 0.5f}}},
                                  {3, {.mean = {0.1f, -0.2f, 0.3f}}},
                                  {2, {.channels = 2, .scale = {-1, 3, 1}}}};
    const std::vector<op::Warp> all = maps();
    for (const auto& [h, w] : {std::pair{9, 8}, std::pair{17, 23}, std::pair{1, 5}})
        for (Kind kind : kinds)
            for (const bool bilinear : {false, true})
                for (const bool shifted : {false, true})
                    for (const int flips : {0, 1}) {
                        kind.o.bilinear = bilinear;
                        std::vector<op::Warp> warps = all;
                        for (std::size_t i = 0; i < warps.size(); ++i) {
                            warps[i].flip_horizontal = (flips + int(i)) & 1,
                            warps[i].flip_vertical = (flips + int(i)) & 2;
                            if (shifted && i % 3) warps[i].shift = {0.31371f, -1.27113f, 0.05339f};
                        }
                        CAPTURE(h, w, kind.from, kind.o.channels, bilinear, shifted, flips);
                        const Shape s{int(warps.size()), h, w, kind.from};
                        const Operand<T, D> x(s, 1), dy({s.n, s.h, s.w, kind.o.channels}, 2);
                        const Warped r = by_definition(x.wide, dy.wide, warps, kind.o);
                        REQUIRE(r.margin > 1e-7);
                        CHECK(distance(op::affine_warp(context, x.value, warps, kind.o), r.y) <= tolerance<T>());
                        CHECK(written_error<T, D>(s, r.dx, [&](auto& dx, Gradient mode) {
                                  op::affine_warp_backward(context, x.value, dy.value, warps, kind.o, dx, mode);
                              }) <= tolerance<T>());
                    }
}

TEMPLATE_TEST_CASE("A10 the warp samples where the affine map points", "[op][kernels]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    const Shape s{1, 224, 224, 1};
    Tensor<double, Cpu> counting(s);
    for (std::int64_t i = 0; i < s.size(); ++i) counting.data()[i] = double(i);
    const Operand<T, D> x(counting);
    op::Warp warp;
    warp.matrix = {0.886326978, -0.298207121, 0.156283360, 1.058807118};
    warp.offset = {46.336516, -24.197679};
    const std::vector<op::Warp> warps{warp};
    const auto y = numbers(op::affine_warp(default_context<D>(), x.value, warps, {.channels = 1}));
    CHECK(y.data()[50 * 224 + 100] == x[61 * 224 + 89]);  // (60.832153, 89.497201)
    CHECK(y.data()[0] == x[46 * 224]);                    // (46.3, -24.2): the nearest edge column
}

TEMPLATE_TEST_CASE("the warp cuts at the image's own range, and flips", "[op][kernels]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    const Operand<T, D> x({2, 9, 8, 1}, 9);
    std::vector<op::Warp> plain(2);
    plain[0].shift = {20, -20, 0};
    const auto y = numbers(op::affine_warp(context, x.value, plain, {}));
    double low = 1e9, high = -1e9;
    for (int i = 0; i < 72; ++i) low = std::min(low, x[i]), high = std::max(high, x[i]);
    CHECK(y.data()[0] == high);
    CHECK(y.data()[1] == low);
    CHECK(y.data()[2] == x[0]);
    plain[1].flip_horizontal = plain[1].flip_vertical = true;
    const auto turned = numbers(op::affine_warp(context, x.value, plain, {.channels = 1}));
    for (int i = 0; i < 72; ++i) CHECK(turned.data()[72 + i] == x[72 + 71 - i]);
}
