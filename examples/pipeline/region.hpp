// pipeline/region.hpp: where a lesion is, and how much of it a window sees.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "pipeline/dataset.hpp"
#include "pipeline/image.hpp"

namespace holon::pipeline {

/// A set of pixels with a summed-area table, so that a window's share of it costs four look-ups.
class Region {
 public:
    /// All pixels of a box that lie inside rows x columns.
    Region(int rows, int columns, Box box) : rows_(rows), columns_(columns) {
        std::vector<std::uint8_t> inside(std::size_t(rows) * std::size_t(columns));
        box = {std::max(box.x0, 0), std::max(box.y0, 0), std::min(box.x1, columns), std::min(box.y1, rows)};
        for (int y = box.y0; y < box.y1; ++y)
            for (int x = box.x0; x < box.x1; ++x) inside[std::size_t(y) * std::size_t(columns) + std::size_t(x)] = 1;
        sum_up(inside);
        largest_ = box;
        centre_row_ = (box.y0 + box.y1) / 2;
        centre_column_ = (box.x0 + box.x1) / 2;
    }
    /// The pixels above 0 of a mask. Box and centre are those of its largest connected part (8 neighbours).
    explicit Region(const Image& mask) : rows_(mask.rows), columns_(mask.columns) {
        std::vector<std::uint8_t> inside(mask.pixels.size());
        for (std::size_t i = 0; i < inside.size(); ++i) inside[i] = mask.pixels[i] > 0;
        sum_up(inside);
        find_largest(std::move(inside));
    }

    std::int64_t area() const { return within(0, 0, rows_, columns_); }
    /// Pixels of the region in rows [y0, y1) and columns [x0, x1), which may lie outside of the image.
    std::int64_t within(int y0, int x0, int y1, int x1) const {
        y0 = std::clamp(y0, 0, rows_), y1 = std::clamp(y1, 0, rows_);
        x0 = std::clamp(x0, 0, columns_), x1 = std::clamp(x1, 0, columns_);
        return y0 >= y1 || x0 >= x1 ? 0 : at(y1, x1) - at(y0, x1) - at(y1, x0) + at(y0, x0);
    }
    const Box& box() const { return largest_; }
    int centre_row() const { return centre_row_; }
    int centre_column() const { return centre_column_; }

 private:
    std::int64_t at(int y, int x) const { return sums_[std::size_t(y) * std::size_t(columns_ + 1) + std::size_t(x)]; }
    void sum_up(const std::vector<std::uint8_t>& inside) {
        sums_.assign(std::size_t(rows_ + 1) * std::size_t(columns_ + 1), 0);
        for (int y = 0; y < rows_; ++y) {
            std::int32_t row = 0;
            for (int x = 0; x < columns_; ++x) {
                row += inside[std::size_t(y) * std::size_t(columns_) + std::size_t(x)];
                sums_[std::size_t(y + 1) * std::size_t(columns_ + 1) + std::size_t(x + 1)] = std::int32_t(at(y, x + 1)) + row;
            }
        }
    }
    void find_largest(std::vector<std::uint8_t> left) {
        std::size_t most = 0;
        std::vector<std::size_t> stack;
        for (std::size_t seed = 0; seed < left.size(); ++seed) {
            if (!left[seed]) continue;
            std::size_t count = 0;
            double row = 0, column = 0;
            Box box{columns_, rows_, 0, 0};
            left[seed] = 0;
            stack.push_back(seed);
            while (!stack.empty()) {
                const int y = int(stack.back() / std::size_t(columns_)), x = int(stack.back() % std::size_t(columns_));
                stack.pop_back();
                ++count;
                row += y, column += x;
                box = {std::min(box.x0, x), std::min(box.y0, y), std::max(box.x1, x + 1), std::max(box.y1, y + 1)};
                for (int v = std::max(0, y - 1); v <= std::min(rows_ - 1, y + 1); ++v)
                    for (int u = std::max(0, x - 1); u <= std::min(columns_ - 1, x + 1); ++u) {
                        const std::size_t next = std::size_t(v) * std::size_t(columns_) + std::size_t(u);
                        if (!left[next]) continue;
                        left[next] = 0;
                        stack.push_back(next);
                    }
            }
            if (count > most) {
                most = count;
                largest_ = box;
                centre_row_ = int(row / double(count) + 0.5);
                centre_column_ = int(column / double(count) + 0.5);
            }
        }
    }

    int rows_, columns_;
    std::vector<std::int32_t> sums_;
    Box largest_;
    int centre_row_ = 0, centre_column_ = 0;
};

}  // namespace holon::pipeline
