// pipeline/resize.cpp: the laws that a resized image obeys.
#include "pipeline/resize.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "pipeline/pictures.hpp"
#include "support/catch.hpp"

using namespace holon::pipeline;
using pictures::ramp;

namespace {

/// The share of input pixel j that output pixel i covers, straight from the definition.
double covered(int i, int j, int in, int out) {
    const double scale = double(in) / out;
    return std::max(0.0, std::min((i + 1) * scale, j + 1.0) - std::max(i * scale, double(j))) / scale;
}

/// A linear interpolation's weight of input pixel j, centres at 0.5.
double between(int i, int j, int in, int out) {
    const double place = std::clamp((i + 0.5) * in / out - 0.5, 0.0, in - 1.0);
    return std::max(0.0, 1 - std::abs(place - j));
}

double weight(int i, int j, int in, int out) { return out <= in ? covered(i, j, in, out) : between(i, j, in, out); }

}  // namespace

TEST_CASE("resize agrees with its definition in doubles", "[pipeline]") {
    const Image image = ramp(13, 9, 5741);
    for (const auto& [rows, columns] :
         std::vector<std::pair<int, int>>{{5, 4}, {1, 1}, {13, 3}, {26, 18}, {7, 20}, {20, 7}, {12, 8}, {14, 10}}) {
        const Image out = resize(image, rows, columns);
        REQUIRE(out.rows == rows);
        REQUIRE(out.columns == columns);
        for (int r = 0; r < rows; ++r)
            for (int c = 0; c < columns; ++c) {
                double sum = 0;
                for (int y = 0; y < 13; ++y)
                    for (int x = 0; x < 9; ++x)
                        sum += weight(r, y, 13, rows) * weight(c, x, 9, columns) * image.at(y, x);
                INFO(rows << 'x' << columns << " at " << r << ", " << c);
                REQUIRE(std::abs(out.at(r, c) - sum) <= 0.5 + 1e-6);
            }
    }
}

TEST_CASE("resize keeps a copy, a constant and the mean", "[pipeline]") {
    const Image image = ramp(60, 42, 991);
    CHECK(resize(image, 60, 42).pixels == image.pixels);
    for (const int level : {0, 1, 32767, 65535})
        for (const int size : {1, 7, 60, 61, 200}) {
            const Image flat = resize(Image(60, 42, std::uint16_t(level)), size, size);
            CHECK(std::all_of(flat.pixels.begin(), flat.pixels.end(), [&](int p) { return p == level; }));
        }
    const auto mean = [](const Image& i) {
        return std::accumulate(i.pixels.begin(), i.pixels.end(), 0.0) / double(i.pixels.size());
    };
    for (const int size : {5, 17, 41}) CHECK(std::abs(mean(resize(image, size, size)) - mean(image)) < 0.5);
}

TEST_CASE("the largest and the smallest sizes do not overflow", "[pipeline]") {
    CHECK(resize(Image(32768, 1, 65535), 3, 1).pixels == std::vector<std::uint16_t>(3, 65535));
    CHECK(resize(Image(1, 1, 65535), 32768, 1).pixels == std::vector<std::uint16_t>(32768, 65535));
    CHECK(resize(Image(1, 32768, 65535), 1, 32767).pixels == std::vector<std::uint16_t>(32767, 65535));
    for (const auto& [rows, columns] : std::vector<std::pair<int, int>>{{0, 4}, {4, 0}, {-1, 4}, {4, 32769}})
        CHECK(scratch::refusal([&, r = rows, c = columns] { resize(ramp(3, 3), r, c); }).find("1 to 32768") !=
              std::string::npos);
    CHECK(scratch::refusal([] { resize(Image(), 4, 4); }).find("0x0") != std::string::npos);
}

TEST_CASE("nearest gives no value that was not there", "[pipeline]") {
    const Image image = ramp(3, 2, 1);
    CHECK(resize_nearest(image, 3, 2).pixels == image.pixels);
    CHECK(resize_nearest(image, 6, 2).pixels == std::vector<std::uint16_t>{0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 4, 5});
    CHECK(resize_nearest(image, 1, 1).pixels == std::vector<std::uint16_t>{3});
    CHECK(resize_nearest(ramp(1, 9, 1), 1, 3).pixels == std::vector<std::uint16_t>{1, 4, 7});
}
