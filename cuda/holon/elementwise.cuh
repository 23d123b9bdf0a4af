// elementwise.cuh: what acts on each number by itself, at the speed of copying: packs of 16 bytes, and the rest one by
// one.
#pragma once
#include <holon/vocabulary.cuh>

namespace holon::gpu {

/// Calls `f.run<W>(pack)` for every whole pack of `count` elements and `f.run<1>(element)` for the rest. Any grid.
template <int W, class F> __global__ void each(std::int64_t count, F f) {
    const std::int64_t packs = count / W, stride = std::int64_t(gridDim.x) * blockDim.x;
    const std::int64_t me = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    for (std::int64_t p = me; p < packs; p += stride) f.template run<W>(p);
    for (std::int64_t i = packs * W + me; i < count; i += stride) f.template run<1>(i);
}

/// y = max(x, 0); NaN stays NaN.
template <class T> struct Relu {
    const T* x;
    T* y;
    template <int W> __device__ void run(std::int64_t p) const {
        float v[W];
        read<W>(x, p, v);
        for (int i = 0; i < W; ++i) v[i] = v[i] < 0 ? 0 : v[i];
        write<W>(y, p, v);
    }
};

/// dx = dy where y > 0, else 0.
template <class T> struct ReluBackward {
    const T *y, *dy;
    T* dx;
    bool add;
    template <int W> __device__ void run(std::int64_t p) const {
        float at[W], g[W];
        read<W>(y, p, at);
        read<W>(dy, p, g);
        for (int i = 0; i < W; ++i) g[i] = at[i] > 0 ? g[i] : 0;
        put<W>(dx, p, g, add);
    }
};

/// y = a + b; y may be a or b.
template <class T> struct Add {
    const T *a, *b;
    T* y;
    template <int W> __device__ void run(std::int64_t p) const {
        float left[W], right[W];
        read<W>(a, p, left);
        read<W>(b, p, right);
        for (int i = 0; i < W; ++i) left[i] += right[i];
        write<W>(y, p, left);
    }
};

/// y = x * factor; y may be x.
template <class T> struct Scale {
    const T* x;
    float factor;
    T* y;
    template <int W> __device__ void run(std::int64_t p) const {
        float v[W];
        read<W>(x, p, v);
        for (int i = 0; i < W; ++i) v[i] *= factor;
        write<W>(y, p, v);
    }
};

/// The same numbers as another element type, rounded to nearest even, or added to what is there.
template <class From, class To> struct Carry {
    const From* x;
    To* y;
    bool add;
    template <int W> __device__ void run(std::int64_t p) const {
        float v[W];
        read<W>(x, p, v);
        put<W>(y, p, v, add);
    }
};

/// y_k = 1 / sqrt(variance_k + epsilon).
struct InverseDeviation {
    const float* variance;
    float epsilon;
    float* y;
    template <int W> __device__ void run(std::int64_t p) const {
        float v[W];
        read<W>(variance, p, v);
        for (int i = 0; i < W; ++i) v[i] = 1 / sqrtf(v[i] + epsilon);
        write<W>(y, p, v);
    }
};

}  // namespace holon::gpu
