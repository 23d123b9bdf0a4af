// pipeline/resize.cpp: the weights of each axis as integers over one denominator.
#include "pipeline/resize.hpp"

#include <algorithm>

#include <holon/core/error.hpp>

namespace holon::pipeline {
namespace {

/// Output i is the sum of weights[first[i] .. first[i+1]) over inputs from[i] on, divided by `denominator`.
struct Axis {
    std::vector<int> from;
    std::vector<std::size_t> first;
    std::vector<std::uint32_t> weights;
    std::uint32_t denominator = 1;
};

/// Output i covers [i in, (i+1) in) and input j covers [j out, (j+1) out), both in units of 1/out of an input pixel.
Axis area(std::int64_t in, std::int64_t out) {
    Axis axis;
    axis.denominator = std::uint32_t(in);
    for (std::int64_t i = 0; i < out; ++i) {
        const std::int64_t begin = i * in, end = begin + in;
        axis.from.push_back(int(begin / out));
        axis.first.push_back(axis.weights.size());
        for (std::int64_t j = begin / out; j * out < end; ++j)
            axis.weights.push_back(std::uint32_t(std::min(end, (j + 1) * out) - std::max(begin, j * out)));
    }
    axis.first.push_back(axis.weights.size());
    return axis;
}

/// The centre of output i lies at ((2i+1) in - out) / (2 out) in units of input pixels, counted from the first's
/// centre.
Axis bilinear(std::int64_t in, std::int64_t out) {
    Axis axis;
    axis.denominator = std::uint32_t(2 * out);
    for (std::int64_t i = 0; i < out; ++i) {
        const std::int64_t place = std::clamp((2 * i + 1) * in - out, std::int64_t(0), 2 * out * (in - 1));
        const std::int64_t below = std::min(place / (2 * out), std::max<std::int64_t>(in - 2, 0));
        const std::int64_t part = place - below * 2 * out;
        axis.from.push_back(int(below));
        axis.first.push_back(axis.weights.size());
        axis.weights.push_back(std::uint32_t(2 * out - part));
        if (in > 1) axis.weights.push_back(std::uint32_t(part));
    }
    axis.first.push_back(axis.weights.size());
    return axis;
}

Axis axis_of(int in, int out) { return out <= in ? area(in, out) : bilinear(in, out); }

void check(const Image& image, int rows, int columns) {
    constexpr int longest = 32768;  // so that the sums below fit: 65535 x 2 x 32768 < 2^32
    expects<DataError>(image.rows > 0 && image.columns > 0 && image.rows <= longest && image.columns <= longest &&
                           image.pixels.size() == std::size_t(image.rows) * std::size_t(image.columns),
                       "resize: an image of ", image.rows, 'x', image.columns, " with ", image.pixels.size(),
                       " pixels");
    expects<DataError>(rows > 0 && columns > 0 && rows <= longest && columns <= longest, "resize: to ", rows, 'x',
                       columns, "; 1 to ", longest, " a side are possible");
}

}  // namespace

Image resize(const Image& image, int rows, int columns) {
    check(image, rows, columns);
    if (rows == image.rows && columns == image.columns) return image;
    const Axis down = axis_of(image.rows, rows), across = axis_of(image.columns, columns);
    const std::uint64_t denominator = std::uint64_t(down.denominator) * across.denominator;
    const std::size_t width = std::size_t(image.columns);

    Image out(rows, columns);
    std::vector<std::uint32_t> sums(width);
    for (int r = 0; r < rows; ++r) {
        std::fill(sums.begin(), sums.end(), 0u);
        const std::uint16_t* row = image.pixels.data() + std::size_t(down.from[std::size_t(r)]) * width;
        for (std::size_t k = down.first[std::size_t(r)]; k < down.first[std::size_t(r) + 1]; ++k, row += width)
            for (std::size_t c = 0; c < width; ++c) sums[c] += down.weights[k] * row[c];
        for (int c = 0; c < columns; ++c) {
            const std::uint32_t* sum = sums.data() + across.from[std::size_t(c)];
            std::uint64_t total = denominator / 2;
            for (std::size_t k = across.first[std::size_t(c)]; k < across.first[std::size_t(c) + 1]; ++k)
                total += std::uint64_t(across.weights[k]) * *sum++;
            out.at(r, c) = std::uint16_t(total / denominator);
        }
    }
    return out;
}

Image resize_nearest(const Image& image, int rows, int columns) {
    check(image, rows, columns);
    const auto source = [](int i, int in, int out) {
        return int((2 * std::int64_t(i) + 1) * in / (2 * std::int64_t(out)));
    };
    Image out(rows, columns);
    for (int r = 0; r < rows; ++r)
        for (int c = 0; c < columns; ++c)
            out.at(r, c) = image.at(source(r, image.rows, rows), source(c, image.columns, columns));
    return out;
}

}  // namespace holon::pipeline
