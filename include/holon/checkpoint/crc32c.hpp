// checkpoint/crc32c.hpp: a disk that flips a bit does not tell; 32 bits per tensor do.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace holon {
namespace detail {

/// Table k holds the remainder of each byte followed by k zero bytes, for the reflected Castagnoli polynomial.
inline std::array<std::array<std::uint32_t, 256>, 8> crc32c_tables() {
    std::array<std::array<std::uint32_t, 256>, 8> tables{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t remainder = byte;
        for (int bit = 0; bit < 8; ++bit) remainder = (remainder >> 1) ^ (remainder & 1 ? 0x82f63b78u : 0u);
        tables[0][byte] = remainder;
    }
    for (std::size_t k = 1; k < 8; ++k) {
        for (std::size_t byte = 0; byte < 256; ++byte) {
            const std::uint32_t shorter = tables[k - 1][byte];
            tables[k][byte] = (shorter >> 8) ^ tables[0][shorter & 0xffu];
        }
    }
    return tables;
}

/// Eight bytes a step (Kounavis and Berry, "A systematic approach to building high performance software-based CRC
/// generators", ISCC 2005).
inline std::uint32_t crc32c_by_table(const std::byte* data, std::size_t count, std::uint32_t state) {
    static const auto table = crc32c_tables();
    for (; count >= 8; data += 8, count -= 8) {
        std::uint32_t low, high;
        std::memcpy(&low, data, 4);
        std::memcpy(&high, data + 4, 4);
        low ^= state;
        state = table[7][low & 0xffu] ^ table[6][(low >> 8) & 0xffu] ^ table[5][(low >> 16) & 0xffu] ^
                table[4][low >> 24] ^ table[3][high & 0xffu] ^ table[2][(high >> 8) & 0xffu] ^
                table[1][(high >> 16) & 0xffu] ^ table[0][high >> 24];
    }
    for (; count > 0; ++data, --count) state = (state >> 8) ^ table[0][(state ^ std::uint32_t(*data)) & 0xffu];
    return state;
}

#if defined(__x86_64__)
inline bool has_crc32c_instruction() { return __builtin_cpu_supports("sse4.2"); }

[[gnu::target("sse4.2")]] inline std::uint32_t crc32c_by_instruction(const std::byte* data, std::size_t count,
                                                                     std::uint32_t state) {
    std::uint64_t wide = state;
    for (; count >= 8; data += 8, count -= 8) {
        std::uint64_t word;
        std::memcpy(&word, data, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    state = std::uint32_t(wide);
    for (; count > 0; ++data, --count) state = __builtin_ia32_crc32qi(state, std::uint8_t(*data));
    return state;
}
#else
inline bool has_crc32c_instruction() { return false; }
inline std::uint32_t crc32c_by_instruction(const std::byte* data, std::size_t count, std::uint32_t state) {
    return crc32c_by_table(data, count, state);
}
#endif

}  // namespace detail

/// CRC-32C (Castagnoli; RFC 3720, appendix B.4). `before` is the checksum of what came earlier:
/// `crc32c(b, crc32c(a))` is the checksum of a followed by b.
inline std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t before = 0) {
    static const auto steps =
        detail::has_crc32c_instruction() ? detail::crc32c_by_instruction : detail::crc32c_by_table;
    return ~steps(data.data(), data.size(), ~before);
}

}  // namespace holon
