// pipeline/pgm.cpp: the reader behind pgm.hpp.
#include "pipeline/pgm.hpp"

#include <holon/core/error.hpp>

namespace holon::pipeline {
namespace {

bool is_white(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::uint32_t next_number(const std::string& path, std::string_view bytes, std::size_t& at, const char* what) {
    while (at < bytes.size() && (is_white(bytes[at]) || bytes[at] == '#')) {
        if (bytes[at] == '#')
            while (at < bytes.size() && bytes[at] != '\n' && bytes[at] != '\r') ++at;
        else
            ++at;
    }
    const std::size_t begin = at;
    std::uint64_t value = 0;
    while (at < bytes.size() && bytes[at] >= '0' && bytes[at] <= '9' && at - begin < 9)
        value = value * 10 + std::uint64_t(bytes[at++] - '0');
    expects<DataError>(at > begin && at < bytes.size() && (is_white(bytes[at]) || bytes[at] == '#'), path,
                       ": PGM without a readable ", what, " at byte ", begin);
    return std::uint32_t(value);
}

}  // namespace

PgmHeader pgm_header(const std::string& path, std::string_view bytes) {
    PgmHeader header;
    std::size_t at = 2;
    header.columns = next_number(path, bytes, at, "width");
    header.rows = next_number(path, bytes, at, "height");
    header.maximum = next_number(path, bytes, at, "maximum value");
    expects<DataError>(header.maximum >= 1 && header.maximum <= 65535, path, ": PGM with the maximum value ",
                       header.maximum, "; 1 to 65535 are possible");
    expects<DataError>(is_white(bytes[at]), path, ": PGM with no white space between its header and its pixels");
    header.pixels_at = at + 1;
    return header;
}

Image pgm_pixels(const std::string& path, std::string_view bytes, const PgmHeader& header) {
    const std::size_t each = header.maximum < 256 ? 1 : 2;
    const std::uint64_t needed = std::uint64_t(header.columns) * header.rows * each;
    const std::uint64_t found = bytes.size() - header.pixels_at;
    expects<DataError>(found >= needed, path, ": PGM cut off: ", header.columns, 'x', header.rows, " pixels of ", each,
                       " bytes need ", needed, " bytes, ", found, " are there");
    for (const char c : bytes.substr(header.pixels_at + std::size_t(needed)))
        expects<DataError>(is_white(c) || c == '\0', path, ": PGM of ", header.columns, 'x', header.rows,
                           " pixels needs ", needed, " bytes, ", found,
                           " are there; its header is wrong or it holds several pictures");

    Image image(int(header.rows), int(header.columns));
    for (std::size_t i = 0; i < image.pixels.size(); ++i) {
        const std::size_t at = header.pixels_at + i * each;
        std::uint32_t value = std::uint8_t(bytes[at]);
        if (each == 2) value = value << 8 | std::uint8_t(bytes[at + 1]);
        expects<DataError>(value <= header.maximum, path, ": PGM pixel at row ", i / header.columns, ", column ",
                           i % header.columns, " is ", value, ", above the maximum of ", header.maximum);
        image.pixels[i] = std::uint16_t((value * 65535u + header.maximum / 2) / header.maximum);
    }
    return image;
}

}  // namespace holon::pipeline
