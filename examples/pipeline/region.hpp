// pipeline/region.hpp: where a lesion is, and how much of it a window sees.
#pragma once
#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "pipeline/dataset.hpp"
#include "pipeline/image.hpp"

namespace holon::pipeline {

/// A set of pixels as a summed-area table, so that a window's share of it costs four look-ups.
class PixelSet {
 public:
    /// The pixels of rows x columns for which inside(row, column) holds.
    template <class Inside>
    PixelSet(int rows, int columns, Inside inside)
        : rows_(rows), columns_(columns), sums_(std::size_t(rows + 1) * std::size_t(columns + 1)) {
        for (int y = 0; y < rows; ++y) {
            std::int32_t row = 0;
            for (int x = 0; x < columns; ++x) {
                row += bool(inside(y, x));
                sums_[place(y + 1, x + 1)] = sums_[place(y, x + 1)] + row;
            }
        }
    }

    int rows() const { return rows_; }
    int columns() const { return columns_; }
    /// How many there are.
    std::int64_t area() const { return within(0, 0, rows_, columns_); }
    /// How many lie in rows [y0, y1) and columns [x0, x1), which may reach outside.
    std::int64_t within(int y0, int x0, int y1, int x1) const {
        y0 = std::clamp(y0, 0, rows_), y1 = std::clamp(y1, 0, rows_);
        x0 = std::clamp(x0, 0, columns_), x1 = std::clamp(x1, 0, columns_);
        if (y0 >= y1 || x0 >= x1) return 0;
        return sums_[place(y1, x1)] - sums_[place(y0, x1)] - sums_[place(y1, x0)] + sums_[place(y0, x0)];
    }
    bool holds(int row, int column) const { return within(row, column, row + 1, column + 1) > 0; }

 private:
    std::size_t place(int y, int x) const { return std::size_t(y) * std::size_t(columns_ + 1) + std::size_t(x); }

    int rows_, columns_;
    std::vector<std::int32_t> sums_;
};

/// The pixels of a lesion, and where a window's centre is drawn from.
class Region : public PixelSet {
 public:
    /// All pixels of a box that lie inside rows x columns.
    Region(int rows, int columns, Box box)
        : PixelSet(rows, columns, [&](int y, int x) { return y >= box.y0 && y < box.y1 && x >= box.x0 && x < box.x1; }),
          box_{std::max(box.x0, 0), std::max(box.y0, 0), std::min(box.x1, columns), std::min(box.y1, rows)},
          centre_row_((box_.y0 + box_.y1) / 2),
          centre_column_((box_.x0 + box_.x1) / 2) {}
    /// The pixels above 0 of a mask. Box and centre are those of its largest connected part (8 neighbours).
    explicit Region(const Image& mask)
        : PixelSet(mask.rows, mask.columns, [&](int y, int x) { return mask.at(y, x) > 0; }) {
        std::vector<std::uint8_t> left(mask.pixels.size());
        std::transform(mask.pixels.begin(), mask.pixels.end(), left.begin(), [](int pixel) { return pixel > 0; });
        find_largest(std::move(left));
    }

    /// Bounding box of the largest part; empty if there are no pixels.
    const Box& box() const { return box_; }
    /// Centroid of the largest part, to the nearest pixel.
    int centre_row() const { return centre_row_; }
    int centre_column() const { return centre_column_; }

 private:
    void find_largest(std::vector<std::uint8_t> left) {
        std::size_t most = 0;
        std::vector<std::size_t> stack;
        for (std::size_t seed = 0; seed < left.size(); ++seed) {
            if (!left[seed]) continue;
            std::size_t count = 0;
            double row = 0, column = 0;
            Box box{columns(), rows(), 0, 0};
            left[seed] = 0;
            stack.push_back(seed);
            while (!stack.empty()) {
                const int y = int(stack.back() / std::size_t(columns())),
                          x = int(stack.back() % std::size_t(columns()));
                stack.pop_back();
                ++count;
                row += y, column += x;
                box = {std::min(box.x0, x), std::min(box.y0, y), std::max(box.x1, x + 1), std::max(box.y1, y + 1)};
                for (int v = std::max(0, y - 1); v <= std::min(rows() - 1, y + 1); ++v)
                    for (int u = std::max(0, x - 1); u <= std::min(columns() - 1, x + 1); ++u) {
                        const std::size_t next = std::size_t(v) * std::size_t(columns()) + std::size_t(u);
                        if (!left[next]) continue;
                        left[next] = 0;
                        stack.push_back(next);
                    }
            }
            if (count > most) {
                most = count;
                box_ = box;
                centre_row_ = int(row / double(count) + 0.5);
                centre_column_ = int(column / double(count) + 0.5);
            }
        }
    }

    Box box_;
    int centre_row_ = 0, centre_column_ = 0;
};

}  // namespace holon::pipeline
