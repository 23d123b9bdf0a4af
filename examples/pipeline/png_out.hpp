// pipeline/png_out.hpp: grey and colour PNG files for phantoms, prepared images and overlays.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/image.hpp"

namespace holon::pipeline {

/// 16-bit grey: `read_image` gives back every value. All three throw `DataError` where the file cannot be written
/// whole; what stood there before then stays.
void write_png16(const std::string& path, const Image& image);

/// 8-bit grey, rounded to the nearest of 256 levels; what came from 8 bits is kept exactly.
void write_png8(const std::string& path, const Image& image);

/// 8-bit colour; `rgb` has rows x columns x 3 values, row-major from the top left.
void write_png_rgb8(const std::string& path, int rows, int columns, const std::vector<std::uint8_t>& rgb);

}  // namespace holon::pipeline
