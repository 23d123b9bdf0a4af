// pipeline/jpeg_check.hpp: what a JPEG file says of itself before it is decoded, and whether it is all there.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holon::pipeline {

/// The frame header (ITU T.81, B.2.2).
struct JpegFrame {
    int bits = 0;  ///< a sample
    std::uint32_t columns = 0, rows = 0;
};

/// The first frame header; nothing if `bytes` end before it. Throws `DataError` for what is no sequence of segments,
/// and for a frame that is not Huffman-coded, lossy and of 8 bits: lossless and 12-bit JPEG are met inside DICOM files.
std::optional<JpegFrame> jpeg_frame(const std::string& path, std::string_view bytes);

/// Throws `DataError` unless the file ends with the end-of-image marker, zeros after it aside, and has quantisers and
/// Huffman codes before its first scan (without the one rows are missing, without the others it is all grey, and
/// decoders say nothing of either), and for Huffman tables of impossible lengths.
void check_jpeg(const std::string& path, std::string_view bytes);

}  // namespace holon::pipeline
