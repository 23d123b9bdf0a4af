// windows.cuh: how kernels of pooling share out an image, and which windows cover a position.
//
// A block takes lines (image and row) of the tensor that it writes, blockDim.x packs of channels and every blockDim.y-th
// column, so that a line is divided into image and row once, and nothing in 64 bits.
#pragma once
#include <holon/vocabulary.cuh>

namespace holon::gpu {

/// The image and the row of a line.
struct Line {
    std::int64_t image;
    int row;
    __device__ Line(std::int64_t line, std::int64_t rows) {
        if (line >> 32 == 0)
            image = std::uint32_t(line) / std::uint32_t(rows);
        else
            image = line / rows;
        row = int(line - image * rows);
    }
};

/// Calls f(line, at, column) for the block's lines of n x rows and, in each, the thread's columns.
template <class F>
__device__ __forceinline__ void each_position(std::int64_t n, std::int64_t rows, std::int64_t columns, const F& f) {
    const int last = int(columns);
    for (std::int64_t line = blockIdx.y; line < n * rows; line += gridDim.y) {
        const Line at(line, rows);
        for (int column = int(threadIdx.y); column < last; column += int(blockDim.y)) f(line, at, column);
    }
}

/// The windows that cover a position along one axis: from `first` to `last`.
struct Covering {
    int first, last;
    __device__ Covering(int at, int pad, int window, int step, std::int64_t count) {
        const unsigned by = unsigned(step);
        first = int(unsigned(maximum(at + pad - window + step, 0)) / by);  // (at + pad - window + 1) / step, rounded up
        last = minimum(int(unsigned(at + pad) / by), int(count - 1));
    }
};

}  // namespace holon::gpu
