// optimizer.cuh: one launch steps all parameters of a network: short vectors and large filters side by side.
#pragma once
#include <holon/vocabulary.cuh>

namespace holon::gpu {

/// The one of several tensors that a chunk belongs to: the last that begins at or before it.
template <class Part> __device__ inline const Part& part_of(const Part* all, int count, std::int64_t chunk) {
    int low = 0, past = count;  // it is among those in between
    while (past - low > 1) {
        const int middle = low + (past - low) / 2;
        if (all[middle].first_chunk <= chunk)
            low = middle;
        else
            past = middle;
    }
    return all[low];
}

/// The elements that this block takes: those of its chunk.
template <class Part> __device__ inline void chunk_of(const Part& p, std::int64_t& begin, std::int64_t& end) {
    begin = (std::int64_t(blockIdx.x) - p.first_chunk) * step_chunk;
    end = minimum(begin + step_chunk, p.count);
}

/// Where element i is of a tensor in 16 bits, in which zeros may be behind the channels of each row.
template <class Part> __device__ inline std::int64_t padded_place(const Part& p, std::int64_t i) {
    return p.channels == p.padded ? i : i / p.channels * p.padded + i % p.channels;
}

/// Writes the value of element i, and its copy in 16 bits where there is one.
__device__ inline void put_value(const StepParameter& p, std::int64_t i, float value) {
    p.value[i] = value;
    if (p.copy_type == NarrowType::none) return;
    const std::int64_t at = padded_place(p, i);
    if (p.copy_type == NarrowType::bfloat16) static_cast<bfloat16*>(p.copy)[at] = narrow<bfloat16>(value);
    if (p.copy_type == NarrowType::float16) static_cast<float16*>(p.copy)[at] = narrow<float16>(value);
}

/// What gradients are multiplied by; false if the step is to be left out. See op::step_scale.
__device__ inline bool is_taken(const float* scale, float& unscale) {
    if (!scale) return true;
    unscale = scale[0];
    return scale[1] != 0;
}

/// Formula: op::AdamStep. Grid: all chunks of all parameters. What changes from step to step is read from memory, so
/// that a recorded step can be launched again.
__global__ void adam_step(const StepParameter* all, int count, const AdamNumbers* numbers, const float* scale) {
    const StepParameter& p = part_of(all, count, std::int64_t(blockIdx.x));
    AdamNumbers n = *numbers;
    if (!is_taken(scale, n.unscale)) return;
    const float rate = p.rate * n.rate;
    std::int64_t begin, end;
    chunk_of(p, begin, end);
    for (std::int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
        const float slope = n.unscale * p.gradient[i] + p.coupled * p.value[i];
        const float first = n.beta1 * p.first[i] + n.rest1 * slope,
                    second = n.beta2 * p.second[i] + n.rest2 * slope * slope;
        p.first[i] = first;
        p.second[i] = second;
        put_value(p, i, p.shrink * p.value[i] - rate * first / (sqrtf(second) * n.root + n.epsilon));
    }
}

/// Formula: op::SgdStep. Grid: all chunks of all parameters.
__global__ void sgd_step(const StepParameter* all, int count, const SgdNumbers* numbers, const float* scale) {
    const StepParameter& p = part_of(all, count, std::int64_t(blockIdx.x));
    SgdNumbers n = *numbers;
    if (!is_taken(scale, n.unscale)) return;
    std::int64_t begin, end;
    chunk_of(p, begin, end);
    for (std::int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
        const float slope = n.unscale * p.gradient[i] + p.coupled * p.value[i];
        float step = slope;
        if (p.first) {
            const float velocity = n.momentum * p.first[i] + slope;
            p.first[i] = velocity;
            step = n.nesterov ? slope + n.momentum * velocity : velocity;
        }
        put_value(p, i, p.shrink * p.value[i] - p.rate * step);
    }
}

/// Grid: all chunks of all gradients.
__global__ void widen_all(const NarrowGradient* all, int count) {
    const NarrowGradient& p = part_of(all, count, std::int64_t(blockIdx.x));
    std::int64_t begin, end;
    chunk_of(p, begin, end);
    for (std::int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
        const std::int64_t at = padded_place(p, i);
        const float slope = p.type == NarrowType::bfloat16 ? widen(static_cast<const bfloat16*>(p.from)[at])
                                                       : widen(static_cast<const float16*>(p.from)[at]);
        p.to[i] = p.add ? p.to[i] + slope : slope;
    }
}

}  // namespace holon::gpu
