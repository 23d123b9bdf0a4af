// pipeline/jpeg_check.cpp: from marker to marker.
#include "pipeline/jpeg_check.hpp"

#include <holon/core/error.hpp>

namespace holon::pipeline {
namespace {

std::size_t byte(std::string_view bytes, std::size_t at) { return std::uint8_t(bytes[at]); }
std::size_t pair(std::string_view bytes, std::size_t at) { return byte(bytes, at) << 8 | byte(bytes, at + 1); }

/// C4, C8 and CC lie among the frame markers and are tables.
bool is_frame(std::size_t marker) {
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

}  // namespace

std::optional<JpegFrame> jpeg_frame(const std::string& path, std::string_view bytes) {
    for (std::size_t at = 2;;) {
        while (at + 1 < bytes.size() && byte(bytes, at) == 0xFF && byte(bytes, at + 1) == 0xFF) ++at;  // fill bytes
        if (at + 10 > bytes.size()) return std::nullopt;
        const std::size_t marker = byte(bytes, at + 1), length = pair(bytes, at + 2);
        expects<DataError>(byte(bytes, at) == 0xFF && marker >= 0xC0 && marker != 0xD9 && marker != 0xDA && length >= 2, path,
                           ": JPEG damaged: at byte ", at, " a segment before the frame header is needed");
        if (!is_frame(marker)) {
            at += 2 + length;
            continue;
        }
        const JpegFrame frame{int(marker), int(byte(bytes, at + 4)), std::uint32_t(pair(bytes, at + 7)),
                              std::uint32_t(pair(bytes, at + 5))};
        const bool lossless = marker % 4 == 3, arithmetic = marker > 0xC8, differential = marker % 8 >= 5;
        expects<DataError>(marker <= 0xC2 && frame.bits == 8, path, ": JPEG of ", frame.bits, " bits, ",
                           lossless ? "lossless" : "lossy", arithmetic ? ", arithmetic-coded" : "",
                           differential ? ", hierarchical" : "", "; lossy Huffman-coded JPEG of 8 bits is read: convert it to PNG");
        return frame;
    }
}

void check_jpeg_end(const std::string& path, std::string_view bytes) {
    const std::size_t last = bytes.find_last_not_of('\0');  // some writers fill up to a block
    expects<DataError>(last != bytes.npos && last >= 3 && bytes.substr(last - 1, 2) == "\xFF\xD9", path,
                       ": JPEG cut off: its ", bytes.size(), " bytes do not end with the end-of-image marker");
}

}  // namespace holon::pipeline
