// op/gpu/blas.hpp: matrix products by cuBLAS, whose header (it brings CUDA's own `half` into the global namespace)
// stays in cuda/holon/blas.cpp.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

#include <holon/core/element.hpp>

struct CUstream_st;

namespace holon::gpu {

/// cuBLAS in one stream, over `workspace` bytes on the card that outlive it. Every call throws `DeviceError` with
/// cuBLAS's words.
class Blas {
 public:
    Blas(CUstream_st* stream, void* workspace, std::size_t bytes);
    ~Blas();
    Blas(const Blas&) = delete;
    Blas& operator=(const Blas&) = delete;

    /// c (m x n) = a (m x k) b (k x n), or c += that; each is dense by rows, and read transposed where said. Sums are
    /// float; `tf32` lets float inputs be rounded to 10 bits of fraction. For float, bfloat16 and float16.
    template <class T>
    void product(const T* a, bool a_transposed, const T* b, bool b_transposed, float* c, bool add, int m, int n, int k,
                 bool tf32);

 private:
    struct Handle;
    std::unique_ptr<Handle> handle_;
};

}  // namespace holon::gpu
