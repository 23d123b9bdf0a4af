// vocabulary.cuh: the few words kernels are written in. nvcc gives them their meaning; in tests a host emulation does
// (tests/gpu/host_cuda.hpp), so that the very same kernels run under the sanitizers where there is no GPU.
#pragma once
#include <cstdint>

#include <holon/core/element.hpp>
#include <holon/op/gpu/kernels.hpp>

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
/// `count` elements that the threads of a block share. Not initialised.
#define HOLON_SHARED(type, name, count) __shared__ type name[count]
#elif !defined(HOLON_HOST_CUDA)
#error "kernels are compiled by nvcc, or by tests behind gpu/host_cuda.hpp"
#endif

namespace holon::gpu {

template <class N> __device__ __forceinline__ N minimum(N a, N b) { return b < a ? b : a; }
template <class N> __device__ __forceinline__ N maximum(N a, N b) { return b > a ? b : a; }

/// A number as sums are kept in, and back, rounded to nearest even.
__device__ __forceinline__ float widen(float value) { return value; }
__device__ __forceinline__ float narrow(float value, float*) { return value; }
#if defined(__CUDA_ARCH__)
__device__ __forceinline__ float widen(bfloat16 value) { return __uint_as_float(std::uint32_t(value.bits) << 16); }
__device__ __forceinline__ float widen(float16 value) { return __half2float(__ushort_as_half(value.bits)); }
__device__ __forceinline__ bfloat16 narrow(float value, bfloat16*) {
    bfloat16 out;
    out.bits = __bfloat16_as_ushort(__float2bfloat16_rn(value));
    return out;
}
__device__ __forceinline__ float16 narrow(float value, float16*) {
    float16 out;
    out.bits = __half_as_ushort(__float2half_rn(value));
    return out;
}
#else
__device__ __forceinline__ float widen(bfloat16 value) { return float(value); }
__device__ __forceinline__ float widen(float16 value) { return float(value); }
__device__ __forceinline__ bfloat16 narrow(float value, bfloat16*) { return bfloat16(value); }
__device__ __forceinline__ float16 narrow(float value, float16*) { return float16(value); }
#endif
template <class T> __device__ __forceinline__ T narrow(float value) { return narrow(value, static_cast<T*>(nullptr)); }

/// W neighbouring elements, read and written in accesses of up to 16 bytes, which is what they are aligned to.
template <class T, int W> struct alignas(W * sizeof(T) < 16 ? W * sizeof(T) : 16) Pack { T element[W]; };

template <int W, class T> __device__ __forceinline__ void read(const T* from, std::int64_t pack, float (&to)[W]) {
    const Pack<T, W> all = reinterpret_cast<const Pack<T, W>*>(from)[pack];
    for (int i = 0; i < W; ++i) to[i] = widen(all.element[i]);
}
template <int W, class T> __device__ __forceinline__ void write(T* to, std::int64_t pack, const float (&from)[W]) {
    Pack<T, W> all;
    for (int i = 0; i < W; ++i) all.element[i] = narrow<T>(from[i]);
    reinterpret_cast<Pack<T, W>*>(to)[pack] = all;
}
/// Writes a gradient, or adds it to what is there.
template <int W, class T> __device__ __forceinline__ void put(T* to, std::int64_t pack, float (&from)[W], bool add) {
    if (add) {
        float before[W];
        read<W>(to, pack, before);
        for (int i = 0; i < W; ++i) from[i] += before[i];
    }
    write<W>(to, pack, from);
}

}  // namespace holon::gpu
