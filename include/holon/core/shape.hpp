// core/shape.hpp: four extents. One layout everywhere: images are n, h, w, c; filters are k, r, s, c in the same
// places.
#pragma once
#include <compare>
#include <cstddef>
#include <cstdint>
#include <ostream>

#include <holon/core/compiler.hpp>

namespace holon {

/// Images: n, h, w, c, dense, c fastest. A filter is held as k, r, s, c; a vector over channels as 1, 1, 1, c;
/// the matrix of a linear layer as out, 1, 1, in. Extents are counts, all >= 0.
struct Shape {
    std::int64_t n = 0, h = 0, w = 0, c = 0;

    /// Number of elements.
    constexpr std::int64_t size() const { return n * h * w * c; }
    /// Number of positions, that is, of pixels over the whole batch.
    constexpr std::int64_t rows() const { return n * h * w; }
    constexpr std::int64_t at(std::int64_t in, std::int64_t ih, std::int64_t iw, std::int64_t ic) const {
        return ((in * h + ih) * w + iw) * c + ic;
    }
    friend constexpr bool operator==(const Shape&, const Shape&) = default;
};

/// The shape of a value per channel.
constexpr Shape vector_shape(std::int64_t channels) { return {1, 1, 1, channels}; }

/// Prints `16x224x224x3`.
inline std::ostream& operator<<(std::ostream& out, const Shape& s) {
    return out << s.n << 'x' << s.h << 'x' << s.w << 'x' << s.c;
}

}  // namespace holon
