// The fake runtime's streams, events and copies: late, in order, and no later than CUDA allows.
#include <chrono>
#include <stdexcept>
#include <thread>

#include "fake/selftest/runtime.hpp"

using namespace holon;
using namespace holon::test;

namespace holon::test {
void launch_reverse(cudaStream_t stream, float* values, unsigned count);  // kernel.cpp
}

TEST_CASE("a pinned source is read when the copy runs, a pageable one when it is called", "[fake]") {
    const Fresh fresh;
    const Stream stream;
    const OnDevice<float> a(1), b(1);
    const Pinned<float> pinned(1);
    float pageable = 1;
    pinned[0] = 1;
    REQUIRE(cudaMemcpyAsync(a, pinned, sizeof(float), cudaMemcpyHostToDevice, stream) == cudaSuccess);
    REQUIRE(cudaMemcpyAsync(b, &pageable, sizeof(float), cudaMemcpyHostToDevice, stream) == cudaSuccess);
    pinned[0] = pageable = 2;  // too early for the pinned one
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(a.values()[0] == 2);
    CHECK(b.values()[0] == 1);
}

TEST_CASE("a pinned destination is written when the copy runs, a pageable one before the call returns", "[fake]") {
    const Fresh fresh;
    const Stream stream;
    const OnDevice<float> a(std::vector<float>{7});
    const Pinned<float> pinned(1);
    float pageable = 0;
    pinned[0] = 0;
    REQUIRE(cudaMemcpyAsync(pinned, a, sizeof(float), cudaMemcpyDeviceToHost, stream) == cudaSuccess);
    CHECK(pinned[0] == 0);
    REQUIRE(cudaMemcpyAsync(&pageable, a, sizeof(float), cudaMemcpyDeviceToHost, stream) == cudaSuccess);
    CHECK(pageable == 7);
    CHECK(pinned[0] == 7);  // it came before on the same stream
}

TEST_CASE("work waits for a synchronisation, and cudaMemcpy is none for a non-blocking stream", "[fake]") {
    const Fresh fresh;
    const Stream stream;
    const OnDevice<float> a(std::vector<float>{1});
    fake::enqueue(stream, [p = static_cast<float*>(a)] { *p = 5; });
    CHECK(a.values()[0] == 1);
    CHECK(fake::counts().waiting == 1);
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(a.values()[0] == 5);
    CHECK(fake::counts().waiting == 0);
    CHECK(fake::counts().kernels == 1);
}

TEST_CASE("an emulated kernel runs in its place on the stream", "[fake]") {
    const Fresh fresh;
    const Stream stream;
    const OnDevice<float> a(3);
    const std::vector<float> host{1, 2, 3};
    REQUIRE(cudaMemcpyAsync(a, host.data(), 12, cudaMemcpyHostToDevice, stream) == cudaSuccess);
    launch_reverse(stream, a, 3);
    std::vector<float> out(3);
    REQUIRE(cudaMemcpyAsync(out.data(), a, 12, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
    CHECK(out == std::vector<float>{3, 2, 1});
}

TEST_CASE("a blocking stream and the legacy stream wait for each other", "[fake]") {
    const Fresh fresh;
    cudaStream_t blocking;
    REQUIRE(cudaStreamCreateWithFlags(&blocking, cudaStreamDefault) == cudaSuccess);
    const OnDevice<float> a(std::vector<float>{1});
    fake::enqueue(blocking, [p = static_cast<float*>(a)] { *p += 1; });
    fake::enqueue(nullptr, [p = static_cast<float*>(a)] { *p *= 10; });
    fake::enqueue(blocking, [p = static_cast<float*>(a)] { *p += 3; });
    REQUIRE(cudaStreamSynchronize(blocking) == cudaSuccess);
    CHECK(a.values()[0] == 23);
    CHECK(cudaStreamDestroy(blocking) == cudaSuccess);
}

TEST_CASE("an event orders two streams, and only what it needs runs", "[fake]") {
    const Fresh fresh;
    const Stream first, second;
    cudaEvent_t event;
    REQUIRE(cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess);
    const OnDevice<float> a(std::vector<float>{1});
    float* const p = a;
    SECTION("with a wait") {
        fake::enqueue(first, [p] { *p = 2; });
        REQUIRE(cudaEventRecord(event, first) == cudaSuccess);
        fake::enqueue(first, [p] { *p = 100; });
        REQUIRE(cudaStreamWaitEvent(second, event, 0) == cudaSuccess);
        fake::enqueue(second, [p] { *p *= 3; });
        REQUIRE(cudaStreamSynchronize(second) == cudaSuccess);
        CHECK(a.values()[0] == 6);
        REQUIRE(cudaStreamSynchronize(first) == cudaSuccess);
        CHECK(a.values()[0] == 100);
    }
    SECTION("without one, the second stream sees the old number") {
        fake::enqueue(first, [p] { *p = 2; });
        fake::enqueue(second, [p] { *p *= 3; });
        REQUIRE(cudaStreamSynchronize(second) == cudaSuccess);
        CHECK(a.values()[0] == 3);
    }
    SECTION("cudaEventSynchronize runs up to the event") {
        fake::enqueue(first, [p] { *p = 2; });
        REQUIRE(cudaEventRecord(event, first) == cudaSuccess);
        fake::enqueue(first, [p] { *p = 100; });
        CHECK(cudaEventQuery(event) == cudaErrorNotReady);
        REQUIRE(cudaEventSynchronize(event) == cudaSuccess);
        CHECK(cudaEventQuery(event) == cudaSuccess);
        CHECK(a.values()[0] == 2);
    }
    SECTION("a loop that asks comes to an end") {
        for (int i = 0; i < 5; ++i) fake::enqueue(first, [p] { *p += 1; });
        int questions = 0;
        while (cudaStreamQuery(first) == cudaErrorNotReady) ++questions;
        CHECK(questions == 5);
        CHECK(a.values()[0] == 6);
    }
    CHECK(cudaDeviceSynchronize() == cudaSuccess);
    CHECK(cudaEventDestroy(event) == cudaSuccess);
}

TEST_CASE("an eager stream runs what waits for no other stream at once", "[fake]") {
    const Fresh fresh;
    const Stream lazy, eager;
    fake::make_eager(eager);
    cudaEvent_t event;
    REQUIRE(cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess);
    const OnDevice<float> a(std::vector<float>{1});
    float* const p = a;
    fake::enqueue(lazy, [p] { *p *= 10; });
    REQUIRE(cudaEventRecord(event, lazy) == cudaSuccess);
    fake::enqueue(lazy, [p] { *p += 3; });
    fake::enqueue(eager, [p] { *p = 2; });
    CHECK(a.values()[0] == 2);  // though it came last
    REQUIRE(cudaStreamWaitEvent(eager, event, 0) == cudaSuccess);
    fake::enqueue(eager, [p] { *p *= 7; });
    CHECK(a.values()[0] == 2);
    REQUIRE(cudaStreamSynchronize(lazy) == cudaSuccess);
    CHECK(a.values()[0] == 143);  // as soon as the event was reached, before what follows it
    CHECK(cudaStreamQuery(eager) == cudaSuccess);
    fake::enqueue(lazy, [p] { *p = 20; });
    REQUIRE(cudaEventRecord(event, lazy) == cudaSuccess);
    REQUIRE(cudaStreamWaitEvent(eager, event, 0) == cudaSuccess);
    fake::enqueue(eager, [p] { *p += 1; });
    CHECK(cudaStreamQuery(eager) != cudaErrorLaunchFailure);  // which runs the wait, and what it waits for
    CHECK(a.values()[0] == 21);
    fake::enqueue(eager, [p] { *p = 143; });
    fake::reset();
    fake::enqueue(eager, [p] { *p = 5; });
    CHECK(a.values()[0] == 143);
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    CHECK(a.values()[0] == 5);
    CHECK(cudaEventDestroy(event) == cudaSuccess);
}

TEST_CASE("events measure time when the work has run", "[fake]") {
    const Fresh fresh;
    const Stream stream;
    cudaEvent_t start, end;
    REQUIRE(cudaEventCreate(&start) == cudaSuccess);
    REQUIRE(cudaEventCreate(&end) == cudaSuccess);
    REQUIRE(cudaEventRecord(start, stream) == cudaSuccess);
    fake::enqueue(stream, [] { std::this_thread::sleep_for(std::chrono::milliseconds(2)); });
    REQUIRE(cudaEventRecord(end, stream) == cudaSuccess);
    float milliseconds = 0;
    CHECK(cudaEventElapsedTime(&milliseconds, start, end) == cudaErrorNotReady);
    REQUIRE(cudaEventSynchronize(end) == cudaSuccess);
    REQUIRE(cudaEventElapsedTime(&milliseconds, start, end) == cudaSuccess);
    CHECK(milliseconds >= 2);
    CHECK(cudaEventDestroy(start) == cudaSuccess);
    CHECK(cudaEventDestroy(end) == cudaSuccess);
}

TEST_CASE("work on a stream that is destroyed is still done", "[fake]") {
    const Fresh fresh;
    const OnDevice<float> a(std::vector<float>{1});
    {
        const Stream stream;
        fake::enqueue(stream, [p = static_cast<float*>(a)] { *p = 5; });
    }
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    CHECK(a.values()[0] == 5);
}

TEST_CASE("a kernel that fails shows at the synchronisation, and stays", "[fake]") {
    const Fresh fresh;
    const Stream stream;
    fake::enqueue(stream, [] { throw std::runtime_error("divergent barrier"); });
    CHECK(cudaGetLastError() == cudaSuccess);
    CHECK(cudaStreamSynchronize(stream) == cudaErrorLaunchFailure);
    CHECK(cudaGetLastError() == cudaErrorLaunchFailure);
    CHECK(cudaGetLastError() == cudaErrorLaunchFailure);
    CHECK(fake::fault() == "divergent barrier");
    void* at = nullptr;
    CHECK(cudaMalloc(&at, 16) == cudaErrorLaunchFailure);
    fake::reset();
    CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("machines without a usable GPU", "[fake]") {
    const Fresh fresh;
    int count = -1;
    SECTION("no device") {
        fake::settings().devices = 0;
        CHECK(cudaGetDeviceCount(&count) == cudaErrorNoDevice);
        CHECK(count == 0);
        CHECK(cudaSetDevice(0) == cudaErrorNoDevice);
    }
    SECTION("an old driver, or none") {
        fake::settings().driver_version = GENERATE(0, 11040);
        CHECK(cudaGetDeviceCount(&count) == cudaErrorInsufficientDriver);
        CHECK(count == -1);
        int version = -1;
        CHECK(cudaDriverGetVersion(&version) == cudaSuccess);
        CHECK(version == fake::settings().driver_version);
        CHECK(std::string(cudaGetErrorString(cudaPeekAtLastError())) ==
              "CUDA driver version is insufficient for CUDA runtime version");
        CHECK(cudaGetLastError() == cudaErrorInsufficientDriver);
    }
    SECTION("an old card") {
        fake::settings().compute_capability = 610;
        cudaDeviceProp properties;
        REQUIRE(cudaGetDeviceProperties(&properties, 0) == cudaSuccess);
        CHECK(properties.major == 6);
        CHECK(properties.minor == 1);
        const Stream stream;
        fake::enqueue(stream, [] {});
        CHECK(cudaGetLastError() == cudaErrorNoKernelImageForDevice);
        CHECK(cudaGetLastError() == cudaSuccess);
    }
    SECTION("fewer devices than asked for") {
        CHECK(cudaSetDevice(1) == cudaErrorInvalidDevice);
        fake::settings().devices = 2;
        CHECK(cudaSetDevice(1) == cudaSuccess);
        CHECK(cudaSetDevice(0) == cudaSuccess);
    }
}
