// pipeline/jpeg_check.cpp: from marker to marker.
#include "pipeline/jpeg_check.hpp"

#include <algorithm>

#include <holon/core/error.hpp>

namespace holon::pipeline {
namespace {

std::size_t byte(std::string_view bytes, std::size_t at) { return std::uint8_t(bytes[at]); }
std::size_t pair(std::string_view bytes, std::size_t at) { return byte(bytes, at) << 8 | byte(bytes, at + 1); }

constexpr std::size_t start_of_scan = 0xDA, end_of_image = 0xD9, huffman_tables = 0xC4;

/// C4, C8 and CC lie among the frame markers and are tables.
bool is_frame(std::size_t marker) {
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

struct Segment {
    std::size_t marker = 0, data = 0, next = 0;  // where its data begin, and the next segment
};

/// The segment at `at`, of which at least 6 bytes of data must be there; nothing if the bytes end before.
std::optional<Segment> segment(const std::string& path, std::string_view bytes, std::size_t at) {
    while (at + 1 < bytes.size() && byte(bytes, at) == 0xFF && byte(bytes, at + 1) == 0xFF) ++at;  // fill bytes
    if (at + 10 > bytes.size()) return std::nullopt;
    const std::size_t marker = byte(bytes, at + 1), length = pair(bytes, at + 2);
    expects<DataError>(byte(bytes, at) == 0xFF && marker >= 0xC0 && marker != end_of_image && length >= 2, path,
                       ": JPEG damaged: at byte ", at, " a segment of its header is needed");
    return Segment{marker, at + 4, at + 2 + length};
}

/// A table has at most 256 codes (ITU T.81, B.2.4.2). stb_image writes beyond its arrays if it has more.
void check_codes(const std::string& path, std::string_view bytes, const Segment& tables) {
    for (std::size_t at = tables.data; at < tables.next;) {
        std::size_t codes = 0;
        if (at + 17 <= std::min(tables.next, bytes.size()))
            for (std::size_t length = 1; length <= 16; ++length) codes += byte(bytes, at + length);
        expects<DataError>(codes >= 1 && codes <= 256 && at + 17 + codes <= tables.next, path,
                           ": JPEG damaged: the Huffman table at byte ", at, " has ", codes,
                           " codes, 1 to 256 that fit in ", tables.next - at, " bytes are possible");
        at += 17 + codes;
    }
}

/// The marker that ends a scan: neither a stuffed FF nor a restart.
std::size_t after_scan(std::string_view bytes, std::size_t at) {
    for (; at + 1 < bytes.size(); ++at) {
        const std::size_t next = byte(bytes, at + 1);
        if (byte(bytes, at) == 0xFF && next != 0 && next != 0xFF && (next < 0xD0 || next > 0xD7)) break;
    }
    return at;
}

}  // namespace

std::optional<JpegFrame> jpeg_frame(const std::string& path, std::string_view bytes) {
    std::size_t at = 2;
    while (const auto found = segment(path, bytes, at)) {
        expects<DataError>(found->marker != start_of_scan, path,
                           ": JPEG damaged: its picture begins before its frame header");
        at = found->next;
        if (!is_frame(found->marker)) continue;
        const std::size_t marker = found->marker, data = found->data;
        const JpegFrame frame{int(byte(bytes, data)), std::uint32_t(pair(bytes, data + 3)),
                              std::uint32_t(pair(bytes, data + 1))};
        const bool lossless = marker % 4 == 3, arithmetic = marker > 0xC8, differential = marker % 8 >= 5;
        expects<DataError>(marker <= 0xC2 && frame.bits == 8, path, ": JPEG of ", frame.bits, " bits, ",
                           lossless ? "lossless" : "lossy", arithmetic ? ", arithmetic-coded" : "",
                           differential ? ", hierarchical" : "",
                           "; lossy Huffman-coded JPEG of 8 bits is read: convert it to PNG");
        return frame;
    }
    return std::nullopt;
}

void check_jpeg(const std::string& path, std::string_view bytes) {
    const std::size_t last = bytes.find_last_not_of('\0');  // some writers fill up to a block
    expects<DataError>(last != bytes.npos && last >= 3 && bytes.substr(last - 1, 2) == "\xFF\xD9", path,
                       ": JPEG cut off: its ", bytes.size(), " bytes do not end with the end-of-image marker");
    bool quantisers = false, codes = false;
    std::size_t scans = 0, at = 2;
    for (auto found = segment(path, bytes, at); found; found = segment(path, bytes, at)) {
        quantisers |= found->marker == 0xDB;
        codes |= found->marker == huffman_tables;
        at = found->next;
        if (found->marker == huffman_tables) check_codes(path, bytes, *found);
        if (found->marker != start_of_scan) continue;
        if (scans++ == 0)
            expects<DataError>(quantisers && codes, path, ": JPEG without its tables (",
                               quantisers ? "Huffman codes" : "quantisers",
                               "); it is damaged, or a frame of a film that leaves them out");
        at = after_scan(bytes, at);
        if (at + 1 >= bytes.size() || byte(bytes, at + 1) == end_of_image) return;
    }
    expects<DataError>(scans > 0, path, ": JPEG cut off: its ", bytes.size(), " bytes hold no scan");
}

}  // namespace holon::pipeline
