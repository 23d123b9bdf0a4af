// pipeline/pgm.hpp: binary PGM (P5), the form in which mini-MIAS is distributed.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "pipeline/image.hpp"

namespace holon::pipeline {

struct PgmHeader {
    std::uint32_t columns = 0, rows = 0, maximum = 0;
    std::size_t pixels_at = 0;  ///< the byte where the pixels begin
};

/// The header, with comments passed over; `bytes` may end anywhere after it. Throws `DataError`.
PgmHeader pgm_header(const std::string& path, std::string_view bytes);

/// The pixels, one byte each where the maximum is below 256, else two, the high one first (netpbm's pgm(5)), held as
/// 65535 value / maximum, rounded: 257 v for 8 bits, v for 16. Throws `DataError` for a value above the maximum, for
/// pixels that are missing, and for more than white space after them: then the header is not this file's.
Image pgm_pixels(const std::string& path, std::string_view bytes, const PgmHeader& header);

}  // namespace holon::pipeline
