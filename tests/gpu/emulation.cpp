// What the host emulation refuses: kernels that are wrong in ways a card would only show now and then.
#include "gpu/compare.hpp"

#include "support/catch.hpp"

using namespace holon::test;

namespace {

constexpr int threads = 8;

__global__ void parts_at_a_barrier(bool all) {
    if (all || threadIdx.x < 3) __syncthreads();
}
__global__ void two_barriers(bool same) {
    if (same || threadIdx.x % 2)
        __syncthreads();
    else
        __syncthreads();
    __syncthreads();
}
__global__ void meets_for_ever() {
    for (;;) __syncthreads();
}
/// Every thread's neighbour's number: right with a barrier between writing and reading, and before it writes again.
__global__ void rotate(bool before_reading, bool before_writing, int* out) {
    HOLON_SHARED(int, numbers, threads);
    const int me = int(threadIdx.x);
    for (int round = 0; round < 2; ++round) {
        numbers[me] = round + me;
        if (before_reading) __syncthreads();
        out[me] = numbers[(me + 1) % threads];
        if (before_writing) __syncthreads();
    }
}
__global__ void all_write_one() {
    HOLON_SHARED(float, one, 1);
    one[0] = float(threadIdx.x);
}
__global__ void reads_what_nobody_wrote(float* out) {
    HOLON_SHARED(float, sums, threads);
    if (threadIdx.x == 0) sums[0] = 1;
    __syncthreads();
    if (threadIdx.x == 0) *out = sums[0] + sums[1];
}
__global__ void reaches_too_far() {
    HOLON_SHARED(float, sums, threads);
    sums[int(threadIdx.x) + 1] = 1;
}

/// Each thread's number, which whoever sees the count may read: right with a fence after it, then a barrier before the count.
__global__ void counted(bool fenced, bool met, bool early, float* numbers, unsigned* count) {
    if (!early) __stcg(numbers + threadIdx.x, 1);
    if (fenced) __threadfence();
    if (met) __syncthreads();
    if (threadIdx.x == 0) atomicAdd(count, 1u);
    if (early && threadIdx.x == 1) __stcg(numbers + threadIdx.x, 1);
    __syncthreads();
}

template <class Body> void in_orders(const Body& body) {
    for (const Order& order : orders) {
        host_cuda::order() = order;
        body();
    }
    host_cuda::order() = {};
}

}  // namespace

TEST_CASE("a barrier that some threads pass by is an error", "[gpu][emulation]") {
    in_orders([] {
        CHECK_NOTHROW(host_cuda::run(parts_at_a_barrier, 2, threads, true));
        CHECK_THROWS_WITH(host_cuda::run(parts_at_a_barrier, 2, threads, false), ContainsText("divergent barrier"));
        CHECK_NOTHROW(host_cuda::run(two_barriers, 2, threads, true));
        CHECK_THROWS_WITH(host_cuda::run(two_barriers, 2, threads, false), ContainsText("divergent barrier"));
    });
}

TEST_CASE("a block that meets at barriers for ever is an error", "[gpu][emulation]") {
    CHECK_THROWS_WITH(host_cuda::run(meets_for_ever, 1, threads), ContainsText("does not end"));
}

TEST_CASE("shared memory touched by two threads with no barrier in between is an error, in any order",
          "[gpu][emulation]") {
    in_orders([] {
        int out[threads] = {};
        CHECK_NOTHROW(host_cuda::run(rotate, 2, threads, true, true, out));
        for (int i = 0; i < threads; ++i) CHECK(out[i] == 1 + (i + 1) % threads);
        // (The first thread of all finds that its neighbour has not written yet.)
        CHECK_THROWS_WITH(host_cuda::run(rotate, 1, threads, false, true, out), ContainsText("before it is written"));
        CHECK_THROWS_WITH(host_cuda::run(rotate, 1, threads, true, false, out), ContainsText("no barrier in between"));
        CHECK_THROWS_WITH(host_cuda::run(all_write_one, 1, threads), ContainsText("no barrier in between"));
    });
}

TEST_CASE("shared memory read before it is written, or beyond its end, is an error", "[gpu][emulation]") {
    in_orders([] {
        float out = 0;
        CHECK_THROWS_WITH(host_cuda::run(reads_what_nobody_wrote, 1, threads, &out),
                          ContainsText("sums[1] is read before it is written"));
        CHECK_THROWS_WITH(host_cuda::run(reaches_too_far, 1, threads), ContainsText("sums[8] is not there"));
    });
}

TEST_CASE("a value without a fence and a barrier before its block is counted is an error, in any order", "[gpu][emulation]") {
    in_orders([] {
        float numbers[threads];
        unsigned count = 0;
        CHECK_NOTHROW(host_cuda::run(counted, 2, threads, true, true, false, numbers, &count));
        CHECK(count == 2);
        CHECK_THROWS_WITH(host_cuda::run(counted, 1, threads, false, true, false, numbers, &count), ContainsText("not behind a fence"));
        CHECK_THROWS_WITH(host_cuda::run(counted, 1, threads, true, false, false, numbers, &count), ContainsText("no barrier"));
        CHECK_THROWS_WITH(host_cuda::run(counted, 1, threads, true, true, true, numbers, &count), ContainsText("global memory"));
    });
}
