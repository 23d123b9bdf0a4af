// The generator against the published vectors, and its draws against what they promise.
#include <holon/core/random.hpp>

#include <algorithm>
#include <vector>

#include "support/catch.hpp"

using namespace holon;

TEST_CASE("Philox 4x32-10 gives the published vectors", "[core]") {
    // Random123's kat_vectors.
    using Block = std::array<std::uint32_t, 4>;
    CHECK(philox(0, 0, 0) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    const std::uint64_t ones = ~std::uint64_t(0);
    CHECK(philox(ones, ones, ones) == Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(philox(0x299f31d0a4093822ull, 0x85a308d3243f6a88ull, 0x0370734413198a2eull) ==
          Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("seed, stream and position are the whole state", "[core]") {
    Random a(7, 3);
    for (int i = 0; i < 10; ++i) a.uniform();
    Random b(a.seed(), a.stream());
    b.seek(a.position());
    for (int i = 0; i < 10; ++i) CHECK(a.bits() == b.bits());

    const std::uint64_t first = a.reserve(5);
    CHECK(first == b.position());
    CHECK(a.position() == first + 5);

    CHECK(Random(7, 3).bits() != Random(7, 4).bits());
    CHECK(Random(7, 3).bits() != Random(8, 3).bits());
}

TEST_CASE("uniform, below and normal have their distributions", "[core]") {
    // 200,000 draws: four standard errors around each moment.
    const int n = 200000;
    Random random(11);
    double mean = 0, square = 0, least = 1, most = 0;
    for (int i = 0; i < n; ++i) {
        const double u = random.uniform();
        mean += u / n, square += u * u / n, least = std::min(least, u), most = std::max(most, u);
    }
    CHECK(std::abs(mean - 0.5) < 4 * 0.2887 / std::sqrt(n));
    CHECK(std::abs(square - 1.0 / 3) < 4 * 0.2981 / std::sqrt(n));
    CHECK((least >= 0 && least < 1e-4 && most < 1 && most > 1 - 1e-4));

    std::array<int, 7> counts{};
    for (int i = 0; i < n; ++i) ++counts.at(random.below(7));
    for (const int count : counts) CHECK(std::abs(count - n / 7.0) < 4 * std::sqrt(n / 7.0));
    CHECK(random.below(1) == 0);

    double first = 0, second = 0, third = 0, fourth = 0;
    for (int i = 0; i < n; ++i) {
        const double z = random.normal();
        first += z / n, second += z * z / n, third += z * z * z / n, fourth += z * z * z * z / n;
    }
    CHECK(std::abs(first) < 4 / std::sqrt(n));
    CHECK(std::abs(second - 1) < 4 * std::sqrt(2.0 / n));
    CHECK(std::abs(third) < 4 * std::sqrt(15.0 / n));
    CHECK(std::abs(fourth - 3) < 4 * std::sqrt(96.0 / n));
}
