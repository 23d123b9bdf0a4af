// The fake cuBLAS against three loops.
#include <cublas_v2.h>  // brings a global `half`

#include "fake/selftest/numbers.hpp"
#include "fake/selftest/runtime.hpp"

using namespace holon;
using namespace holon::test;

namespace {

struct Blas {
    Blas() { REQUIRE(cublasCreate(&raw) == CUBLAS_STATUS_SUCCESS); }
    ~Blas() { cublasDestroy(raw); }
    operator cublasHandle_t() const { return raw; }
    cublasHandle_t raw = nullptr;
};

template <class T> constexpr cudaDataType type_of() {
    return std::same_as<T, float> ? CUDA_R_32F : std::same_as<T, float16> ? CUDA_R_16F : CUDA_R_16BF;
}

}  // namespace

TEMPLATE_TEST_CASE("products in all transpositions, with leading dimensions and beta", "[fake]", float, float16,
                   bfloat16) {
    using T = TestType;
    const Fresh fresh;
    const Stream stream;
    const Blas blas;
    REQUIRE(cublasSetStream(blas, stream) == CUBLAS_STATUS_SUCCESS);
    const int m = 5, n = 3, k = 4;
    const bool ta = GENERATE(false, true), tb = GENERATE(false, true);
    const float alpha = 0.5f, beta = GENERATE(0.0f, 2.0f);
    const int lda = (ta ? k : m) + 2, ldb = (tb ? n : k) + 1, ldc = m + 3;
    const auto a = normal_numbers<T>(std::size_t(lda * (ta ? m : k)), 1);
    const auto b = normal_numbers<T>(std::size_t(ldb * (tb ? k : n)), 2);
    const auto c = normal_numbers<T>(std::size_t(ldc * n), 3);
    auto start = c;
    if (beta == 0) start.assign(c.size(), T(NAN));  // must not be read
    const OnDevice<T> da(a), db(b), dc(start);
    const auto done = cublasGemmEx(blas, ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb ? CUBLAS_OP_T : CUBLAS_OP_N, m, n, k,
                                   &alpha, da, type_of<T>(), lda, db, type_of<T>(), ldb, &beta, dc, type_of<T>(), ldc,
                                   CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
    REQUIRE(done == CUBLAS_STATUS_SUCCESS);
    const auto early = dc.values();
    CHECK((std::isnan(float(early[0])) || float(early[0]) == float(c[0])));  // nobody has waited
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    const auto result = dc.values();
    std::vector<T> got;
    std::vector<double> expected;
    for (int j = 0; j < n; ++j)
        for (int i = 0; i < m; ++i) {
            double sum = 0;
            for (int l = 0; l < k; ++l)
                sum += double(float(a[std::size_t(ta ? l + i * lda : i + l * lda)])) *
                       double(float(b[std::size_t(tb ? j + l * ldb : l + j * ldb)]));
            expected.push_back(alpha * sum + (beta == 0 ? 0 : beta * double(float(c[std::size_t(i + j * ldc)]))));
            got.push_back(result[std::size_t(i + j * ldc)]);
        }
    CHECK(apart(got, expected) < one_rounding<T>());
    CHECK(std::isnan(float(result[std::size_t(m)])) == (beta == 0));  // between the columns, nothing is touched
}

TEST_CASE("16-bit factors, float product; TF32 only where it is allowed", "[fake]") {
    const Fresh fresh;
    const Stream stream;
    const Blas blas;
    REQUIRE(cublasSetStream(blas, stream) == CUBLAS_STATUS_SUCCESS);
    const float one = 1, zero = 0;
    SECTION("bfloat16 to float") {
        const OnDevice<bfloat16> a(std::vector<bfloat16>{1.5f}), b(std::vector<bfloat16>{1.0078125f});
        const OnDevice<float> c(1);
        REQUIRE(cublasGemmEx(blas, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a, CUDA_R_16BF, 1, b, CUDA_R_16BF, 1, &zero,
                             c, CUDA_R_32F, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS);
        REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
        CHECK(c.values()[0] == 1.51171875f);
    }
    SECTION("TF32") {
        const float fine = 1 + 0x1p-12f;
        const OnDevice<float> a(std::vector<float>{fine}), b(std::vector<float>{1}), c(1);
        const auto product = [&](cublasComputeType_t compute) {
            REQUIRE(cublasGemmEx(blas, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a, CUDA_R_32F, 1, b, CUDA_R_32F, 1,
                                 &zero, c, CUDA_R_32F, 1, compute, CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS);
            REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
            return c.values()[0];
        };
        CHECK(product(CUBLAS_COMPUTE_32F) == fine);
        CHECK(product(CUBLAS_COMPUTE_32F_FAST_TF32) == 1);
        REQUIRE(cublasSetMathMode(blas, CUBLAS_TF32_TENSOR_OP_MATH) == CUBLAS_STATUS_SUCCESS);
        CHECK(product(CUBLAS_COMPUTE_32F) == 1);
        CHECK(product(CUBLAS_COMPUTE_32F_PEDANTIC) == fine);
    }
}

TEST_CASE("what cuBLAS refuses", "[fake]") {
    const Fresh fresh;
    const Blas blas;
    const OnDevice<float> a(12), b(12), c(12);
    const float one = 1, zero = 0;
    const auto gemm = [&](int m, int lda, int ldb, int ldc, const float* from, cudaDataType type = CUDA_R_32F,
                          cublasComputeType_t compute = CUBLAS_COMPUTE_32F) {
        return cublasGemmEx(blas, CUBLAS_OP_N, CUBLAS_OP_T, m, 3, 4, &one, from, type, lda, b, type, ldb, &zero, c,
                            CUDA_R_32F, ldc, compute, CUBLAS_GEMM_DEFAULT);
    };
    std::vector<float> host(12);
    CHECK(gemm(3, 3, 3, 3, a) == CUBLAS_STATUS_SUCCESS);
    CHECK(gemm(3, 2, 3, 3, a) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(gemm(3, 3, 2, 3, a) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(gemm(3, 3, 3, 2, a) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(gemm(-1, 3, 3, 3, a) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(gemm(0, 3, 3, 3, a) == CUBLAS_STATUS_SUCCESS);
    CHECK(gemm(3, 3, 3, 3, host.data()) == CUBLAS_STATUS_INVALID_VALUE);                 // not device memory
    CHECK(gemm(3, 3, 3, 3, static_cast<float*>(a) + 1) == CUBLAS_STATUS_INVALID_VALUE);  // past its end
    CHECK(gemm(3, 3, 3, 3, a, CUDA_R_64F) == CUBLAS_STATUS_NOT_SUPPORTED);
    CHECK(gemm(3, 3, 3, 3, a, CUDA_R_32F, CUBLAS_COMPUTE_16F) == CUBLAS_STATUS_NOT_SUPPORTED);
    CHECK(std::string(cublasGetStatusString(CUBLAS_STATUS_INVALID_VALUE)) ==
          "an unsupported value or parameter was passed to the function");
    fake::settings().devices = 0;
    cublasHandle_t none = nullptr;
    CHECK(cublasCreate(&none) == CUBLAS_STATUS_NOT_INITIALIZED);
    fake::reset();
    CHECK(cudaDeviceSynchronize() == cudaSuccess);
}

TEST_CASE("a workspace is scribbled over, and lost when the stream is set", "[fake]") {
    const Fresh fresh;
    const Stream stream;
    const Blas blas;
    const OnDevice<float> a(std::vector<float>{2}), c(1), workspace(64);
    const float one = 1, zero = 0;
    const auto gemm = [&] {
        REQUIRE(cublasGemmEx(blas, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a, CUDA_R_32F, 1, a, CUDA_R_32F, 1, &zero,
                             c, CUDA_R_32F, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS);
        REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    };
    REQUIRE(cublasSetStream(blas, stream) == CUBLAS_STATUS_SUCCESS);
    REQUIRE(cublasSetWorkspace(blas, workspace, 256) == CUBLAS_STATUS_SUCCESS);
    CHECK(cublasSetWorkspace(blas, workspace, 257) == CUBLAS_STATUS_INVALID_VALUE);
    gemm();
    CHECK(c.values()[0] == 4);
    CHECK_FALSE(std::isnan(workspace.values()[63]));
    CHECK(fake::counts().gemms_in_default_workspace == 0);
    REQUIRE(cublasSetStream(blas, stream) == CUBLAS_STATUS_SUCCESS);
    gemm();
    CHECK(fake::counts().gemms_in_default_workspace == 1);
    CHECK(fake::counts().gemms == 2);
}
