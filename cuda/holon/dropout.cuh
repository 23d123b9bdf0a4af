// dropout.cuh: a mask from a counter: nothing to keep, and the same mask as on every other device.
#pragma once
#include <holon/core/random.hpp>
#include <holon/vocabulary.cuh>

namespace holon::gpu {

/// y = x where the mask keeps, times `keep`, else 0. Forward and backward alike; four elements of a counter a step.
/// The mask is read from memory, so that a recorded step can be launched with another.
template <class T> __global__ void masked_copy(std::int64_t count, const Mask* from, const T* x, T* y, bool add) {
    const Mask mask = *from;
    for (std::int64_t block = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; 4 * block < count;
         block += std::int64_t(gridDim.x) * blockDim.x) {
        const auto words = philox(mask.seed, mask.first + std::uint64_t(block), mask.stream);
        for (int i = 0; i < 4 && 4 * block + i < count; ++i) {
            const std::int64_t at = 4 * block + i;
            const float v = words[std::size_t(i)] >= mask.bar ? widen(x[at]) * mask.keep : 0;
            y[at] = narrow<T>(add ? widen(y[at]) + v : v);
        }
    }
}

}  // namespace holon::gpu
