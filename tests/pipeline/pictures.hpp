// pipeline/pictures.hpp: picture files made byte by byte, right or wrong, with nothing of the reader or of libpng in
// them.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/scratch.hpp"
#include "pipeline/image.hpp"

namespace pictures {

inline std::string big_endian(std::uint32_t value, int bytes = 4) {
    std::string out;
    for (int i = bytes - 1; i >= 0; --i) out += char(value >> (8 * i) & 255);
    return out;
}

/// Bit by bit, as the PNG specification writes it down.
inline std::uint32_t crc32(std::string_view bytes) {
    std::uint32_t c = 0xFFFFFFFFu;
    for (const char byte : bytes) {
        c ^= std::uint8_t(byte);
        for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) ? 0xEDB88320u : 0u);
    }
    return ~c;
}

inline std::string chunk(const std::string& name, const std::string& data) {
    return big_endian(std::uint32_t(data.size())) + name + data + big_endian(crc32(name + data));
}

/// A zlib stream of one stored block; at most 65535 bytes.
inline std::string stored(const std::string& data) {
    std::uint32_t a = 1, b = 0;
    for (const char byte : data) {
        a = (a + std::uint8_t(byte)) % 65521;
        b = (b + a) % 65521;
    }
    const auto n = std::uint16_t(data.size()), m = std::uint16_t(~n);
    return std::string("\x78\x01\x01") + char(n & 255) + char(n >> 8) + char(m & 255) + char(m >> 8) + data +
           big_endian(b << 16 | a);
}

enum Colour { grey = 0, rgb = 2, palette = 3, grey_alpha = 4, rgba = 6 };

struct Png {
    std::uint32_t columns = 1, rows = 1;
    int depth = 8;
    Colour colour = grey;
    std::string data;           ///< rows one after another, without filter bytes
    std::string before_data{};  ///< chunks between IHDR and IDAT
};

inline std::string png(const Png& p) {
    const std::string header =
        big_endian(p.columns) + big_endian(p.rows) + char(p.depth) + char(p.colour) + std::string(3, '\0');
    const std::size_t each = p.data.size() / (p.rows ? p.rows : 1);
    std::string lines;
    for (std::size_t at = 0; at < p.data.size(); at += each) lines += '\0' + p.data.substr(at, each);
    return "\x89PNG\r\n\x1a\n" + chunk("IHDR", header) + p.before_data + chunk("IDAT", stored(lines)) +
           chunk("IEND", "");
}

/// A baseline JPEG of 8x8 pixels, each component one level: 128, or within 1..64 or 192..255. Only the DC coefficient
/// 8 (level - 128) is there, under quantisers of 1; its codes are 0 for size 0 and 10 for size 10, those of AC 0 for
/// the end.
inline std::string jpeg(const std::vector<int>& levels, int columns = 8, int rows = 8) {
    const auto segment = [](int marker, const std::string& data) {
        return std::string("\xFF") + char(marker) + big_endian(std::uint32_t(data.size() + 2), 2) + data;
    };
    const auto codes = [](int table, const std::string& lengths, const std::string& symbols) {
        return char(table) + lengths + std::string(16 - lengths.size(), '\0') + symbols;
    };
    std::string frame =
        "\x08" + big_endian(std::uint32_t(rows), 2) + big_endian(std::uint32_t(columns), 2) + char(levels.size());
    std::string scan(1, char(levels.size()));
    std::string bits;
    for (std::size_t i = 0; i < levels.size(); ++i) {
        frame += std::string{char(i + 1), '\x11', '\0'};
        scan += std::string{char(i + 1), '\0'};
        const int dc = 8 * (levels[i] - 128);
        bits += dc == 0 ? "0" : "10";
        const unsigned magnitude = unsigned(dc < 0 ? dc + 1023 : dc);
        for (int bit = 9; dc != 0 && bit >= 0; --bit) bits += char('0' + (magnitude >> bit & 1));
        bits += '0';
    }
    while (bits.size() % 8) bits += '1';
    std::string coded;
    for (std::size_t at = 0; at < bits.size(); at += 8) {
        coded += char(std::stoi(bits.substr(at, 8), nullptr, 2));
        if (coded.back() == '\xFF') coded += '\0';
    }
    return "\xFF\xD8" + segment(0xDB, std::string(1, '\0') + std::string(64, '\x01')) + segment(0xC0, frame) +
           segment(0xC4, codes(0x00, "\x01\x01", std::string{'\0', '\x0A'})) +
           segment(0xC4, codes(0x10, "\x01", std::string(1, '\0'))) +
           segment(0xDA, scan + std::string{'\0', '\x3F', '\0'}) + coded + "\xFF\xD9";
}

/// Different everywhere, so that a swapped axis or byte shows.
inline holon::pipeline::Image ramp(int rows, int columns, int step = 7) {
    holon::pipeline::Image image(rows, columns);
    for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = std::uint16_t(i * std::size_t(step));
    return image;
}

}  // namespace pictures
