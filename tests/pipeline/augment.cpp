// pipeline/augment.cpp: the augmentation's affine map against the paper's numbers, its draws, and what they do to
// pixels.
#include "pipeline/augment.hpp"

#include <algorithm>
#include <vector>

#include <holon/op/cpu/affine_warp.hpp>

#include "support/catch.hpp"

using namespace holon;
using namespace holon::pipeline;

namespace {

using Matrix3 = std::array<std::array<double, 3>, 3>;

Matrix3 operator*(const Matrix3& a, const Matrix3& b) {
    Matrix3 c{};
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j)
            for (int k = 0; k < 3; ++k) c[i][j] += a[i][k] * b[k][j];
    return c;
}

/// Shift to the centre, zoom, shear, rotate, shift back: each step a matrix, as the paper's program composes them.
Matrix3 composed(int h, int w, double theta, double shear, double zr, double zc) {
    const double t = theta * std::acos(-1.0) / 180, y = h / 2.0 + 0.5, x = w / 2.0 + 0.5;
    const Matrix3 there{{{1, 0, y}, {0, 1, x}, {0, 0, 1}}}, back{{{1, 0, -y}, {0, 1, -x}, {0, 0, 1}}};
    const Matrix3 rotate{{{std::cos(t), -std::sin(t), 0}, {std::sin(t), std::cos(t), 0}, {0, 0, 1}}};
    const Matrix3 sheared{{{1, -std::sin(shear), 0}, {0, std::cos(shear), 0}, {0, 0, 1}}};
    const Matrix3 zoomed{{{zr, 0, 0}, {0, zc, 0}, {0, 0, 1}}};
    return there * rotate * sheared * zoomed * back;
}

/// h x w grey -> h x w x 3: nearest pixel of the composed map, held at the edge; shift and clip by the warped image's
/// own range; then mirrored. `unsure` marks pixels whose source is a tie between two, which a last bit decides.
std::vector<float> naive(const std::vector<float>& grey, int h, int w, const Matrix3& m,
                         const std::array<float, 3>& shift, bool horizontal, bool vertical, std::vector<bool>& unsure) {
    std::vector<float> warped(grey.size());
    std::vector<bool> tie(grey.size());
    for (int r = 0; r < h; ++r)
        for (int c = 0; c < w; ++c) {
            const double y = m[0][0] * r + m[0][1] * c + m[0][2], x = m[1][0] * r + m[1][1] * c + m[1][2];
            const int row = std::clamp(int(std::floor(y + 0.5)), 0, h - 1),
                      column = std::clamp(int(std::floor(x + 0.5)), 0, w - 1);
            const auto close = [](double v) { return std::abs(v - std::floor(v) - 0.5) < 1e-9; };
            tie[std::size_t(r * w + c)] = close(y) || close(x);
            warped[std::size_t(r * w + c)] = grey[std::size_t(row * w + column)];
        }
    const auto [low, high] = std::minmax_element(warped.begin(), warped.end());
    std::vector<float> out(grey.size() * 3);
    unsure.assign(out.size(), false);
    for (int r = 0; r < h; ++r)
        for (int c = 0; c < w; ++c)
            for (int k = 0; k < 3; ++k) {
                const std::size_t from = std::size_t((vertical ? h - 1 - r : r) * w + (horizontal ? w - 1 - c : c));
                const std::size_t to = std::size_t((r * w + c) * 3 + k);
                out[to] = std::clamp(warped[from] + shift[std::size_t(k)], *low, *high);
                unsure[to] = tie[from];
            }
    return out;
}

}  // namespace

TEST_CASE("A10 the affine map of rotation, shear and zoom about Keras's centre", "[pipeline]") {
    struct Row {
        int h, w;
        double theta, shear, zr, zc;
        std::array<double, 4> matrix;
        std::array<double, 2> at_origin, at_50_100;
    };
    const std::vector<Row> table{
        {224,
         224,
         10,
         0.1,
         0.9,
         1.1,
         {0.886326978, -0.298207121, 0.156283360, 1.058807118},
         {46.336516, -24.197679},
         {60.832153, 89.497201}},
        {1152,
         896,
         -20,
         0.15,
         1.2,
         0.85,
         {1.127631145, 0.168090658, -0.410424172, 0.833213977},
         {-148.968015, 311.413067},
         {-75.777392, 374.213256}},
        {224, 224, 90, 0, 1, 1, {0, -1, 1, 0}, {225, 0}, {125, 50}},
    };
    for (const Row& row : table) {
        INFO("theta " << row.theta);
        const AffineMap map = affine_map(row.h, row.w, row.theta, row.shear, row.zr, row.zc);
        for (std::size_t i = 0; i < 4; ++i) CHECK(std::abs(map.matrix[i] - row.matrix[i]) < 1e-9);
        for (std::size_t i = 0; i < 2; ++i) {
            CHECK(std::abs(map.offset[i] - row.at_origin[i]) < 1e-6);
            const double there = map.matrix[2 * i] * 50 + map.matrix[2 * i + 1] * 100 + map.offset[i];
            CHECK(std::abs(there - row.at_50_100[i]) < 1e-6);
        }
    }
    // The centre stays where it is, whatever turns around it.
    const AffineMap map = affine_map(11, 8, 17, -0.1, 0.85, 1.15);
    CHECK(std::abs(map.matrix[0] * 6 + map.matrix[1] * 4.5 + map.offset[0] - 6) < 1e-12);
    CHECK(std::abs(map.matrix[2] * 6 + map.matrix[3] * 4.5 + map.offset[1] - 4.5) < 1e-12);
}

TEST_CASE("a warp is drawn as rotation, shear, zooms, shifts, flips, in this order", "[pipeline]") {
    const AugmentOptions options{.rotation = 13, .shear = 0.3, .zoom = 0.1, .channel_shift = 7};
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        Random one(seed, 2), two(seed, 2);
        const op::Warp warp = draw_warp(224, 160, one, options);
        const double theta = two.uniform(-13, 13), shear = two.uniform(-0.3, 0.3);
        const double zr = two.uniform(0.9, 1.1), zc = two.uniform(0.9, 1.1);
        const Matrix3 m = composed(224, 160, theta, shear, zr, zc);
        for (std::size_t i = 0; i < 2; ++i) {
            CHECK(std::abs(warp.matrix[2 * i] - m[i][0]) < 1e-12);
            CHECK(std::abs(warp.matrix[2 * i + 1] - m[i][1]) < 1e-12);
            CHECK(std::abs(warp.offset[i] - m[i][2]) < 1e-9);
        }
        for (const float shift : warp.shift) CHECK(shift == float(two.uniform(-7, 7)));
        CHECK(warp.flip_horizontal == (two.uniform() < 0.5));
        CHECK(warp.flip_vertical == (two.uniform() < 0.5));
        CHECK(one.position() == two.position());
    }
}

TEST_CASE("draws keep to the paper's ranges and use all of them", "[pipeline]") {
    Random random(3, 3);
    const int count = 4000;
    double least = 1e9, most = -1e9, area_least = 1e9, area_most = 0;
    std::array<int, 4> flips{};
    for (int i = 0; i < count; ++i) {
        const op::Warp warp = draw_warp(224, 224, random);
        // R keeps lengths and S only bends columns, so the first column of the matrix is zr long and turned by theta.
        const double zr = std::hypot(warp.matrix[0], warp.matrix[2]);
        const double theta = std::atan2(warp.matrix[2], warp.matrix[0]) * 180 / std::acos(-1.0);
        const double determinant =
            warp.matrix[0] * warp.matrix[3] - warp.matrix[1] * warp.matrix[2];  // zr zc cos(shear)
        REQUIRE((zr >= 0.8 && zr <= 1.2));
        REQUIRE((theta >= -25 && theta <= 25));
        REQUIRE((determinant >= 0.64 * std::cos(0.2) && determinant <= 1.44));
        for (const float shift : warp.shift) REQUIRE(std::abs(shift) <= 20);
        least = std::min(least, theta), most = std::max(most, theta);
        area_least = std::min(area_least, determinant), area_most = std::max(area_most, determinant);
        ++flips[std::size_t(2 * warp.flip_vertical + warp.flip_horizontal)];
    }
    CHECK(least < -24.5);
    CHECK(most > 24.5);
    CHECK(area_least < 0.7);
    CHECK(area_most > 1.35);
    for (const int each : flips) CHECK(std::abs(each - count / 4) < 140);  // five deviations of a binomial
}

TEST_CASE("nothing asked for is the identity, and no flips leave the other draws alone", "[pipeline]") {
    Random random(4, 4), other(4, 4);
    const op::Warp still =
        draw_warp(33, 50, random, {.rotation = 0, .shear = 0, .zoom = 0, .channel_shift = 0, .flips = false});
    CHECK(still.matrix == op::Warp().matrix);
    CHECK(still.offset == op::Warp().offset);
    CHECK(still.shift == op::Warp().shift);
    CHECK_FALSE(still.flip_horizontal);
    CHECK_FALSE(still.flip_vertical);
    for (int i = 0; i < 8; ++i) {
        Random one(5, std::uint64_t(i)), two(5, std::uint64_t(i));
        const op::Warp with = draw_warp(33, 50, one), without = draw_warp(33, 50, two, {.flips = false});
        CHECK(with.matrix == without.matrix);
        CHECK(with.shift == without.shift);
        CHECK_FALSE(without.flip_horizontal);
        CHECK_FALSE(without.flip_vertical);
        CHECK(one.position() == two.position());
    }
}

TEST_CASE("a drawn warp does to pixels what the paper's steps do one by one", "[pipeline]") {
    const int h = 37, w = 29;
    Tensor<float, Cpu> x({1, h, w, 1});
    std::vector<float> grey;
    Random pixels(6, 6);
    for (float& v : x.elements()) grey.push_back(v = float(pixels.uniform(0, 255)));
    int four_flips = 0;
    for (std::uint64_t seed = 0; seed < 24; ++seed) {
        Random one(seed, 7), two(seed, 7);
        const std::vector<op::Warp> warps{draw_warp(h, w, one)};
        const double theta = two.uniform(-25, 25), shear = two.uniform(-0.2, 0.2);
        const double zr = two.uniform(0.8, 1.2), zc = two.uniform(0.8, 1.2);
        std::vector<bool> unsure;
        const auto expected = naive(grey, h, w, composed(h, w, theta, shear, zr, zc), warps[0].shift,
                                    warps[0].flip_horizontal, warps[0].flip_vertical, unsure);
        const auto y = op::affine_warp(x.context(), x, warps, {});
        REQUIRE(y.shape() == Shape({1, h, w, 3}));
        int wrong = 0;
        for (std::size_t i = 0; i < expected.size(); ++i)
            wrong += !unsure[i] && std::abs(y.data()[i] - expected[i]) > 1e-4f;
        CHECK(wrong == 0);
        four_flips |= 1 << (2 * warps[0].flip_vertical + warps[0].flip_horizontal);
    }
    CHECK(four_flips == 15);  // each of the four was seen
}
