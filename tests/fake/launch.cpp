// Launches of the host emulation go to the fake's streams: a kernel runs when something waits for its stream.
#include "fake/fake.hpp"
#include "gpu/host_cuda.hpp"

namespace {
[[maybe_unused]] const bool connected = [] {
    host_cuda::submit_to() = [](CUstream_st* stream, std::function<void()> work) {
        holon::fake::enqueue(stream, std::move(work));
    };
    return true;
}();
}  // namespace
