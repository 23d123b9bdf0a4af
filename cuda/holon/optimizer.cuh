// optimizer.cuh: one launch steps all parameters of a network: short vectors and large filters side by side.
#pragma once
#include <holon/vocabulary.cuh>

namespace holon::gpu {

/// Elements that one block steps.
constexpr int step_chunk = 2048;

/// One parameter of a step. `first_chunk` counts the chunks of the parameters before it.
struct AdamParameter {
    const float* gradient;
    float *value, *first, *second;
    std::int64_t count, first_chunk;
    float rate;     ///< learning rate / (1 - beta1^step)
    float coupled;  ///< times the value, joins the gradient
    float shrink;   ///< 1 - learning rate * decoupled decay
};

struct AdamNumbers {
    float beta1, rest1, beta2, rest2;
    float root;  ///< 1 / sqrt(1 - beta2^step)
    float epsilon;
};

/// The parameter that a chunk belongs to: the last that begins at or before it.
template <class Parameter>
__device__ inline const Parameter& parameter_of(const Parameter* all, int count, std::int64_t chunk) {
    int low = 0, high = count - 1;
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if (all[middle].first_chunk <= chunk)
            low = middle;
        else
            high = middle - 1;
    }
    return all[low];
}

/// Formula: op::AdamStep. Grid: all chunks of all parameters.
__global__ void adam_step(const AdamParameter* all, int count, AdamNumbers n) {
    const AdamParameter& p = parameter_of(all, count, std::int64_t(blockIdx.x));
    const std::int64_t begin = (std::int64_t(blockIdx.x) - p.first_chunk) * step_chunk;
    const std::int64_t end = begin + step_chunk < p.count ? begin + step_chunk : p.count;
    for (std::int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
        const float slope = p.gradient[i] + p.coupled * p.value[i];
        const float first = n.beta1 * p.first[i] + n.rest1 * slope,
                    second = n.beta2 * p.second[i] + n.rest2 * slope * slope;
        p.first[i] = first;
        p.second[i] = second;
        p.value[i] = p.shrink * p.value[i] - p.rate * first / (sqrtf(second) * n.root + n.epsilon);
    }
}

}  // namespace holon::gpu
