// The fake runtime's memory: limits, pools, frees in stream order, and what a program must not do with a pointer.
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <functional>

#include "fake/selftest/runtime.hpp"

using namespace holon;
using namespace holon::test;

namespace {

/// What a child process says on stderr before it aborts; empty if it does not.
std::string last_words(const std::function<void()>& deed) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        close(ends[0]);
        std::signal(SIGABRT, SIG_DFL);  // Catch2's handler would report a failure of its own
        deed();
        _exit(0);
    }
    close(ends[1]);
    std::string words;
    char buffer[256];
    for (ssize_t got; (got = read(ends[0], buffer, sizeof buffer)) > 0;) words.append(buffer, std::size_t(got));
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? words : "";
}

std::uint64_t of_pool(cudaMemPool_t pool, cudaMemPoolAttr attribute) {
    std::uint64_t value = 0;
    REQUIRE(cudaMemPoolGetAttribute(pool, attribute, &value) == cudaSuccess);
    return value;
}

struct Pool {
    Pool() {
        cudaMemPoolProps properties = {};
        properties.allocType = cudaMemAllocationTypePinned;
        properties.location.type = cudaMemLocationTypeDevice;
        REQUIRE(cudaMemPoolCreate(&raw, &properties) == cudaSuccess);
    }
    ~Pool() { cudaMemPoolDestroy(raw); }
    operator cudaMemPool_t() const { return raw; }
    cudaMemPool_t raw = nullptr;
};

}  // namespace

TEST_CASE("memory is what the device has, and no more", "[fake]") {
    const Fresh fresh;
    fake::settings().memory = 4096;
    const auto before = fake::counts();
    void *a = nullptr, *b = nullptr;
    REQUIRE(cudaMalloc(&a, 3072) == cudaSuccess);
    CHECK(cudaMalloc(&b, 1025) == cudaErrorMemoryAllocation);
    CHECK(b == nullptr);
    CHECK(cudaGetLastError() == cudaErrorMemoryAllocation);
    CHECK(cudaGetLastError() == cudaSuccess);
    REQUIRE(cudaMalloc(&b, 1000) == cudaSuccess);
    std::size_t free = 1, total = 0;
    REQUIRE(cudaMemGetInfo(&free, &total) == cudaSuccess);
    CHECK(free == 0);
    CHECK(total == 4096);
    CHECK(fake::counts().bytes - before.bytes == 4072);
    CHECK(fake::counts().allocations - before.allocations == 2);
    CHECK(cudaFree(a) == cudaSuccess);
    CHECK(cudaFree(b) == cudaSuccess);
    CHECK(cudaFree(nullptr) == cudaSuccess);
    CHECK(cudaMalloc(&a, std::size_t(-1)) == cudaErrorMemoryAllocation);
    CHECK(fake::counts().bytes == before.bytes);
    CHECK(fake::counts().peak_bytes - before.bytes == 4072);
    fake::settings().pinned_memory = 100;
    CHECK(cudaHostAlloc(&a, 101, cudaHostAllocDefault) == cudaErrorMemoryAllocation);
}

TEST_CASE("fresh memory is not a number", "[fake]") {
    const Fresh fresh;
    const OnDevice<float> a(3);
    for (const float v : a.values()) CHECK(std::isnan(v));
    const Stream stream;
    void* b = nullptr;
    REQUIRE(cudaMallocAsync(&b, 4, stream) == cudaSuccess);
    float v = 0;
    REQUIRE(cudaMemcpyAsync(&v, b, 4, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
    CHECK(std::isnan(v));
    CHECK(cudaFreeAsync(b, stream) == cudaSuccess);
    CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
}

TEST_CASE("a free takes effect when its stream comes to it", "[fake]") {
    const Fresh fresh;
    const Stream stream;
    const OnDevice<float> out(1);
    void *a = nullptr, *b = nullptr;
    REQUIRE(cudaMallocAsync(&a, 4, stream) == cudaSuccess);
    fake::enqueue(stream, [p = static_cast<float*>(a)] { *p = 3; });
    REQUIRE(cudaMemcpyAsync(out, a, 4, cudaMemcpyDeviceToDevice, stream) == cudaSuccess);
    REQUIRE(cudaFreeAsync(a, stream) == cudaSuccess);
    const Stream other;
    REQUIRE(cudaMallocAsync(&b, 4, other) == cudaSuccess);
    CHECK(b != a);
    CHECK(cudaMemsetAsync(a, 0, 4, stream) == cudaErrorInvalidValue);  // it is gone
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(out.values()[0] == 3);
    CHECK(cudaFreeAsync(b, other) == cudaSuccess);
    CHECK(cudaStreamSynchronize(other) == cudaSuccess);
}

TEST_CASE("what another stream writes before an allocation is due is lost", "[fake]") {
    const Fresh fresh;
    const Stream stream, other;
    void* a = nullptr;
    REQUIRE(cudaMallocAsync(&a, 4, stream) == cudaSuccess);
    REQUIRE(cudaMemsetAsync(a, 0, 4, other) == cudaSuccess);
    REQUIRE(cudaStreamSynchronize(other) == cudaSuccess);
    float v = 0;
    REQUIRE(cudaMemcpyAsync(&v, a, 4, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
    CHECK(std::isnan(v));
    CHECK(cudaFreeAsync(a, stream) == cudaSuccess);
    CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
}

TEST_CASE("a pool keeps accounts, and what it holds is not for others", "[fake]") {
    const Fresh fresh;
    fake::settings().memory = 8192;
    const Stream stream;
    const Pool pool;
    std::uint64_t threshold = 1 << 20;
    REQUIRE(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold) == cudaSuccess);
    void *a = nullptr, *b = nullptr;
    REQUIRE(cudaMallocFromPoolAsync(&a, 6000, pool, stream) == cudaSuccess);
    CHECK(of_pool(pool, cudaMemPoolAttrUsedMemCurrent) == 6144);
    CHECK(cudaMallocFromPoolAsync(&b, 4096, pool, stream) == cudaErrorMemoryAllocation);
    REQUIRE(cudaFreeAsync(a, stream) == cudaSuccess);
    REQUIRE(cudaMallocFromPoolAsync(&b, 4096, pool, stream) == cudaSuccess);  // in stream order, there is room
    REQUIRE(cudaFreeAsync(b, stream) == cudaSuccess);
    CHECK(of_pool(pool, cudaMemPoolAttrUsedMemCurrent) == 0);
    CHECK(of_pool(pool, cudaMemPoolAttrUsedMemHigh) == 6144);
    REQUIRE(cudaMemPoolTrimTo(pool, 0) == cudaSuccess);
    CHECK(of_pool(pool, cudaMemPoolAttrReservedMemCurrent) == 6144);  // the stream has not come to the frees
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(of_pool(pool, cudaMemPoolAttrReservedMemCurrent) == 6144);  // below the threshold
    CHECK(cudaMalloc(&a, 4096) == cudaErrorMemoryAllocation);
    REQUIRE(cudaMemPoolTrimTo(pool, 0) == cudaSuccess);
    CHECK(of_pool(pool, cudaMemPoolAttrReservedMemCurrent) == 0);
    CHECK(cudaMalloc(&a, 4096) == cudaSuccess);
    CHECK(cudaFree(a) == cudaSuccess);
    std::uint64_t zero = 0;
    REQUIRE(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReservedMemHigh, &zero) == cudaSuccess);
    CHECK(of_pool(pool, cudaMemPoolAttrReservedMemHigh) == 0);
    REQUIRE(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &zero) == cudaSuccess);
    REQUIRE(cudaMallocFromPoolAsync(&a, 512, pool, stream) == cudaSuccess);
    REQUIRE(cudaFreeAsync(a, stream) == cudaSuccess);
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(of_pool(pool, cudaMemPoolAttrReservedMemCurrent) == 0);
}

TEST_CASE("a copy refuses pointers that are not where its kind says, and copies past the end", "[fake]") {
    const Fresh fresh;
    const OnDevice<float> a(4);
    const Pinned<float> pinned(4);
    float host[8] = {};
    CHECK(cudaMemcpy(host, host, 4, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
    CHECK(cudaMemcpy(a, a, 4, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
    CHECK(cudaMemcpy(a, host, 17, cudaMemcpyHostToDevice) == cudaErrorInvalidValue);
    CHECK(cudaMemcpy(a, pinned, 16, cudaMemcpyDeviceToDevice) == cudaErrorInvalidValue);
    CHECK(cudaMemcpy(a, pinned, 16, cudaMemcpyDefault) == cudaSuccess);
    CHECK(cudaMemset(host, 0, 4) == cudaErrorInvalidValue);
    cudaPointerAttributes attributes;
    REQUIRE(cudaPointerGetAttributes(&attributes, static_cast<float*>(a) + 3) == cudaSuccess);
    CHECK(attributes.type == cudaMemoryTypeDevice);
    REQUIRE(cudaPointerGetAttributes(&attributes, pinned) == cudaSuccess);
    CHECK(attributes.type == cudaMemoryTypeHost);
    REQUIRE(cudaPointerGetAttributes(&attributes, host) == cudaSuccess);
    CHECK(attributes.type == cudaMemoryTypeUnregistered);
}

TEST_CASE("misuse of pointers and streams ends the program with a sentence", "[fake]") {
    const Fresh fresh;
    const Stream stream;
    void *device = nullptr, *pinned = nullptr;
    REQUIRE(cudaMalloc(&device, 64) == cudaSuccess);
    REQUIRE(cudaMallocHost(&pinned, 64) == cudaSuccess);
    int local = 0;
    CHECK_THAT(last_words([&] { cudaFree(device), cudaFree(device); }), ContainsText("freed before"));
    CHECK_THAT(last_words([&] { cudaFreeAsync(device, stream), cudaFreeAsync(device, stream); }),
               ContainsText("cudaFreeAsync: this pointer was freed before"));
    CHECK_THAT(last_words([&] { cudaFree(&local); }), ContainsText("never allocated"));
    CHECK_THAT(last_words([&] { cudaFree(pinned); }), ContainsText("this is host memory"));
    CHECK_THAT(last_words([&] { cudaFreeHost(device); }), ContainsText("this is device memory"));
    CHECK_THAT(last_words([&] { cudaStreamDestroy(stream), cudaStreamSynchronize(stream); }),
               ContainsText("cudaStreamSynchronize: the stream was destroyed"));
    CHECK_THAT(last_words([&] { cudaStreamSynchronize(reinterpret_cast<cudaStream_t>(&local)); }),
               ContainsText("no such stream"));
    CHECK_THAT(last_words([&] {
                   cudaMemcpyAsync(device, pinned, 64, cudaMemcpyHostToDevice, stream);
                   cudaFreeHost(pinned);
                   cudaStreamSynchronize(stream);
               }),
               ContainsText("pinned host memory that was freed before it ran"));
    CHECK(cudaFree(device) == cudaSuccess);
    CHECK(cudaFreeHost(pinned) == cudaSuccess);
}
