// pipeline/png_out.cpp: libpng, which leaves by longjmp, kept away from everything that has a destructor.
#include "pipeline/png_out.hpp"

#include <png.h>

#include <csetjmp>
#include <string>
#include <string_view>

#include <holon/core/error.hpp>

#include "pipeline/file_bytes.hpp"

namespace holon::pipeline {
namespace {

struct Output {
    std::string bytes;
    std::string error;
};

void on_error(png_structp png, png_const_charp message) {
    static_cast<Output*>(png_get_error_ptr(png))->error = message;
    png_longjmp(png, 1);
}
void on_warning(png_structp, png_const_charp) {}
void on_data(png_structp png, png_bytep data, png_size_t count) {
    auto* output = static_cast<Output*>(png_get_io_ptr(png));
    try {
        output->bytes.append(reinterpret_cast<const char*>(data), count);
    } catch (...) {  // an exception must not cross C code
        output->error.clear();
        png_longjmp(png, 1);
    }
}
void on_flush(png_structp) {}

/// `data`: whole rows as the file wants them. False on failure. Nothing here has a destructor that longjmp could skip.
bool encode(Output& output, int rows, int columns, int depth, int colour, const std::uint8_t* data,
            std::size_t row_bytes) {
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &output, on_error, on_warning);
    png_infop info = png ? png_create_info_struct(png) : nullptr;
    if (!info) {
        png_destroy_write_struct(&png, nullptr);
        return false;
    }
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_write_struct(&png, &info);
        return false;
    }
    png_set_write_fn(png, &output, on_data, on_flush);
    png_set_IHDR(png, info, png_uint_32(columns), png_uint_32(rows), depth, colour, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(png, 3);  // texture barely shrinks further, and the time doubles
    png_write_info(png, info);
    for (int row = 0; row < rows; ++row) png_write_row(png, data + std::size_t(row) * row_bytes);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return true;
}

void write(const std::string& path, int rows, int columns, int depth, int colour, const std::vector<std::uint8_t>& data,
           std::size_t pixel_bytes) {
    expects<DataError>(rows > 0 && columns > 0, path, ": a picture of ", columns, 'x', rows,
                       " pixels cannot be written");
    const std::size_t row_bytes = std::size_t(columns) * pixel_bytes;
    expects<DataError>(data.size() == std::size_t(rows) * row_bytes, path, ": ", columns, 'x', rows, " pixels need ",
                       std::size_t(rows) * row_bytes, " bytes, ", data.size(), " are given");
    Output output;
    expects<DataError>(encode(output, rows, columns, depth, colour, data.data(), row_bytes), path,
                       ": cannot be made a PNG: ", output.error.empty() ? "out of memory" : output.error.c_str());
    write_bytes(path, output.bytes);
}

}  // namespace

void write_png16(const std::string& path, const Image& image) {
    std::vector<std::uint8_t> data;
    data.reserve(image.pixels.size() * 2);
    for (const std::uint16_t pixel : image.pixels) {
        data.push_back(std::uint8_t(pixel >> 8));
        data.push_back(std::uint8_t(pixel & 255));
    }
    write(path, image.rows, image.columns, 16, PNG_COLOR_TYPE_GRAY, data, 2);
}

void write_png8(const std::string& path, const Image& image) {
    std::vector<std::uint8_t> data;
    data.reserve(image.pixels.size());
    for (const std::uint16_t pixel : image.pixels) data.push_back(std::uint8_t((pixel + 128u) / 257u));
    write(path, image.rows, image.columns, 8, PNG_COLOR_TYPE_GRAY, data, 1);
}

void write_png_rgb8(const std::string& path, int rows, int columns, const std::vector<std::uint8_t>& rgb) {
    write(path, rows, columns, 8, PNG_COLOR_TYPE_RGB, rgb, 3);
}

}  // namespace holon::pipeline
