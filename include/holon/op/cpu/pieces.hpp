// op/cpu/pieces.hpp: a convolution cut into pieces that fit in the cache: some of its images, or a band of rows of one.
#pragma once
#include <algorithm>
#include <vector>

#include <holon/op/geometry.hpp>

namespace holon::op::cpu {

/// Rows of y of some images, and the rows of x that they see, as a convolution of its own: `options` have the padding
/// that is left at its top and bottom. Where `x_rows` is 0, all that these rows of y see is padding.
struct Piece {
    std::int64_t image = 0, images = 1;
    std::int64_t y_row = 0, y_rows = 0;
    std::int64_t x_row = 0, x_rows = 0;
    Conv2dOptions options;

    Shape x(const Shape& whole) const { return {images, x_rows, whole.w, whole.c}; }
    Shape y(const Shape& whole) const { return {images, y_rows, whole.w, whole.c}; }
};

/// Rows that a window spans.
constexpr std::int64_t reach(const Conv2dOptions& o) { return std::int64_t(o.dilation.h) * (o.kernel.h - 1) + 1; }

/// The first row of x, its padding counted as negative rows, that row `y_row` of y sees.
constexpr std::int64_t first_seen(const Conv2dOptions& o, std::int64_t y_row) {
    return y_row * o.stride.h - o.padding.top;
}

/// Rows `y_row` to `y_row + y_rows` of one image.
inline Piece band(const Shape& x, const Conv2dOptions& o, std::int64_t image, std::int64_t y_row, std::int64_t y_rows) {
    const std::int64_t begin = first_seen(o, y_row), end = first_seen(o, y_row + y_rows - 1) + reach(o);
    const std::int64_t first = std::clamp<std::int64_t>(begin, 0, x.h),
                       last = std::clamp<std::int64_t>(end, first, x.h);
    Piece piece{image, 1, y_row, y_rows, first, last - first, o};
    piece.options.padding.top = int(first - begin);
    piece.options.padding.bottom = int(end - last);
    return piece;
}

/// The pieces of a convolution of images x, in the order of their images and rows, of equal sizes but for the last.
/// Those of x and y together have at most `numbers` numbers, or are a single image of one row of y, with the rows that
/// this one sees.
inline std::vector<Piece> pieces(const Shape& x, const Conv2dOptions& o, std::int64_t numbers) {
    std::vector<Piece> all;
    const Shape y = conv2d_shape(x, o);
    if (x.n == 0) return all;
    const auto equal = [](std::int64_t count, std::int64_t at_most) {
        const std::int64_t parts = (count + at_most - 1) / at_most;
        return (count + parts - 1) / parts;
    };
    const std::int64_t x_row = x.w * x.c, y_row = y.w * y.c, image = x.h * x_row + y.h * y_row;
    if (image <= numbers || y.h == 1) {
        const std::int64_t images = equal(x.n, std::max<std::int64_t>(1, numbers / std::max<std::int64_t>(1, image)));
        for (std::int64_t n = 0; n < x.n; n += images) all.push_back({n, std::min(images, x.n - n), 0, y.h, 0, x.h, o});
    } else {
        // h rows of y see (h - 1) * stride + reach of x.
        const std::int64_t left = numbers - (reach(o) - o.stride.h) * x_row;
        const std::int64_t rows = equal(y.h, std::clamp<std::int64_t>(left / (o.stride.h * x_row + y_row), 1, y.h));
        for (std::int64_t n = 0; n < x.n; ++n)
            for (std::int64_t h = 0; h < y.h; h += rows) all.push_back(band(x, o, n, h, std::min(rows, y.h - h)));
    }
    return all;
}

}  // namespace holon::op::cpu
