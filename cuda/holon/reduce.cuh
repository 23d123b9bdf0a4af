// reduce.cuh: one number out of many, the same in every run.
#pragma once
#include <holon/optimizer.cuh>
#include <holon/vocabulary.cuh>

namespace holon::gpu {

/// Threads of a block of the sums, and the most blocks.
constexpr int reduce_threads = 256;

/// What `join` makes of all threads' `mine`, for every thread of a block of `reduce_threads`, with as many shared doubles.
template <class Shared, class Join> __device__ double block_joined(Shared shared, double mine, const Join& join) {
    const int me = int(threadIdx.x);
    __syncthreads();  // `shared` may have been used before
    shared[me] = mine;
    __syncthreads();
    for (int half = reduce_threads / 2; half > 0; half /= 2) {
        if (me < half) shared[me] = join(shared[me], shared[me + half]);
        __syncthreads();
    }
    return shared[0];
}
template <class Shared> __device__ double block_sum(Shared shared, double mine) {
    return block_joined(shared, mine, [](double a, double b) { return a + b; });
}
template <class Shared> __device__ double block_maximum(Shared shared, double mine) {
    return block_joined(shared, mine, [](double a, double b) { return maximum(a, b); });
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

/// parts[b] = sum of squares over chunk b of several tensors. Grid: all chunks of all of them.
__global__ void square_chunks(const NormPart* all, int count, double* parts) {
    HOLON_SHARED(double, sums, reduce_threads);
    const NormPart& p = part_of(all, count, std::int64_t(blockIdx.x));
    const std::int64_t begin = (std::int64_t(blockIdx.x) - p.first_chunk) * norm_chunk,
                       end = minimum(begin + norm_chunk, p.count);
    double sum = 0;
    for (std::int64_t i = begin + threadIdx.x; i < end; i += reduce_threads) sum += double(p.x[i]) * double(p.x[i]);
    sum = block_sum(sums, sum);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

/// *out = the sum of all parts. One block.
__global__ void join_parts(std::int64_t count, const double* parts, double* out) {
    HOLON_SHARED(double, sums, reduce_threads);
    double sum = 0;
    for (std::int64_t i = threadIdx.x; i < count; i += reduce_threads) sum += parts[i];
    sum = block_sum(sums, sum);
    if (threadIdx.x == 0) *out = sum;
}

/// Formula: op::step_scale. One thread.
__global__ void decide_step(const double* squares, const float* loss, const StepLimit* limit, float* out) {
    const double norm = squares ? sqrt(*squares) : 0.0, real = norm * limit->unscale;
    const bool finite = norm - norm == 0 && (!loss || *loss - *loss == 0);
    out[0] = float(limit->clip > 0 && real > limit->clip ? limit->unscale * limit->clip / real : limit->unscale);
    out[1] = finite ? 1.0f : 0.0f;
    out[2] = float(norm);
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
