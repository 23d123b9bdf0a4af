// op/gpu/columns.hpp: how kernels share out a matrix of rows x channels among blocks, and the scratch memory that sums over
// its rows take. Plain arithmetic: plans of a step ask too, on machines without CUDA.
#pragma once
#include <algorithm>
#include <cstdint>

namespace holon::gpu {

/// Threads of a block: `lanes` packs of channels side by side (at most `most_lanes`), and as many rows as are left.
constexpr int column_threads = 256, most_lanes = 32;

/// Blocks that a multiprocessor is to hold of the kernels that sum: those with few coefficients, and batch norm's gradients.
constexpr int most_sum_blocks = 4, gradient_blocks = 3;

/// The most blocks of a grid along its second extent.
constexpr std::int64_t grid_y = 65535;

constexpr std::int64_t divided_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Blocks for `packs` packs of channels: as many side by side as there are, up to a warp.
struct Columns {
    int lanes = 1, lines = column_threads;
    std::int64_t across = 1;  ///< blocks over the packs
    constexpr explicit Columns(std::int64_t packs) {
        while (lanes < most_lanes && lanes < packs) lanes *= 2;
        lines = column_threads / lanes;
        across = divided_up(packs, lanes);
    }
    constexpr std::int64_t down(std::int64_t rows) const { return divided_up(rows, lines); }
};

/// Into how many parts sums over the rows are cut: enough to fill the card with `resident` blocks a multiprocessor, in
/// whole waves of them, and for each thread to add few numbers in float.
constexpr std::int64_t sum_parts(int multiprocessors, const Columns& c, std::int64_t rows, int resident) {
    constexpr std::int64_t most_in_float = 128;
    const std::int64_t wave = divided_up(std::int64_t(multiprocessors) * resident, c.across);
    const std::int64_t waves = std::max<std::int64_t>(divided_up(divided_up(c.down(rows), most_in_float), wave), 1);
    return std::clamp<std::int64_t>(std::min(c.down(rows), wave * waves), 1, grid_y);
}

/// Floats of scratch memory that sums over rows of elements of T need: two sums a part, and two vectors beside them; for
/// whichever kernel takes the sums.
template <class T> constexpr std::int64_t sums_scratch(int multiprocessors, std::int64_t rows, std::int64_t channels) {
    const Columns c(divided_up(channels, 16 / std::int64_t(sizeof(T))));
    const std::int64_t parts = std::max(sum_parts(multiprocessors, c, rows, gradient_blocks),
                                        sum_parts(multiprocessors, c, rows, most_sum_blocks));
    return (2 * parts + 2) * channels;
}

}  // namespace holon::gpu
