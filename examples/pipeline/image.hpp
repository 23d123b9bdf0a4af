// pipeline/image.hpp: one grey plane, always on the 16-bit scale, so that 8- and 16-bit files meet without loss.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace holon::pipeline {

/// Grey pixels 0..65535, row-major from the top left. An 8-bit file's v is held as 257 v, which `grey255` undoes exactly.
struct Image {
    int rows = 0, columns = 0;
    std::vector<std::uint16_t> pixels;

    Image() = default;
    Image(int rows_, int columns_, std::uint16_t fill = 0)
        : rows(rows_), columns(columns_), pixels(std::size_t(rows_) * std::size_t(columns_), fill) {}

    std::uint16_t& at(int row, int column) { return pixels[std::size_t(row) * columns + column]; }
    std::uint16_t at(int row, int column) const { return pixels[std::size_t(row) * columns + column]; }
};

/// The paper's grey scale, 0..255, from 16 bits.
inline float grey255(std::uint16_t value) { return float(value) * (255.0f / 65535.0f); }

}  // namespace holon::pipeline
