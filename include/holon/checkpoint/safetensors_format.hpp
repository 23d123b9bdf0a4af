// checkpoint/safetensors_format.hpp: what the safetensors format says of types, names and the header's text, and the
// checksums that this library adds.
#pragma once
#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <utility>

#include <holon/checkpoint/crc32c.hpp>
#include <holon/checkpoint/safetensors_header.hpp>
#include <holon/core/error.hpp>
#include <holon/core/function.hpp>

namespace holon {

namespace detail {

struct Dtype {
    std::string_view name;
    std::uint64_t bits;
};

/// In the order of the format, which the writer sorts by (huggingface/safetensors, `enum Dtype`).
inline constexpr std::array<Dtype, 22> dtypes = {
    {{"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
     {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
     {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
     {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}}};

/// Its place in `dtypes`, or their number if there is none such.
inline std::size_t dtype_rank(std::string_view name) {
    return std::size_t(std::find_if(dtypes.begin(), dtypes.end(), [&](const Dtype& d) { return d.name == name; }) -
                       dtypes.begin());
}

/// Bytes of a tensor; false where they are not a whole number below 2^63, or the type is unknown.
inline bool tensor_bytes(std::string_view dtype, std::span<const std::int64_t> shape, std::uint64_t& bytes) {
    const std::size_t rank = dtype_rank(dtype);
    if (rank == dtypes.size()) return false;
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) {
        if (extent < 0 || __builtin_mul_overflow(count, extent, &count)) return false;
    }
    if (__builtin_mul_overflow(count, std::int64_t(dtypes[rank].bits), &count) || count % 8 != 0) return false;
    bytes = std::uint64_t(count) / 8;
    return true;
}

/// The first byte that is not UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing past U+10FFFF), or npos.
inline std::size_t find_bad_utf8(std::string_view s) {
    const auto byte = [&](std::size_t i) { return i < s.size() ? std::uint8_t(s[i]) : std::uint8_t(0); };
    for (std::size_t i = 0; i < s.size();) {
        const std::uint8_t first = byte(i), second = byte(i + 1);
        const std::size_t length = first < 0x80   ? 1
                                   : first < 0xc2 ? 0
                                   : first < 0xe0 ? 2
                                   : first < 0xf0 ? 3
                                   : first < 0xf5 ? 4
                                                  : 0;
        const std::uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        const std::uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        if (length == 0 || (length > 1 && (second < low || second > high))) return i;
        for (std::size_t k = 2; k < length; ++k) {
            if ((byte(i + k) & 0xc0) != 0x80) return i;
        }
        i += length;
    }
    return std::string_view::npos;
}

/// 0 to `count` - 1 in the order that `before` says, equals as they stand.
inline std::vector<std::size_t> ordered(std::size_t count, const Function<bool(std::size_t, std::size_t)>& before) {
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t(0));
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return before(a, b) || (a < b && !before(b, a)); });
    return order;
}
inline std::vector<std::size_t> ordered_by_name(const std::vector<TensorEntry>& tensors) {
    return ordered(tensors.size(), [&](std::size_t a, std::size_t b) { return tensors[a].name < tensors[b].name; });
}
/// A name that two tensors have, given their order by name; null if there is none.
inline const std::string* name_twice(const std::vector<TensorEntry>& tensors, const std::vector<std::size_t>& order) {
    for (std::size_t i = 1; i < order.size(); ++i)
        if (tensors[order[i - 1]].name == tensors[order[i]].name) return &tensors[order[i]].name;
    return nullptr;
}

inline std::string hex8(std::uint32_t value) {
    std::string digits(8, '0');
    for (std::size_t i = 8; i-- > 0; value >>= 4) digits[i] = "0123456789abcdef"[value & 15u];
    return digits;
}

/// A JSON string, escaped as the reference writer does.
inline std::string json_string(std::string_view s) {
    std::string out = "\"";
    for (const char c : s) {
        const std::size_t named = std::string_view("\"\\\b\f\n\r\t").find(c);
        if (named != std::string_view::npos) {
            out += {'\\', "\"\\bfnrt"[named]};
        } else if (std::uint8_t(c) < 0x20) {
            out += "\\u00" + hex8(std::uint8_t(c)).substr(6);
        } else {
            out += c;
        }
    }
    return out + '"';
}

#ifdef HOLON_INLINE
HOLON_INLINE std::string shown(std::string_view name) {
    std::size_t length = std::min<std::size_t>(name.size(), 80);
    while (length < name.size() && (std::uint8_t(name[length]) & 0xc0) == 0x80) --length;
    return json_string(name.substr(0, length)) + (length < name.size() ? "..." : "");
}

HOLON_INLINE std::string shown(std::span<const std::int64_t> shape) {
    std::string out = "[";
    for (std::size_t i = 0; i < std::min<std::size_t>(shape.size(), 8); ++i)
        out += (i ? ", " : "") + std::to_string(shape[i]);
    return out + (shape.size() > 8 ? ", ...]" : "]");
}
#endif

/// The header's bytes, padded with spaces to a multiple of eight, tensors in the order given.
inline std::string header_text(const SafetensorsHeader& header) {
    std::string out = "{", before;
    if (!header.metadata.empty()) {
        out += "\"__metadata__\":{";
        for (const auto& [key, value] : header.metadata) {
            out += std::exchange(before, ",");
            out += json_string(key) + ':' + json_string(value);
        }
        out += '}';
    }
    for (const TensorEntry& entry : header.tensors) {
        out += std::exchange(before, ",");
        out += json_string(entry.name) + ":{\"dtype\":\"" + entry.dtype + "\",\"shape\":[";
        std::string comma;
        for (const auto extent : entry.shape) out.append(std::exchange(comma, ",")).append(std::to_string(extent));
        out += "],\"data_offsets\":[" + std::to_string(entry.begin) + ',' + std::to_string(entry.end) + "]}";
    }
    out += '}';
    out.resize((out.size() + 7) / 8 * 8, ' ');
    return out;
}

/// Over the meaning, not the spelling: another tool may rewrite the file, spaces and order of keys included.
inline std::uint32_t header_crc(const SafetensorsHeader& header) {
    std::uint32_t crc = 0;
    const auto number = [&](std::uint64_t value) { crc = crc32c(std::as_bytes(std::span(&value, 1)), crc); };
    const auto string = [&](std::string_view s) {
        number(s.size());
        crc = crc32c(std::as_bytes(std::span(s.data(), s.size())), crc);
    };
    for (const auto& [key, value] : header.metadata) {
        if (key != header_crc_key) string(key), string(value);
    }
    for (const std::size_t i : ordered_by_name(header.tensors)) {
        const TensorEntry& entry = header.tensors[i];
        string(entry.name), string(entry.dtype), number(entry.shape.size());
        for (const std::int64_t extent : entry.shape) number(std::uint64_t(extent));
        number(entry.begin), number(entry.end);
    }
    return crc;
}

}  // namespace detail

/// Whether the file keeps checksums; then each entry has its own in `crc`. Throws `DataError` where what is kept does
/// not fit the header, that is, where the header was damaged.
inline bool adopt_checksums(SafetensorsHeader& header) {
    const auto& metadata = header.metadata;
    const auto own = metadata.find(std::string(header_crc_key)), each = metadata.find(std::string(tensor_crc_key));
    if (own == metadata.end() && each == metadata.end()) return false;
    const bool both = own != metadata.end() && each != metadata.end();
    if (!both || own->second != detail::hex8(detail::header_crc(header)) ||
        each->second.size() != 8 * header.tensors.size()) {
        throw DataError(
            text("the header does not fit its own checksum: a name, shape, offset or string in it was changed "
                 "after it was saved (if on purpose, by another tool, drop the keys ",
                 tensor_crc_key, " and ", header_crc_key, " from its metadata)"));
    }
    for (std::size_t i = 0; i < header.tensors.size(); ++i) {
        for (const char c : each->second.substr(8 * i, 8)) {
            header.tensors[i].crc =
                (header.tensors[i].crc << 4) | std::uint32_t(std::string_view("0123456789abcdef").find(c) & 15u);
        }
    }
    return true;
}

}  // namespace holon
