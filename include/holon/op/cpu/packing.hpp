// op/cpu/packing.hpp: rows of bfloat16 images as floats in a layout that oneDNN is fast in, and back.
#pragma once
#include <algorithm>

#include <holon/op/cpu/loop.hpp>

namespace holon::op::cpu {

/// Float images whose channels lie in blocks: n, c / block, h, w, c % block. With one block that is n h w c.
struct Packed {
    Shape shape;
    std::int64_t block;  ///< channels; divides them

    std::int64_t blocks() const { return shape.c / block; }
    /// Where the columns of row h of image n, block b begin.
    std::int64_t at(std::int64_t n, std::int64_t b, std::int64_t h) const {
        return ((n * blocks() + b) * shape.h + h) * shape.w * block;
    }
};

/// Calls body(image, row) for each of the images' `rows` first rows, on all threads.
template <class Body> void each_row(const Packed& p, std::int64_t rows, const Body& body) {
    split(p.shape.n * rows, threads_for(p.shape.n * rows * p.shape.w * p.shape.c),
          [=](std::int64_t begin, std::int64_t end, int) {
              for (std::int64_t i = begin; i < end; ++i) body(i / rows, i % rows);
          });
}

/// Calls body(i, j) for each number of a row: the j-th of `columns` x `block` packed ones is the i-th of n h w c.
template <class Body>
void each_packed(std::int64_t columns, std::int64_t block, std::int64_t channels, const Body& body) {
    constexpr std::int64_t lanes = 8;  // known to the compiler, or its loop would not be one vector
    if (block == lanes) {
        for (std::int64_t w = 0; w < columns; ++w) {
#pragma omp simd
            for (std::int64_t c = 0; c < lanes; ++c) body(w * channels + c, w * lanes + c);
        }
    } else {
        for (std::int64_t w = 0; w < columns; ++w) {
#pragma omp simd
            for (std::int64_t c = 0; c < block; ++c) body(w * channels + c, w * block + c);
        }
    }
}

/// All of `to` from as many images n h w c, which lie one after another.
inline void widen_rows(const bfloat16* from, const Packed& p, float* to) {
    const Shape s = p.shape;
    if (p.block == s.c) {
        each(s.size(), [=](std::int64_t i) { to[i] = float(from[i]); });
        return;
    }
    each_row(p, s.h, [=](std::int64_t n, std::int64_t h) {
        for (std::int64_t b = 0; b < p.blocks(); ++b) {
            const bfloat16* const source = from + s.at(n, h, 0, b * p.block);
            float* const line = to + p.at(n, b, h);
            each_packed(s.w, p.block, s.c, [=](std::int64_t i, std::int64_t j) { line[j] = float(source[i]); });
        }
    });
}

/// The `rows` rows from `first` on, rounded to bfloat16, or added to it in float and then rounded; of one image, or all
/// rows of several. They lie one after another at `to`, n h w c.
inline void narrow_rows(const float* from, const Packed& p, std::int64_t first, std::int64_t rows, bfloat16* to,
                        bool add) {
    const Shape s = p.shape;
    const auto pass = [=](auto put_one) {
        if (p.block == s.c) {
            const float* const source = from + p.at(0, 0, first);
            each(s.n * rows * s.w * s.c, [=](std::int64_t i) { put_one(to[i], source[i]); });
            return;
        }
        each_row(p, rows, [=](std::int64_t n, std::int64_t h) {
            for (std::int64_t b = 0; b < p.blocks(); ++b) {
                const float* const line = from + p.at(n, b, first + h);
                bfloat16* const there = to + ((n * rows + h) * s.w) * s.c + b * p.block;
                each_packed(s.w, p.block, s.c, [=](std::int64_t i, std::int64_t j) { put_one(there[i], line[j]); });
            }
        });
    };
    if (add)
        pass([](bfloat16& place, float value) { put(place, value, true); });
    else
        pass([](bfloat16& place, float value) { put(place, value, false); });
}

/// Adds the `rows` first rows of `from` to those of `into`; one image, packed alike.
inline void add_rows(const float* from, const Packed& source, std::int64_t rows, float* into, const Packed& target) {
    const std::int64_t line = target.shape.w * target.block;
    for (std::int64_t b = 0; b < target.blocks(); ++b) {
        const float* const values = from + source.at(0, b, 0);
        float* const to = into + target.at(0, b, 0);
        each(rows * line, [=](std::int64_t i) { to[i] += values[i]; });
    }
}

/// Copies `rows` rows from row `first` on to the first of `to`; one image, packed alike.
inline void copy_rows(const float* from, const Packed& source, std::int64_t first, std::int64_t rows, float* to,
                      const Packed& target) {
    const std::int64_t line = target.shape.w * target.block;
    for (std::int64_t b = 0; b < target.blocks(); ++b) {
        const float* const values = from + source.at(0, b, first);
        float* const there = to + target.at(0, b, 0);
        each(rows * line, [=](std::int64_t i) { there[i] = values[i]; });
    }
}

}  // namespace holon::op::cpu
