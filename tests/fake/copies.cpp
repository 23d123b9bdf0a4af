// fake/copies.cpp: the fake CUDA runtime's copies and fills, as late as CUDA lets them be: pageable sources are read
// during the call, pageable destinations are written during it, pinned ones when the stream comes to the copy.
#include <cstring>
#include <optional>

#include "fake/runtime.hpp"

namespace holon::fake {
namespace {

enum class Place { device, pinned, pageable };

struct Copy {
    char* to;
    const char* from;
    std::size_t bytes;
    Place into, out_of;
};

/// None if a pointer is not where `kind` says, or its memory ends before the copy does.
std::optional<Copy> copy_of(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    const auto place = [&](const void* at, bool device_wanted, bool host_wanted) -> std::optional<Place> {
        if (const Block* const whole = block_of(at, bytes)) {
            if (whole->freed) return std::nullopt;
            if (whole->kind == Block::device) return device_wanted ? std::optional(Place::device) : std::nullopt;
            return host_wanted ? std::optional(Place::pinned) : std::nullopt;
        }
        return block_of(at, 1) || !host_wanted ? std::nullopt : std::optional(Place::pageable);
    };
    const bool any = kind == cudaMemcpyDefault;
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    const auto into = place(to, any || to_device, any || !to_device);
    const auto out_of = place(from, any || from_device, any || !from_device);
    if (!into || !out_of) return std::nullopt;
    return Copy{static_cast<char*>(to), static_cast<const char*>(from), bytes, *into, *out_of};
}

void check(const void* at, std::size_t bytes, Place place) {
    if (place != Place::pageable)
        still_there(at, bytes, place == Place::device ? Block::device : Block::pinned,
                    "a copy that was put on a stream");
}

/// The work of a copy; from pageable memory it takes the bytes along.
Work work_of(const Copy& c) {
    if (c.out_of != Place::pageable)
        return [c] {
            check(c.to, c.bytes, c.into);
            check(c.from, c.bytes, c.out_of);
            std::memmove(c.to, c.from, c.bytes);
        };
    const auto staged = std::make_shared<std::vector<char>>(c.from, c.from + c.bytes);
    return [c, staged] {
        check(c.to, c.bytes, c.into);
        std::memcpy(c.to, staged->data(), c.bytes);
    };
}

/// `host_waits`: cudaMemcpy, which comes back when host memory has been read and written.
cudaError_t copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t on, bool host_waits) {
    if (const cudaError_t error = ready()) return error;
    const char* const caller = host_waits ? "cudaMemcpy" : "cudaMemcpyAsync";
    CUstream_st& stream = stream_of(on, caller);
    if (bytes == 0) return cudaSuccess;
    const auto c = copy_of(to, from, bytes, kind);
    if (!c) return cudaErrorInvalidValue;
    const bool on_host = c->into != Place::device && c->out_of != Place::device;
    const bool pageable = c->into == Place::pageable || c->out_of == Place::pageable;
    if (host_waits)
        if (const cudaError_t error = forbidden_in_capture()) return error;
    if (stream.capture && pageable) {
        stream.capture->invalid = true;
        return cudaErrorStreamCaptureUnsupported;
    }
    // cudaMemcpy does not wait for copies within the device, nor for the last leg from a pageable source.
    const bool to_device = c->into == Place::device && c->out_of != Place::pinned;
    const bool waits = !stream.capture && (on_host || c->into == Place::pageable || (host_waits && !to_device));
    ++runtime().counts.copies;
    if (const cudaError_t error = submit(on, work_of(*c), caller)) return error;
    if (waits) {
        drain(stream);
        pools_let_go();
    }
    return runtime().sticky;
}

cudaError_t fill(void* at, int value, std::size_t bytes, cudaStream_t on, const char* caller) {
    if (const cudaError_t error = ready()) return error;
    if (bytes == 0) return cudaSuccess;
    const Block* const block = block_of(at, bytes);
    if (!block || block->freed) return cudaErrorInvalidValue;
    ++runtime().counts.sets;
    const Block::Kind kind = block->kind;
    return submit(
        on,
        [=] {
            still_there(at, bytes, kind, "a fill that was put on a stream");
            std::memset(at, value, bytes);
        },
        caller);
}

}  // namespace
}  // namespace holon::fake

using namespace holon::fake;

extern "C" {

cudaError_t CUDARTAPI cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
    const Lock lock(runtime().mutex);
    return report(copy(to, from, bytes, kind, nullptr, true));
}
cudaError_t CUDARTAPI cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                                      cudaStream_t stream) {
    const Lock lock(runtime().mutex);
    return report(copy(to, from, bytes, kind, stream, false));
}
cudaError_t CUDARTAPI cudaMemset(void* at, int value, size_t bytes) {
    const Lock lock(runtime().mutex);
    return report(fill(at, value, bytes, nullptr, "cudaMemset"));
}
cudaError_t CUDARTAPI cudaMemsetAsync(void* at, int value, size_t bytes, cudaStream_t stream) {
    const Lock lock(runtime().mutex);
    return report(fill(at, value, bytes, stream, "cudaMemsetAsync"));
}

}  // extern "C"
