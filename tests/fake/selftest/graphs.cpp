// The fake runtime's captures: nothing runs while it is recorded, launches run it again, and what is forbidden ends it.
#include <cublas_v2.h>
#include <cudnn.h>

#include <cmath>

#include "fake/selftest/runtime.hpp"

using namespace holon;
using namespace holon::test;

namespace {

struct Graph {
    ~Graph() {
        if (executable) cudaGraphExecDestroy(executable);
        if (graph) cudaGraphDestroy(graph);
    }
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
};

}  // namespace

TEST_CASE("a graph runs when it is launched, as often as it is", "[fake]") {
    const Fresh fresh;
    const Stream stream;
    const OnDevice<float> a(std::vector<float>{1});
    const Pinned<float> pinned(1);
    pinned[0] = 0;
    cudaStreamCaptureStatus status;
    REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    REQUIRE(cudaStreamIsCapturing(stream, &status) == cudaSuccess);
    CHECK(status == cudaStreamCaptureStatusActive);
    fake::enqueue(stream, [p = static_cast<float*>(a)] { *p *= 2; });
    REQUIRE(cudaMemcpyAsync(pinned, a, 4, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
    Graph g;
    REQUIRE(cudaStreamEndCapture(stream, &g.graph) == cudaSuccess);
    REQUIRE(cudaGraphInstantiate(&g.executable, g.graph, 0) == cudaSuccess);
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(a.values()[0] == 1);
    for (int i = 0; i < 3; ++i) REQUIRE(cudaGraphLaunch(g.executable, stream) == cudaSuccess);
    CHECK(a.values()[0] == 1);
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(a.values()[0] == 8);
    CHECK(pinned[0] == 8);
    CHECK(fake::counts().graph_launches == 3);
    CHECK(fake::counts().allocation_calls == 2);
}

TEST_CASE("memory allocated in a capture belongs to the graph", "[fake]") {
    const Fresh fresh;
    const Stream stream;
    const OnDevice<float> out(1);
    const auto before = fake::counts().bytes;
    {
        Graph g;
        void* scratch = nullptr;
        REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) == cudaSuccess);
        REQUIRE(cudaMallocAsync(&scratch, 4, stream) == cudaSuccess);
        fake::enqueue(stream, [from = static_cast<float*>(scratch), to = static_cast<float*>(out)] {
            *to = std::isnan(*from) ? 1 : 2;
            *from = 5;
        });
        REQUIRE(cudaFreeAsync(scratch, stream) == cudaSuccess);
        REQUIRE(cudaStreamEndCapture(stream, &g.graph) == cudaSuccess);
        REQUIRE(cudaGraphInstantiate(&g.executable, g.graph, 0) == cudaSuccess);
        CHECK(fake::counts().bytes == before + 4);
        for (int i = 0; i < 2; ++i) {
            REQUIRE(cudaGraphLaunch(g.executable, stream) == cudaSuccess);
            REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
            CHECK(out.values()[0] == 1);
        }
    }
    CHECK(fake::counts().bytes == before);
}

TEST_CASE("another stream joins a capture by an event, and must be joined back", "[fake]") {
    const Fresh fresh;
    const Stream stream, side;
    const OnDevice<float> a(std::vector<float>{1});
    cudaEvent_t fork, join;
    REQUIRE(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming) == cudaSuccess);
    REQUIRE(cudaEventCreateWithFlags(&join, cudaEventDisableTiming) == cudaSuccess);
    const bool joined = GENERATE(true, false);
    Graph g;
    REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    REQUIRE(cudaEventRecord(fork, stream) == cudaSuccess);
    REQUIRE(cudaStreamWaitEvent(side, fork, 0) == cudaSuccess);
    fake::enqueue(side, [p = static_cast<float*>(a)] { *p += 1; });
    if (joined) {
        REQUIRE(cudaEventRecord(join, side) == cudaSuccess);
        REQUIRE(cudaStreamWaitEvent(stream, join, 0) == cudaSuccess);
    }
    CHECK(cudaStreamEndCapture(stream, &g.graph) == (joined ? cudaSuccess : cudaErrorStreamCaptureUnjoined));
    CHECK(cudaEventSynchronize(fork) == cudaErrorCapturedEvent);
    if (joined) {
        REQUIRE(cudaGraphInstantiate(&g.executable, g.graph, 0) == cudaSuccess);
        REQUIRE(cudaGraphLaunch(g.executable, stream) == cudaSuccess);
        REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
        CHECK(a.values()[0] == 2);
    }
    CHECK(cudaEventDestroy(fork) == cudaSuccess);
    CHECK(cudaEventDestroy(join) == cudaSuccess);
}

TEST_CASE("what a capture forbids, ends it", "[fake]") {
    const Fresh fresh;
    const Stream stream, other;
    const OnDevice<float> a(1);
    float host = 0;
    void* at = nullptr;
    REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    SECTION("synchronising it") { CHECK(cudaStreamSynchronize(stream) == cudaErrorStreamCaptureUnsupported); }
    SECTION("synchronising the device") { CHECK(cudaDeviceSynchronize() == cudaErrorStreamCaptureUnsupported); }
    SECTION("cudaMalloc") { CHECK(cudaMalloc(&at, 16) == cudaErrorStreamCaptureUnsupported); }
    SECTION("cudaMallocHost") { CHECK(cudaMallocHost(&at, 16) == cudaErrorStreamCaptureUnsupported); }
    SECTION("making and trimming pools") {
        cudaMemPool_t pool = nullptr;
        cudaMemPoolProps props{};
        props.allocType = cudaMemAllocationTypePinned;
        props.location.type = cudaMemLocationTypeDevice;
        CHECK(cudaMemPoolCreate(&pool, &props) == cudaErrorStreamCaptureUnsupported);
        REQUIRE(cudaDeviceGetDefaultMemPool(&pool, 0) == cudaSuccess);
        CHECK(cudaMemPoolTrimTo(pool, 0) == cudaErrorStreamCaptureUnsupported);
    }
    SECTION("starting cuDNN and cuBLAS") {
        cudnnHandle_t dnn = nullptr;
        CHECK(cudnnCreate(&dnn) == CUDNN_STATUS_NOT_INITIALIZED);
        cublasHandle_t blas = nullptr;
        CHECK(cublasCreate(&blas) == CUBLAS_STATUS_NOT_INITIALIZED);
    }
    SECTION("a copy to pageable memory") {
        CHECK(cudaMemcpyAsync(&host, a, 4, cudaMemcpyDeviceToHost, stream) == cudaErrorStreamCaptureUnsupported);
    }
    SECTION("cudaMemcpy") {
        CHECK(cudaMemcpy(&host, a, 4, cudaMemcpyDeviceToHost) == cudaErrorStreamCaptureUnsupported);
    }
    SECTION("waiting for work outside it") {
        cudaEvent_t event;
        REQUIRE(cudaEventCreate(&event) == cudaSuccess);
        REQUIRE(cudaEventRecord(event, other) == cudaSuccess);
        CHECK(cudaStreamWaitEvent(stream, event, 0) == cudaErrorStreamCaptureIsolation);
        CHECK(cudaEventDestroy(event) == cudaSuccess);
    }
    fake::enqueue(stream, [] {});
    CHECK(cudaGetLastError() == cudaErrorStreamCaptureInvalidated);
    cudaGraph_t graph = nullptr;
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated);
    CHECK(graph == nullptr);
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorIllegalState);
    CHECK(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal) == cudaErrorStreamCaptureUnsupported);
    CHECK(cudaDeviceSynchronize() == cudaSuccess);
}

TEST_CASE("a relaxed capture lets its thread allocate", "[fake]") {
    const Fresh fresh;
    const Stream stream;
    REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed) == cudaSuccess);
    const OnDevice<float> a(1);
    cudaGraph_t graph = nullptr;
    REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
    CHECK(cudaGraphDestroy(graph) == cudaSuccess);
}
