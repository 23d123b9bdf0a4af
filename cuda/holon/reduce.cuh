// reduce.cuh: one number out of many, the same in every run.
#pragma once
#include <holon/vocabulary.cuh>

namespace holon::gpu {

/// Threads of a block of the sums, and the most blocks.
constexpr int reduce_threads = 256;

/// The sum of a block's `mine`, for thread 0; every thread of the block calls it, with `reduce_threads` shared doubles.
template <class Shared> __device__ double block_sum(Shared shared, double mine) {
    const int me = int(threadIdx.x);
    shared[me] = mine;
    __syncthreads();
    for (int half = reduce_threads / 2; half > 0; half /= 2) {
        if (me < half) shared[me] += shared[me + half];
        __syncthreads();
    }
    return shared[0];
}

/// parts[b] = sum of squares of every gridDim.x * 256th element from 256 b on. Blocks of `reduce_threads`.
template <class T> __global__ void square_parts(std::int64_t count, const T* x, double* parts) {
    HOLON_SHARED(double, sums, reduce_threads);
    double sum = 0;
    for (std::int64_t i = std::int64_t(blockIdx.x) * reduce_threads + threadIdx.x; i < count;
         i += std::int64_t(gridDim.x) * reduce_threads)
        sum += double(widen(x[i])) * double(widen(x[i]));
    sum = block_sum(sums, sum);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

/// *out = the sum of at most `reduce_threads` parts. One block.
__global__ void join_parts(int count, const double* parts, double* out) {
    HOLON_SHARED(double, sums, reduce_threads);
    const double sum = block_sum(sums, int(threadIdx.x) < count ? parts[threadIdx.x] : 0.0);
    if (threadIdx.x == 0) *out = sum;
}

/// Every thread that finds one writes the same 1.
template <class T> __global__ void not_finite(std::int64_t count, const T* x, int* bad) {
    bool found = false;
    for (std::int64_t i = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
         i += std::int64_t(gridDim.x) * blockDim.x) {
        const float v = widen(x[i]);
        found = found || !(v - v == 0);
    }
    if (found) *bad = 1;
}

}  // namespace holon::gpu
