// pipeline/decode.hpp: a picture file becomes one grey plane, or a sentence that says why not.
#pragma once
#include <string>

#include "pipeline/image.hpp"

namespace holon::pipeline {

/// Reads PNG (1 to 16 bits), JPEG (8 bits) and binary PGM; the content decides which, not the name. Values keep every
/// bit: 16-bit grey as it is, 8-bit v as 257 v.
///
/// Colour is accepted only where it is grey stored as colour: all three channels equal in every pixel, exactly (a JPEG
/// of grey has no chroma at all, so this holds for it too), a palette counts by the colours it gives; alpha must be
/// opaque everywhere. Anything else would need a choice of what grey means.
///
/// Throws `DataError` for what cannot be read or is not a whole, undamaged picture of that kind: a PNG without IEND or
/// with a wrong checksum, a JPEG that does not end with its EOI marker or lacks its tables, a side of 0 or above 32768,
/// more than 2^28 pixels.
Image read_image(const std::string& path);

struct ImageHeader {
    int rows = 0, columns = 0;
};

/// The size that a picture declares, from its first bytes; refuses kinds and sizes that `read_image` refuses.
ImageHeader probe_image(const std::string& path);

}  // namespace holon::pipeline
