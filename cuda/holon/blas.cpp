// blas.cpp: the one file that sees cuBLAS's header.
#include <cublas_v2.h>

#include <holon/core/error.hpp>
#include <holon/op/gpu/blas.hpp>

namespace holon::gpu {

namespace {
void expects_cublas(cublasStatus_t status, const char* what) {
    if (status != CUBLAS_STATUS_SUCCESS) throw DeviceError(text("cuBLAS, ", what, ": ", cublasGetStatusString(status)));
}

template <class T> constexpr cudaDataType_t blas_type() {
    return std::same_as<T, float> ? CUDA_R_32F : std::same_as<T, float16> ? CUDA_R_16F : CUDA_R_16BF;
}
}  // namespace

struct Blas::Handle {
    cublasHandle_t raw = nullptr;
    Handle() { expects_cublas(cublasCreate(&raw), "starting"); }
    ~Handle() { cublasDestroy(raw); }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
};

Blas::Blas(CUstream_st* stream, void* workspace, std::size_t bytes) : handle_(std::make_unique<Handle>()) {
    expects_cublas(cublasSetStream(handle_->raw, stream), "choosing the stream");
    expects_cublas(cublasSetWorkspace(handle_->raw, workspace, bytes), "setting the workspace");
}
Blas::~Blas() = default;

template <class T>
void Blas::product(const T* a, bool a_transposed, const T* b, bool b_transposed, float* c, bool add, int m, int n,
                   int k, bool tf32) {
    const float one = 1, beta = add ? 1.0f : 0.0f;
    const auto compute = std::same_as<T, float> && tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    // cuBLAS counts by columns: what it takes for the transpose of c is c by rows, with the factors exchanged.
    expects_cublas(
        cublasGemmEx(handle_->raw, b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N, a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N,
                     n, m, k, &one, b, blas_type<T>(), b_transposed ? k : n, a, blas_type<T>(), a_transposed ? m : k,
                     &beta, c, CUDA_R_32F, n, compute, CUBLAS_GEMM_DEFAULT),
        "multiplying matrices");
}

template void Blas::product(const float*, bool, const float*, bool, float*, bool, int, int, int, bool);
template void Blas::product(const bfloat16*, bool, const bfloat16*, bool, float*, bool, int, int, int, bool);
template void Blas::product(const float16*, bool, const float16*, bool, float*, bool, int, int, int, bool);

}  // namespace holon::gpu
