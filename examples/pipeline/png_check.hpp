// pipeline/png_check.hpp: what a PNG file promises about itself, checked: stb_image reads past a wrong checksum.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace holon::pipeline {

inline constexpr std::string_view png_signature("\x89PNG\r\n\x1a\n", 8);

struct PngSize {
    std::uint32_t columns = 0, rows = 0;
};

/// The size in the IHDR chunk, which must come first (PNG specification, 3rd edition, 11.2.1). Throws `DataError`.
PngSize png_size(const std::string& path, std::string_view bytes);

/// Walks over all chunks. Throws `DataError` for a file that is cut off, that has no IEND, or in which the CRC-32 of a
/// chunk is not that of its bytes; the sentence has the chunk and its place in the file.
void check_png(const std::string& path, std::string_view bytes);

}  // namespace holon::pipeline
