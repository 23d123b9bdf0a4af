// channels.cuh: images and filters with channels of zeros behind theirs, up to what a convolution on tensor cores takes.
#pragma once
#include <holon/vocabulary.cuh>

namespace holon::gpu {

/// y's rows of `pack_width<To>` channels become x's of `channels`, with zeros behind them. Any grid.
template <class From, class To>
__global__ void zero_padded_channels(std::int64_t rows, int channels, const From* x, To* y) {
    constexpr int W = pack_width<To>;
    const std::int64_t stride = std::int64_t(gridDim.x) * blockDim.x;
    for (std::int64_t row = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; row < rows; row += stride) {
        float v[W];
        for (int i = 0; i < W; ++i) v[i] = i < channels ? widen(x[row * channels + i]) : 0.0f;
        write<W>(y, row, v);
    }
}

}  // namespace holon::gpu
