// fake/cudart.cpp: the fake CUDA runtime's devices, versions and errors.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "fake/runtime.hpp"

namespace holon::fake {
namespace {

thread_local int device_of_thread = 0;
thread_local cudaError_t last_error = cudaSuccess;

int or_headers(int version) { return version < 0 ? CUDART_VERSION : version; }

bool driver_too_old() {
    const Settings& s = runtime().settings;
    return or_headers(s.driver_version) / 1000 < or_headers(s.runtime_version) / 1000;
}

struct ErrorText {
    cudaError_t error;
    const char *name, *words;
};
const ErrorText error_texts[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorIllegalState, "cudaErrorIllegalState", "the operation cannot be performed in the present state"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureMerge, "cudaErrorStreamCaptureMerge",
     "operation would result in a merge of separate capture sequences"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched",
     "capture was not ended in the same stream as it began"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined", "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
    {cudaErrorStreamCaptureWrongThread, "cudaErrorStreamCaptureWrongThread",
     "attempt to terminate a thread-local capture sequence from another thread"},
};
const ErrorText* text_of(cudaError_t error) {
    const auto* found = std::find_if(std::begin(error_texts), std::end(error_texts),
                                     [&](const ErrorText& t) { return t.error == error; });
    return found == std::end(error_texts) ? nullptr : found;
}

}  // namespace

Runtime& runtime() {
    static Runtime* const only = new Runtime;  // never destroyed: statics of the code under test may free late
    return *only;
}
Settings& settings() { return runtime().settings; }

Counts counts() {
    Runtime& r = runtime();
    const Lock lock(r.mutex);
    Counts now = r.counts;
    for (const auto& stream : r.streams) now.waiting += std::int64_t(stream.queue.size());
    return now;
}

void reset() {
    Runtime& r = runtime();
    const Lock lock(r.mutex);
    const Counts was = std::exchange(r.counts, Counts());
    Counts& now = r.counts;
    now.allocations = was.allocations, now.bytes = now.peak_bytes = was.bytes;
    now.pinned_allocations = was.pinned_allocations, now.pinned_bytes = was.pinned_bytes;
    now.streams = was.streams, now.events = was.events, now.pools = was.pools, now.graphs = was.graphs;
    now.handles = was.handles, now.descriptors = was.descriptors;
    r.settings = Settings();
    for (auto& stream : r.streams) stream.eager = false;
    r.sticky = last_error = cudaSuccess;
    r.fault.clear();
}

std::string fault() {
    const Lock lock(runtime().mutex);
    return runtime().fault;
}

void stop(const std::string& sentence) {
    std::fprintf(stderr, "fake GPU: %s\n", sentence.c_str());
    std::fflush(stderr);
    std::abort();
}

cudaError_t report(cudaError_t error) {
    if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
    return error;
}

cudaError_t ready() {
    if (driver_too_old()) return cudaErrorInsufficientDriver;
    if (runtime().settings.devices <= 0) return cudaErrorNoDevice;
    return runtime().sticky;
}

int current_device() { return device_of_thread; }

}  // namespace holon::fake

using namespace holon::fake;

extern "C" {

cudaError_t CUDARTAPI cudaGetDeviceCount(int* count) {
    const Lock lock(runtime().mutex);
    if (!driver_too_old()) *count = std::max(0, runtime().settings.devices);
    return report(ready());
}

cudaError_t CUDARTAPI cudaSetDevice(int device) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    if (device < 0 || device >= runtime().settings.devices) return report(cudaErrorInvalidDevice);
    device_of_thread = device;
    return cudaSuccess;
}

cudaError_t CUDARTAPI cudaGetDevice(int* device) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    *device = device_of_thread;
    return cudaSuccess;
}

cudaError_t CUDARTAPI cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    const Settings& s = runtime().settings;
    if (device < 0 || device >= s.devices) return report(cudaErrorInvalidDevice);
    switch (attribute) {
        case cudaDevAttrComputeCapabilityMajor:
            *value = s.compute_capability / 100;
            break;
        case cudaDevAttrComputeCapabilityMinor:
            *value = s.compute_capability / 10 % 10;
            break;
        case cudaDevAttrMultiProcessorCount:
            *value = s.multiprocessors;
            break;
        case cudaDevAttrMaxThreadsPerBlock:
        case cudaDevAttrMaxBlockDimX:
        case cudaDevAttrMaxBlockDimY:
            *value = 1024;
            break;
        case cudaDevAttrMaxBlockDimZ:
            *value = 64;
            break;
        case cudaDevAttrMaxGridDimX:
            *value = 2147483647;
            break;
        case cudaDevAttrMaxGridDimY:
        case cudaDevAttrMaxGridDimZ:
            *value = 65535;
            break;
        case cudaDevAttrMaxThreadsPerMultiProcessor:
            *value = 1536;
            break;
        case cudaDevAttrMaxBlocksPerMultiprocessor:
            *value = 24;
            break;
        case cudaDevAttrMaxSharedMemoryPerBlock:
            *value = 49152;
            break;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin:
            *value = 101376;
            break;
        case cudaDevAttrWarpSize:
            *value = 32;
            break;
        case cudaDevAttrL2CacheSize:
            *value = 25165824;
            break;
        case cudaDevAttrClockRate:
            *value = 2460000;
            break;
        case cudaDevAttrMemoryClockRate:
            *value = 8501000;
            break;
        case cudaDevAttrGlobalMemoryBusWidth:
            *value = 128;
            break;
        case cudaDevAttrConcurrentKernels:
        case cudaDevAttrUnifiedAddressing:
        case cudaDevAttrMemoryPoolsSupported:
            *value = 1;
            break;
        default:
            return report(cudaErrorInvalidValue);
    }
    return cudaSuccess;
}

// The header may rename this one, as it did in CUDA 12; what it says is what is defined here.
cudaError_t CUDARTAPI cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    const Settings& s = runtime().settings;
    if (device < 0 || device >= s.devices) return report(cudaErrorInvalidDevice);
    *properties = {};
    std::strncpy(properties->name, s.name.c_str(), sizeof properties->name - 1);
    properties->totalGlobalMem = s.memory;
    properties->major = s.compute_capability / 100;
    properties->minor = s.compute_capability / 10 % 10;
    properties->multiProcessorCount = s.multiprocessors;
    properties->sharedMemPerBlock = 49152;
    properties->sharedMemPerBlockOptin = 101376;
    properties->sharedMemPerMultiprocessor = 102400;
    properties->reservedSharedMemPerBlock = 1024;
    properties->regsPerBlock = properties->regsPerMultiprocessor = 65536;
    properties->warpSize = 32;
    properties->maxThreadsPerBlock = 1024;
    properties->maxThreadsPerMultiProcessor = 1536;
    properties->maxBlocksPerMultiProcessor = 24;
    std::copy_n((const int[]){1024, 1024, 64}, 3, properties->maxThreadsDim);
    std::copy_n((const int[]){2147483647, 65535, 65535}, 3, properties->maxGridSize);
    properties->l2CacheSize = 25165824;
    properties->memoryBusWidth = 128;
    properties->totalConstMem = 65536;
    properties->concurrentKernels = properties->unifiedAddressing = properties->memoryPoolsSupported = 1;
    properties->asyncEngineCount = 2;
    properties->pciBusID = 1 + device;
    return cudaSuccess;
}

cudaError_t CUDARTAPI cudaDriverGetVersion(int* version) {
    *version = or_headers(runtime().settings.driver_version);
    return cudaSuccess;
}
cudaError_t CUDARTAPI cudaRuntimeGetVersion(int* version) {
    *version = or_headers(runtime().settings.runtime_version);
    return cudaSuccess;
}

const char* CUDARTAPI cudaGetErrorName(cudaError_t error) {
    const ErrorText* text = text_of(error);
    return text ? text->name : "an error that the fake never returns";
}
const char* CUDARTAPI cudaGetErrorString(cudaError_t error) {
    const ErrorText* text = text_of(error);
    return text ? text->words : "unrecognized error code";
}

cudaError_t CUDARTAPI cudaPeekAtLastError() {
    const Lock lock(runtime().mutex);
    return runtime().sticky ? runtime().sticky : driver_too_old() ? cudaErrorInsufficientDriver : last_error;
}
cudaError_t CUDARTAPI cudaGetLastError() {
    const cudaError_t error = cudaPeekAtLastError();
    last_error = cudaSuccess;
    return error;
}

}  // extern "C"
