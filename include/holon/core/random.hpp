// core/random.hpp: numbers from a counter, so that any device, any thread and any order draw the same ones.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>

namespace holon {

/// Philox 4x32 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011):
/// four 32-bit integers for each 128-bit counter under a 64-bit key.
constexpr std::array<std::uint32_t, 4> philox(std::uint64_t key, std::uint64_t counter_low, std::uint64_t counter_high) {
    std::uint32_t k0 = std::uint32_t(key), k1 = std::uint32_t(key >> 32);
    std::uint32_t c0 = std::uint32_t(counter_low), c1 = std::uint32_t(counter_low >> 32);
    std::uint32_t c2 = std::uint32_t(counter_high), c3 = std::uint32_t(counter_high >> 32);
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t a = 0xD2511F53ull * c0, b = 0xCD9E8D57ull * c2;
        const std::uint32_t next0 = std::uint32_t(b >> 32) ^ c1 ^ k0, next2 = std::uint32_t(a >> 32) ^ c3 ^ k1;
        c1 = std::uint32_t(b), c3 = std::uint32_t(a), c0 = next0, c2 = next2;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    return {c0, c1, c2, c3};
}

/// A sequence of draws: key and stream choose it, `position` is the next counter. Save the three numbers and it goes
/// on.
class Random {
 public:
    explicit Random(std::uint64_t seed = 0, std::uint64_t stream = 0) : seed_(seed), stream_(stream) {}

    std::uint64_t seed() const { return seed_; }
    std::uint64_t stream() const { return stream_; }
    std::uint64_t position() const { return position_; }
    void seek(std::uint64_t position) { position_ = position; }

    /// Takes `blocks` counters for a consumer that indexes them by itself (a dropout mask); returns the first.
    std::uint64_t reserve(std::uint64_t blocks) {
        const std::uint64_t first = position_;
        position_ += blocks;
        return first;
    }

    std::uint32_t bits() { return philox(seed_, position_++, stream_)[0]; }
    /// Uniform in [0, 1), with 53 random bits.
    double uniform() {
        const auto r = philox(seed_, position_++, stream_);
        return double((std::uint64_t(r[0]) << 21) ^ (r[1] >> 11)) * 0x1p-53;
    }
    double uniform(double low, double high) { return low + (high - low) * uniform(); }
    /// Uniform in 0 .. count-1; count >= 1.
    std::uint64_t below(std::uint64_t count) {
        const auto r = philox(seed_, position_++, stream_);
        const std::uint64_t wide = (std::uint64_t(r[0]) << 32) | r[1];
        __extension__ using Product = unsigned __int128;  // not of ISO C++, which -Wpedantic says without the word
        return std::uint64_t((Product(wide) * count) >> 64);
    }
    /// Standard normal, by Box and Muller (1958). Host only: logarithms differ between devices.
    double normal() {
        const auto r = philox(seed_, position_++, stream_);
        const double u = (double(r[0]) + 1.0) * 0x1p-32, v = double(r[1]) * 0x1p-32;
        return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586476925 * v);
    }

 private:
    std::uint64_t seed_, stream_, position_ = 0;
};

}  // namespace holon
