// A kernel with a barrier, emulated, on a fake stream. In a file of its own: the emulation and CUDA's headers both
// define what CUDA's language has.
#include "gpu/host_cuda.hpp"

#include "fake/fake.hpp"

namespace holon::test {
namespace {

__global__ void reverse(float* values) {
    HOLON_SHARED(float, kept, 64);
    kept[threadIdx.x] = values[threadIdx.x];
    __syncthreads();
    values[threadIdx.x] = kept[blockDim.x - 1 - threadIdx.x];
}

}  // namespace

void launch_reverse(cudaStream_t stream, float* values, unsigned count) {
    fake::enqueue(stream, [=] { host_cuda::run(reverse, 1, count, values); });
}

}  // namespace holon::test
