// pipeline/decode.cpp: from the bytes of a file to grey pixels.
#include "pipeline/decode.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <holon/core/error.hpp>

#include "pipeline/file_bytes.hpp"
#include "pipeline/jpeg_check.hpp"
#include "pipeline/pgm.hpp"
#include "pipeline/png_check.hpp"
#include "pipeline/stb.hpp"

namespace holon::pipeline {
namespace {

using namespace std::string_view_literals;

constexpr std::uint64_t longest_side = 32768;
constexpr std::uint64_t most_pixels = std::uint64_t(1) << 28;

enum class Kind { png, jpeg, pgm };

const stbi_uc* start_of(std::string_view bytes) { return reinterpret_cast<const stbi_uc*>(bytes.data()); }

/// What bytes that are none of our kinds look like, for the person who has to find out what went wrong.
std::string description(std::string_view bytes) {
    constexpr std::array<std::pair<std::string_view, const char*>, 13> starts = {{
        {"GIF8"sv, "a GIF picture"},
        {"BM"sv, "a BMP picture"},
        {"II*\0"sv, "a TIFF picture"},
        {"MM\0*"sv, "a TIFF picture"},
        {"RIFF"sv, "a WebP picture or another RIFF file"},
        {"\0\0\0\x0CjP"sv, "a JPEG 2000 picture"},
        {"\xFF\x4F\xFF\x51"sv, "a JPEG 2000 codestream"},
        {"PK\x03\x04"sv, "a zip archive"},
        {"\x1F\x8B"sv, "a gzip archive"},
        {"%PDF"sv, "a PDF document"},
        {"version https://git-lfs"sv, "a pointer of Git LFS: fetch the real file"},
        {"P2"sv, "a PGM in text form: convert it to the binary form, P5"},
        {"P6"sv, "a PPM picture in colour"},
    }};
    for (const auto& [start, what] : starts)
        if (bytes.starts_with(start)) return what;
    if (bytes.size() >= 132 && bytes.substr(128, 4) == "DICM") return "a DICOM file";
    const std::string_view head = bytes.substr(0, 24);
    if (std::all_of(head.begin(), head.end(),
                    [](char c) { return (c >= ' ' && c <= '~') || (c >= '\t' && c <= '\r'); })) {
        std::string shown(head.substr(0, head.find_first_of("\r\n")));
        return text("text: \"", shown, "\"");
    }
    constexpr char digits[] = "0123456789abcdef";
    std::string shown = "bytes";
    for (const char c : head.substr(0, 8)) {
        shown += ' ';
        shown += digits[std::uint8_t(c) >> 4];
        shown += digits[std::uint8_t(c) & 15];
    }
    return shown;
}

Kind kind_of(const std::string& path, std::string_view bytes) {
    if (bytes.starts_with(png_signature)) return Kind::png;
    if (bytes.starts_with("\xFF\xD8\xFF"sv)) return Kind::jpeg;
    if (bytes.size() >= 3 && bytes.starts_with("P5"sv) &&
        (bytes[2] == '#' || bytes[2] == ' ' || (bytes[2] >= '\t' && bytes[2] <= '\r')))
        return Kind::pgm;
    throw DataError(text(path, ": no PNG, JPEG or binary PGM; it looks like ", description(bytes)));
}

ImageHeader checked_size(const std::string& path, std::uint64_t columns, std::uint64_t rows) {
    expects<DataError>(columns > 0 && rows > 0, path, ": declares ", columns, 'x', rows,
                       " pixels; there is nothing in it");
    expects<DataError>(columns <= longest_side && rows <= longest_side && columns * rows <= most_pixels, path,
                       ": declares ", columns, 'x', rows, " pixels (width x height); at most ", longest_side,
                       " a side and ", most_pixels, " in all are read");
    return {int(rows), int(columns)};
}

[[noreturn]] void stb_refusal(const std::string& path, Kind kind) {
    const char* reason = stbi_failure_reason();
    throw DataError(text(path, ": this ", kind == Kind::png ? "PNG" : "JPEG", " cannot be decoded: ",
                         reason ? reason : "no reason given", "; it is damaged or of a form that is not supported"));
}

ImageHeader jpeg_size(const std::string& path, std::string_view bytes) {
    const std::optional<JpegFrame> declared = jpeg_frame(path, bytes);
    expects<DataError>(declared.has_value(), path, ": JPEG cut off: its ", bytes.size(),
                       " bytes end before the frame header");
    return checked_size(path, declared->columns, declared->rows);
}

/// One of the channels, which must all be the same, with an opaque alpha.
Image grey_plane(const std::string& path, const stbi_us* pixels, ImageHeader size, int channels) {
    Image image(size.rows, size.columns);
    const bool colour = channels >= 3, alpha = channels % 2 == 0;
    for (std::size_t i = 0; i < image.pixels.size(); ++i, pixels += channels) {
        if (colour && (pixels[0] != pixels[1] || pixels[0] != pixels[2]))
            throw DataError(text(path, ": in colour: the pixel at row ", i / std::size_t(size.columns), ", column ",
                                 i % std::size_t(size.columns), " is (", pixels[0], ", ", pixels[1], ", ", pixels[2],
                                 ") of 65535; a grey picture is needed"));
        if (alpha && pixels[channels - 1] != 65535)
            throw DataError(text(path, ": not opaque: the pixel at row ", i / std::size_t(size.columns), ", column ",
                                 i % std::size_t(size.columns), " has the alpha ", pixels[channels - 1],
                                 " of 65535; a picture without transparency is needed"));
        image.pixels[i] = pixels[0];
    }
    return image;
}

Image decode_stb(const std::string& path, std::string_view bytes, Kind kind, ImageHeader size) {
    const std::size_t pixels = std::size_t(size.rows) * std::size_t(size.columns);
    // 4 channels of 2 bytes, doubled as buffers grow, and stb keeps the packed data in a growing buffer too.
    const StbBudget budget(std::max(16 * pixels, 2 * bytes.size()) + (std::size_t(1) << 20));
    int columns = 0, rows = 0, channels = 0;
    std::unique_ptr<stbi_us, void (*)(void*)> plane(nullptr, stbi_image_free);
    try {
        plane.reset(stbi_load_16_from_memory(start_of(bytes), int(bytes.size()), &columns, &rows, &channels, 0));
    } catch (const DataError& error) {
        throw DataError(text(path, ": ", error.what()));
    }
    if (!plane) stb_refusal(path, kind);
    expects<DataError>(columns == size.columns && rows == size.rows, path, ": declares ", size.columns, 'x', size.rows,
                       " pixels and holds ", columns, 'x', rows, "; it is damaged");
    return grey_plane(path, plane.get(), size, channels);
}

}  // namespace

Image read_image(const std::string& path) {
    const std::string bytes = read_bytes(path);
    const Kind kind = kind_of(path, bytes);
    if (kind == Kind::pgm) {
        const PgmHeader header = pgm_header(path, bytes);
        checked_size(path, header.columns, header.rows);
        return pgm_pixels(path, bytes, header);
    }
    if (kind == Kind::jpeg) {
        const ImageHeader size = jpeg_size(path, bytes);
        check_jpeg(path, bytes);
        return decode_stb(path, bytes, kind, size);
    }
    check_png(path, bytes);
    const PngSize declared = png_size(path, bytes);
    return decode_stb(path, bytes, kind, checked_size(path, declared.columns, declared.rows));
}

ImageHeader probe_image(const std::string& path) {
    constexpr std::size_t enough = 16384;  // for most headers; a JPEG may have a long profile before its size
    const std::string bytes = read_start(path, enough);
    switch (kind_of(path, bytes)) {
        case Kind::png: {
            const PngSize declared = png_size(path, bytes);
            return checked_size(path, declared.columns, declared.rows);
        }
        case Kind::pgm: {
            const PgmHeader declared = pgm_header(path, bytes);
            return checked_size(path, declared.columns, declared.rows);
        }
        case Kind::jpeg:
            break;
    }
    if (const auto declared = jpeg_frame(path, bytes)) return checked_size(path, declared->columns, declared->rows);
    return jpeg_size(path, read_bytes(path));
}

}  // namespace holon::pipeline
