// checkpoint/safetensors_header.hpp: the table of contents of a safetensors file.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <holon/core/compiler.hpp>

namespace holon {

/// One tensor of a safetensors file: C order, little-endian.
struct TensorEntry {
    std::string name;
    std::string dtype;  ///< as the format spells it: F32, BF16, I64, ...
    std::vector<std::int64_t> shape;
    std::uint64_t begin = 0, end = 0;  ///< bytes, counted from the first byte after the header; `end` is exclusive
    std::uint32_t crc = 0;             ///< CRC-32C of those bytes, where the file keeps checksums
};

/// What stands before the data: the tensors in the order of their bytes, and free strings.
struct SafetensorsHeader {
    std::vector<TensorEntry> tensors;
    std::map<std::string, std::string> metadata;
};

/// The checksum of each tensor, eight hexadecimal digits each, in the order of their bytes.
inline constexpr std::string_view tensor_crc_key = "holon.crc32c";
/// The checksum of names, types, shapes, offsets and all other metadata.
inline constexpr std::string_view header_crc_key = "holon.header_crc32c";

namespace detail {
/// A name as messages show it: one line, of bounded length, whatever stood in the file.
std::string shown(std::string_view name);
/// `[64, 3, 7, 7]`, the first eight extents.
std::string shown(std::span<const std::int64_t> shape);
}  // namespace detail

}  // namespace holon
