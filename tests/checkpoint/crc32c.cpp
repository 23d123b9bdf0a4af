#include <holon/checkpoint/crc32c.hpp>

#include <string_view>
#include <vector>

#include <holon/core/random.hpp>
#include "support/catch.hpp"

using holon::crc32c;

namespace {

std::span<const std::byte> bytes(std::string_view s) { return std::as_bytes(std::span(s.data(), s.size())); }

/// Bit by bit, from the definition.
std::uint32_t slow(std::span<const std::byte> data) {
    std::uint32_t state = 0xffffffffu;
    for (const std::byte b : data) {
        state ^= std::uint32_t(b);
        for (int bit = 0; bit < 8; ++bit) state = state & 1 ? (state >> 1) ^ 0x82f63b78u : state >> 1;
    }
    return ~state;
}

std::vector<std::byte> noise(std::size_t count) {
    holon::Random random(5);
    std::vector<std::byte> data(count);
    for (std::byte& b : data) b = std::byte(random.bits());
    return data;
}

}  // namespace

TEST_CASE("crc32c gives the published values", "[checkpoint]") {
    CHECK(crc32c(bytes("123456789")) == 0xe3069283u);
    CHECK(crc32c(bytes("")) == 0u);
    // RFC 3720, appendix B.4.
    CHECK(crc32c(std::vector<std::byte>(32, std::byte(0))) == 0x8a9136aau);
    CHECK(crc32c(std::vector<std::byte>(32, std::byte(0xff))) == 0x62a8ab43u);
    std::vector<std::byte> rising(32);
    for (std::size_t i = 0; i < 32; ++i) rising[i] = std::byte(i);
    CHECK(crc32c(rising) == 0x46dd794eu);
}

TEST_CASE("crc32c is the same by table, by instruction and bit by bit, at any length and alignment", "[checkpoint]") {
    const auto data = noise(300);
    for (std::size_t first = 0; first < 9; ++first) {
        for (std::size_t count = 0; first + count <= data.size(); count += 1 + count / 20) {
            const auto part = std::span(data).subspan(first, count);
            const std::uint32_t expected = slow(part);
            REQUIRE(~holon::detail::crc32c_by_table(part.data(), part.size(), ~0u) == expected);
            if (holon::detail::has_crc32c_instruction()) {
                REQUIRE(~holon::detail::crc32c_by_instruction(part.data(), part.size(), ~0u) == expected);
            }
            REQUIRE(crc32c(part) == expected);
        }
    }
}

TEST_CASE("crc32c goes on from what came before", "[checkpoint]") {
    const auto data = noise(1000);
    for (std::size_t cut = 0; cut <= data.size(); cut += 37) {
        const auto whole = std::span(data);
        REQUIRE(crc32c(whole.subspan(cut), crc32c(whole.first(cut))) == crc32c(whole));
    }
}
