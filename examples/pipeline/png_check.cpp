// pipeline/png_check.cpp: lengths and checksums of PNG chunks.
#include "pipeline/png_check.hpp"

#include <array>

#include <holon/core/error.hpp>

namespace holon::pipeline {
namespace {

std::uint32_t big_endian(std::string_view bytes, std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = value << 8 | std::uint8_t(bytes[at + i]);
    return value;
}

constexpr std::array<std::uint32_t, 256> crc_table = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t n = 0; n < 256; ++n) {
        std::uint32_t c = n;
        for (int bit = 0; bit < 8; ++bit) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
        table[n] = c;
    }
    return table;
}();

/// CRC-32 of ISO 3309, as PNG uses it: the reflected polynomial EDB88320, all ones before and after.
std::uint32_t crc32(std::string_view bytes) {
    std::uint32_t c = 0xFFFFFFFFu;
    for (const char byte : bytes) c = crc_table[(c ^ std::uint8_t(byte)) & 0xFF] ^ (c >> 8);
    return ~c;
}

std::string chunk_name(std::string_view bytes, std::size_t at) {
    std::string name(bytes.substr(at + 4, 4));
    for (char& c : name)
        if (c < ' ' || c > '~') c = '?';
    return name;
}

}  // namespace

PngSize png_size(const std::string& path, std::string_view bytes) {
    expects<DataError>(bytes.size() >= 33 && bytes.substr(12, 4) == "IHDR" && big_endian(bytes, 8) == 13, path,
                       ": a PNG that does not begin with its IHDR chunk; it is cut off or damaged");
    return {big_endian(bytes, 16), big_endian(bytes, 20)};
}

void check_png(const std::string& path, std::string_view bytes) {
    for (std::size_t at = png_signature.size();;) {
        const std::size_t left = bytes.size() - at;
        expects<DataError>(left >= 12, path, ": PNG cut off: its ", bytes.size(), " bytes end before the IEND chunk");
        const std::uint64_t length = big_endian(bytes, at);
        const std::string name = chunk_name(bytes, at);
        expects<DataError>(length + 12 <= left, path, ": PNG cut off: chunk ", name, " at byte ", at, " has ",
                           length + 12, " bytes, the file ends after ", left, " of them");
        const std::uint32_t stored = big_endian(bytes, at + 8 + std::size_t(length));
        const std::uint32_t found = crc32(bytes.substr(at + 4, std::size_t(length) + 4));
        expects<DataError>(stored == found, path, ": PNG damaged: chunk ", name, " at byte ", at, " has the checksum ",
                           stored, ", its bytes give ", found);
        if (name == "IEND") return;
        at += std::size_t(length) + 12;
    }
}

}  // namespace holon::pipeline
