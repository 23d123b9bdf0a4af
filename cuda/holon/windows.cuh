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
