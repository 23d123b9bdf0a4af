// fake/cublas.cpp: matrix products as cuBLAS does them, by three loops that run when the handle's stream comes to them.
#include <cublas_v2.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "fake/numbers.hpp"
#include "fake/runtime.hpp"

struct cublasContext {
    cudaStream_t stream = nullptr;
    cublasMath_t math = CUBLAS_DEFAULT_MATH;
    void* workspace = nullptr;
    std::size_t workspace_bytes = 0;
    bool destroyed = false;
};

namespace holon::fake {
namespace {

Handles<cublasContext>& handles() {
    static auto* const all = new Handles<cublasContext>;
    return *all;
}

cublasContext& context_of(cublasHandle_t handle, const char* caller) {
    return handles().find(handle, caller, "cuBLAS handle");
}

std::optional<Format> format_of(cudaDataType type) {
    switch (type) {
        case CUDA_R_32F:
            return Format::float32;
        case CUDA_R_16F:
            return Format::float16;
        case CUDA_R_16BF:
            return Format::bfloat16;
        default:
            return std::nullopt;
    }
}

/// A column-major matrix, perhaps read as its transpose.
struct Matrix {
    const void* at;
    Format format;
    std::int64_t leading;
    bool transposed;
    bool tf32;

    double operator()(std::int64_t row, std::int64_t column) const {
        const double v = load(format, at, transposed ? column + row * leading : row + column * leading);
        return tf32 ? to_tf32(v) : v;
    }
    /// Bytes from its first element to its last, of op(matrix) with these dimensions.
    std::size_t span(std::int64_t rows, std::int64_t columns) const {
        if (transposed) std::swap(rows, columns);
        return std::size_t(((columns - 1) * leading + rows) * bytes_of(format));
    }
};

/// C = alpha A B + beta C; where beta is 0, C is not read.
void multiply(std::int64_t m, std::int64_t n, std::int64_t k, double alpha, const Matrix& a, const Matrix& b,
              double beta, void* c, Format c_format, std::int64_t ldc) {
    std::vector<double> column(static_cast<std::size_t>(k));
    std::vector<double> left(static_cast<std::size_t>(m * k));
    for (std::int64_t i = 0; i < m; ++i)
        for (std::int64_t l = 0; l < k; ++l) left[std::size_t(i * k + l)] = a(i, l);
    for (std::int64_t j = 0; j < n; ++j) {
        for (std::int64_t l = 0; l < k; ++l) column[std::size_t(l)] = b(l, j);
        for (std::int64_t i = 0; i < m; ++i) {
            double sum = 0;
            for (std::int64_t l = 0; l < k; ++l) sum += left[std::size_t(i * k + l)] * column[std::size_t(l)];
            const double before = beta == 0 ? 0 : beta * load(c_format, c, i + j * ldc);
            store(c_format, c, i + j * ldc, alpha * sum + before);
        }
    }
}

}  // namespace
}  // namespace holon::fake

using namespace holon::fake;

extern "C" {

cublasStatus_t CUBLASWINAPI cublasCreate_v2(cublasHandle_t* handle) {
    const Lock lock(runtime().mutex);
    if (ready() != cudaSuccess || forbidden_in_capture() != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (runtime().settings.compute_capability < runtime().settings.oldest_kernels) return CUBLAS_STATUS_ARCH_MISMATCH;
    *handle = handles().make();
    ++runtime().counts.handles;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasDestroy_v2(cublasHandle_t handle) {
    const Lock lock(runtime().mutex);
    context_of(handle, "cublasDestroy").destroyed = true;
    --runtime().counts.handles;
    return CUBLAS_STATUS_SUCCESS;
}

/// Also takes the workspace away, as cuBLAS does.
cublasStatus_t CUBLASWINAPI cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    const Lock lock(runtime().mutex);
    cublasContext& context = context_of(handle, "cublasSetStream");
    stream_of(stream, "cublasSetStream");
    context.stream = stream;
    context.workspace = nullptr;
    context.workspace_bytes = 0;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasGetStream_v2(cublasHandle_t handle, cudaStream_t* stream) {
    const Lock lock(runtime().mutex);
    *stream = context_of(handle, "cublasGetStream").stream;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, size_t bytes) {
    const Lock lock(runtime().mutex);
    cublasContext& context = context_of(handle, "cublasSetWorkspace");
    if (bytes && (!device_block_of(workspace, bytes) || reinterpret_cast<std::uintptr_t>(workspace) % 256 != 0))
        return CUBLAS_STATUS_INVALID_VALUE;
    context.workspace = bytes ? workspace : nullptr;
    context.workspace_bytes = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
    const Lock lock(runtime().mutex);
    context_of(handle, "cublasSetMathMode").math = mode;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t CUBLASWINAPI cublasGetVersion_v2(cublasHandle_t, int* version) {
    *version = CUBLAS_VERSION;
    return CUBLAS_STATUS_SUCCESS;
}

const char* CUBLASWINAPI cublasGetStatusString(cublasStatus_t status) {
    switch (status) {
        case CUBLAS_STATUS_SUCCESS:
            return "the operation completed successfully";
        case CUBLAS_STATUS_NOT_INITIALIZED:
            return "the library was not initialized";
        case CUBLAS_STATUS_ALLOC_FAILED:
            return "the resource allocation failed";
        case CUBLAS_STATUS_INVALID_VALUE:
            return "an unsupported value or parameter was passed to the function";
        case CUBLAS_STATUS_ARCH_MISMATCH:
            return "the function requires an architectural feature absent from the device";
        case CUBLAS_STATUS_EXECUTION_FAILED:
            return "the function failed to launch on the GPU";
        case CUBLAS_STATUS_NOT_SUPPORTED:
            return "the functionality requested is not supported";
        default:
            return "an internal operation failed";
    }
}

cublasStatus_t CUBLASWINAPI cublasGemmEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
                                         int m, int n, int k, const void* alpha, const void* a, cudaDataType a_type,
                                         int lda, const void* b, cudaDataType b_type, int ldb, const void* beta,
                                         void* c, cudaDataType c_type, int ldc, cublasComputeType_t compute,
                                         cublasGemmAlgo_t) {
    Runtime& r = runtime();
    const Lock lock(r.mutex);
    const cublasContext& context = context_of(handle, "cublasGemmEx");
    const auto a_format = format_of(a_type), b_format = format_of(b_type), c_format = format_of(c_type);
    const bool fast = compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    if (!fast && compute != CUBLAS_COMPUTE_32F && compute != CUBLAS_COMPUTE_32F_PEDANTIC)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (!a_format || !b_format || !c_format || a_type != b_type || (c_type != CUDA_R_32F && c_type != a_type))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    const bool ta = transa != CUBLAS_OP_N, tb = transb != CUBLAS_OP_N;
    if (m < 0 || n < 0 || k < 0 || !alpha || !beta || lda < std::max(1, ta ? k : m) || ldb < std::max(1, tb ? n : k) ||
        ldc < std::max(1, m))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (m == 0 || n == 0) return CUBLAS_STATUS_SUCCESS;

    const bool tf32 = *a_format == Format::float32 &&
                      (fast || (compute == CUBLAS_COMPUTE_32F && context.math == CUBLAS_TF32_TENSOR_OP_MATH));
    const Matrix left{a, *a_format, lda, ta, tf32}, right{b, *b_format, ldb, tb, tf32},
        result{c, *c_format, ldc, false, false};
    const auto inside = [](const Matrix& x, int rows, int columns) {
        return rows == 0 || columns == 0 || device_block_of(x.at, x.span(rows, columns));
    };
    if (!inside(left, m, k) || !inside(right, k, n) || !inside(result, m, n)) return CUBLAS_STATUS_INVALID_VALUE;
    const double factor = *static_cast<const float*>(alpha), keep = *static_cast<const float*>(beta);
    ++r.counts.gemms;
    if (!context.workspace) ++r.counts.gemms_in_default_workspace;
    const cudaError_t error = submit(
        context.stream,
        [=, workspace = context.workspace, bytes = context.workspace_bytes] {
            const char* const me = "a matrix product that was put on a stream";
            if (k) still_there(a, left.span(m, k), Block::device, me);
            if (k) still_there(b, right.span(k, n), Block::device, me);
            still_there(c, result.span(m, n), Block::device, me);
            if (bytes) still_there(workspace, bytes, Block::device, me);
            scribble(workspace, bytes);
            multiply(m, n, k, factor, left, right, keep, c, *c_format, ldc);
            scribble(workspace, bytes);
        },
        "cublasGemmEx");
    return error ? CUBLAS_STATUS_EXECUTION_FAILED : CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
