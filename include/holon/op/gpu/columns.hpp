// op/gpu/columns.hpp: how kernels share out a matrix of rows x channels among blocks, and the scratch memory that sums over
// its rows take. Plain arithmetic: plans of a step ask too, on machines without CUDA.
#pragma once
#include <algorithm>
#include <cstdint>

namespace holon::gpu {

/// Threads of a block: `lanes` packs of channels side by side (at most `most_lanes`), and as many rows as are left.
constexpr int column_threads = 256, most_lanes = 32;

/// Packs side by side of kernels that sum: 128 bytes of a row. In narrow columns of blocks each has few channels, whose sums
/// its last block finishes; `most_columns` is how many of them can be counted.
constexpr int sum_lanes = 8;
constexpr std::int64_t most_columns = 1 << 14;

/// Blocks that a multiprocessor is to hold of the kernels that sum: those with few coefficients, and batch norm's gradients.
constexpr int most_sum_blocks = 4, gradient_blocks = 3;

/// The most blocks of a grid along its second extent.
constexpr std::int64_t grid_y = 65535;

constexpr std::int64_t divided_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Blocks for `packs` packs of channels: as many side by side as there are, up to `most`.
struct Columns {
    int lanes = 1, lines = column_threads;
    std::int64_t across = 1;  ///< blocks over the packs
    constexpr explicit Columns(std::int64_t packs, int most = most_lanes) {
        while (lanes < most && lanes < packs) lanes *= 2;
        lines = column_threads / lanes;
        across = divided_up(packs, lanes);
    }
    constexpr std::int64_t down(std::int64_t rows) const { return divided_up(rows, lines); }
};

/// The columns of kernels that sum over rows of elements of T.
template <class T> constexpr Columns sum_columns(std::int64_t channels) {
    return Columns(divided_up(channels, 16 / std::int64_t(sizeof(T))), sum_lanes);
}

/// Into how many parts sums over the rows are cut: enough to fill the card with `resident` blocks a multiprocessor, in
/// whole waves of them, and for each thread to add few numbers in float.
constexpr std::int64_t sum_parts(int multiprocessors, const Columns& c, std::int64_t rows, int resident) {
    constexpr std::int64_t most_in_float = 128;
    const std::int64_t wave = std::max<std::int64_t>(std::int64_t(multiprocessors) * resident / c.across, 1);
    const std::int64_t waves = std::max<std::int64_t>(divided_up(divided_up(c.down(rows), most_in_float), wave), 1);
    return std::clamp<std::int64_t>(std::min(c.down(rows), wave * waves), 1, grid_y);
}

/// What a kernel that sums keeps for each channel: sums of each part, and vectors beside them.
struct SumsKept {
    int sums, vectors;
};
constexpr SumsKept bias_sums{1, 0}, moment_sums{2, 1}, gradient_sums{2, 2}, pair_gradient_sums{3, 4};

/// Floats of scratch memory that a kernel needs which sums over rows of elements of T.
template <class T>
constexpr std::int64_t sums_scratch(int multiprocessors, std::int64_t rows, std::int64_t channels, SumsKept kept) {
    const Columns c = sum_columns<T>(channels);
    const std::int64_t parts = std::max(sum_parts(multiprocessors, c, rows, gradient_blocks),
                                        sum_parts(multiprocessors, c, rows, most_sum_blocks));
    return (kept.sums * parts + kept.vectors) * channels;
}

}  // namespace holon::gpu
