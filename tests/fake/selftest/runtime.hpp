// fake/selftest/runtime.hpp: what the tests of the fakes share: streams, memory and numbers on the fake device.
#pragma once
#include <cuda_runtime_api.h>

#include <vector>

#include "fake/fake.hpp"
#include "support/catch.hpp"

namespace holon::test {

/// Every test begins on an unused machine.
struct Fresh {
    Fresh() { fake::reset(); }
    ~Fresh() {
        fake::reset();
        cudaGetLastError();
    }
};

struct Stream {
    Stream() { REQUIRE(cudaStreamCreateWithFlags(&raw, cudaStreamNonBlocking) == cudaSuccess); }
    ~Stream() { cudaStreamDestroy(raw); }
    operator cudaStream_t() const { return raw; }
    cudaStream_t raw = nullptr;
};

/// Device memory for `count` elements.
template <class T> struct OnDevice {
    explicit OnDevice(std::size_t n) : count(n) { REQUIRE(cudaMalloc(&raw, n * sizeof(T)) == cudaSuccess); }
    explicit OnDevice(const std::vector<T>& values) : OnDevice(values.size()) {
        REQUIRE(cudaMemcpy(raw, values.data(), count * sizeof(T), cudaMemcpyHostToDevice) == cudaSuccess);
        REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    }
    OnDevice(const OnDevice&) = delete;
    ~OnDevice() { cudaFree(raw); }
    operator T*() const { return static_cast<T*>(raw); }
    /// What is there now, without waiting for anything but the copy.
    std::vector<T> values() const {
        std::vector<T> out(count);
        REQUIRE(cudaMemcpy(out.data(), raw, count * sizeof(T), cudaMemcpyDeviceToHost) == cudaSuccess);
        return out;
    }
    std::size_t count;
    void* raw = nullptr;
};

template <class T> struct Pinned {
    explicit Pinned(std::size_t n) { REQUIRE(cudaMallocHost(&raw, n * sizeof(T)) == cudaSuccess); }
    Pinned(const Pinned&) = delete;
    ~Pinned() { cudaFreeHost(raw); }
    operator T*() const { return static_cast<T*>(raw); }
    void* raw = nullptr;
};

}  // namespace holon::test
