// fake/streams.cpp: the fake CUDA runtime's streams and events. Work waits in its stream until the host or other work
// waits for it, so that what should have been waited for and was not is still undone when it is looked at; in an eager
// stream it runs at once, so that what it should have waited for is undone.
#include <cstdio>
#include <utility>

#include "fake/runtime.hpp"

namespace holon::fake {
namespace {

/// While one of these lives, work runs.
struct Running {
    Running() {
        if (runtime().running++ == 0) device_memory_may_be_touched(true);
    }
    ~Running() {
        if (--runtime().running == 0) device_memory_may_be_touched(false);
    }
};

void break_down(const char* words) {
    Runtime& r = runtime();
    std::fprintf(stderr, "fake GPU: a kernel failed: %s\n", words);
    r.fault = words;
    r.sticky = cudaErrorLaunchFailure;
    for (auto& stream : r.streams) stream.queue.clear();
}

void run_to(const Mark& mark);

void run_first(CUstream_st& stream) {
    const Running running;
    if (const auto mark = stream.queue.front().waits_for) {  // it stays the first until it is over
        run_to(*mark);
        if (!stream.queue.empty() && stream.queue.front().waits_for == mark) stream.queue.pop_front();
        return;
    }
    const Work work = std::move(stream.queue.front().work);
    stream.queue.pop_front();
    try {
        work();
    } catch (const std::exception& error) {
        break_down(error.what());
    }
}

/// Runs what eager streams have, up to a wait for what another stream has not come to.
void advance_eager_streams() {
    Runtime& r = runtime();
    if (std::exchange(r.advancing, true)) return;
    for (auto& stream : r.streams)
        while (stream.eager && !stream.queue.empty() &&
               (!stream.queue.front().waits_for || stream.queue.front().waits_for->reached))
            run_first(stream);
    r.advancing = false;
}

void step(CUstream_st& stream) {
    run_first(stream);
    advance_eager_streams();
}

void put(CUstream_st& stream, Queued queued) {
    stream.queue.push_back(std::move(queued));
    advance_eager_streams();
}

void run_to(const Mark& mark) {
    const Running running;
    while (!mark.reached && !mark.stream->queue.empty()) step(*mark.stream);
}

/// A mark after all that is on the stream now.
std::shared_ptr<Mark> mark_end(CUstream_st& stream) {
    auto mark = std::make_shared<Mark>();
    mark->stream = &stream;
    put(stream, {[mark] {
                     mark->reached = true;
                     mark->when = std::chrono::steady_clock::now();
                 },
                 nullptr});
    return mark;
}

void wait_for(CUstream_st& stream, std::shared_ptr<Mark> mark) {
    if (!mark->reached && mark->stream != &stream) put(stream, {{}, mark});
}

/// The legacy stream waits for blocking streams, and they for it.
void order_with_legacy(CUstream_st& stream) {
    Runtime& r = runtime();
    if (stream.legacy) {
        for (auto& other : r.streams)
            if (other.blocking && other.device == stream.device && !other.queue.empty())
                wait_for(stream, mark_end(other));
    } else if (stream.blocking) {
        const auto legacy = r.legacy_streams.find(stream.device);
        if (legacy != r.legacy_streams.end() && !legacy->second->queue.empty())
            wait_for(stream, mark_end(*legacy->second));
    }
}

CUevent_st& event_of(cudaEvent_t handle, const char* caller) { return runtime().events.find(handle, caller, "event"); }

cudaError_t finished() {
    ++runtime().counts.synchronisations;
    pools_let_go();
    return report(ready());
}

}  // namespace

CUstream_st& stream_of(cudaStream_t handle, const char* caller) {
    Runtime& r = runtime();
    if (handle == cudaStreamPerThread) stop(std::string(caller) + ": the fake has no per-thread default streams");
    if (handle == nullptr || handle == cudaStreamLegacy) {
        cudaStream_t& legacy = r.legacy_streams[current_device()];
        if (!legacy) {
            legacy = r.streams.make();
            legacy->device = current_device();
            legacy->legacy = true;
        }
        return *legacy;
    }
    return r.streams.find(handle, caller, "stream");
}

cudaError_t submit(cudaStream_t handle, Work work, const char* caller) {
    if (const cudaError_t error = ready()) return error;
    CUstream_st& stream = stream_of(handle, caller);
    if (stream.legacy)
        for (const auto& capture : runtime().captures)
            if (capture->origin->blocking) {
                capture->invalid = true;
                return cudaErrorStreamCaptureImplicit;
            }
    if (stream.capture) {
        if (stream.capture->invalid) return cudaErrorStreamCaptureInvalidated;
        stream.capture->graph->work.push_back(std::move(work));
        ++stream.captured;
        if (stream.capture->origin != &stream) stream.capture->unjoined.insert(&stream);
        return cudaSuccess;
    }
    order_with_legacy(stream);
    put(stream, {std::move(work), nullptr});
    return cudaSuccess;
}

void drain(CUstream_st& stream) {
    const Running running;
    if (stream.legacy)
        for (auto& other : runtime().streams)
            if (other.blocking && other.device == stream.device) drain(other);
    while (!stream.queue.empty()) step(stream);
}

void drain_all() {
    const Running running;
    for (auto& stream : runtime().streams) drain(stream);
}

void make_eager(cudaStream_t handle) {
    const Lock lock(runtime().mutex);
    stream_of(handle, "make_eager").eager = true;
    advance_eager_streams();
}

void enqueue(cudaStream_t stream, std::function<void()> kernel) {
    Runtime& r = runtime();
    const Lock lock(r.mutex);
    if (ready() == cudaSuccess && r.settings.compute_capability < r.settings.oldest_kernels) {
        report(cudaErrorNoKernelImageForDevice);
        return;
    }
    ++r.counts.kernels;
    report(submit(stream, std::move(kernel), "a kernel launch"));
}

}  // namespace holon::fake

using namespace holon::fake;

extern "C" {

cudaError_t CUDARTAPI cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
    Runtime& r = runtime();
    const Lock lock(r.mutex);
    if (const cudaError_t error = ready()) return report(error);
    if (flags & ~unsigned(cudaStreamNonBlocking)) return report(cudaErrorInvalidValue);
    *stream = r.streams.make();
    (*stream)->device = current_device();
    (*stream)->blocking = !(flags & cudaStreamNonBlocking);
    ++r.counts.streams;
    return cudaSuccess;
}
cudaError_t CUDARTAPI cudaStreamCreate(cudaStream_t* stream) {
    return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

/// As on a GPU, what is on the stream is still done, whenever.
cudaError_t CUDARTAPI cudaStreamDestroy(cudaStream_t handle) {
    Runtime& r = runtime();
    const Lock lock(r.mutex);
    CUstream_st& stream = stream_of(handle, "cudaStreamDestroy");
    if (stream.legacy) return report(cudaErrorInvalidResourceHandle);
    if (stream.capture) stream.capture->invalid = true;
    stream.destroyed = true;
    --r.counts.streams;
    return report(r.sticky);
}

cudaError_t CUDARTAPI cudaStreamSynchronize(cudaStream_t handle) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    CUstream_st& stream = stream_of(handle, "cudaStreamSynchronize");
    if (const cudaError_t error = forbidden_in_capture(&stream)) return report(error);
    drain(stream);
    return finished();
}

/// Each question does one piece of work, so that a loop that asks comes to an end.
cudaError_t CUDARTAPI cudaStreamQuery(cudaStream_t handle) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    CUstream_st& stream = stream_of(handle, "cudaStreamQuery");
    if (const cudaError_t error = forbidden_in_capture(&stream)) return report(error);
    if (stream.queue.empty()) return cudaSuccess;
    step(stream);
    return runtime().sticky ? report(runtime().sticky) : cudaErrorNotReady;
}

cudaError_t CUDARTAPI cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    CUstream_st& stream = stream_of(handle, "cudaStreamWaitEvent");
    const auto mark = event_of(event, "cudaStreamWaitEvent").mark;
    if (!mark) return cudaSuccess;
    if (!mark->captured) {
        if (stream.capture) {
            stream.capture->invalid = true;
            return report(cudaErrorStreamCaptureIsolation);
        }
        order_with_legacy(stream);
        wait_for(stream, mark);
        return cudaSuccess;
    }
    const auto capture = mark->capture.lock();
    if (!capture) return report(cudaErrorCapturedEvent);
    if (!stream.capture) {
        if (stream.legacy) return report(cudaErrorStreamCaptureImplicit);
        stream.capture = capture;
        stream.captured = 0;
        capture->unjoined.insert(&stream);
    } else if (stream.capture != capture) {
        return report(cudaErrorStreamCaptureMerge);
    }
    if (mark->stream != &stream && mark->position == mark->stream->captured) capture->unjoined.erase(mark->stream);
    return cudaSuccess;
}

cudaError_t CUDARTAPI cudaDeviceSynchronize() {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    if (const cudaError_t error = forbidden_in_capture(nullptr, Concerns::device)) return report(error);
    drain_all();
    return finished();
}

cudaError_t CUDARTAPI cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
    Runtime& r = runtime();
    const Lock lock(r.mutex);
    if (const cudaError_t error = ready()) return report(error);
    *event = r.events.make();
    (*event)->timing = !(flags & cudaEventDisableTiming);
    ++r.counts.events;
    return cudaSuccess;
}
cudaError_t CUDARTAPI cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t CUDARTAPI cudaEventDestroy(cudaEvent_t handle) {
    const Lock lock(runtime().mutex);
    event_of(handle, "cudaEventDestroy").destroyed = true;
    --runtime().counts.events;
    return report(runtime().sticky);
}

cudaError_t CUDARTAPI cudaEventRecord(cudaEvent_t handle, cudaStream_t on) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    CUevent_st& event = event_of(handle, "cudaEventRecord");
    CUstream_st& stream = stream_of(on, "cudaEventRecord");
    if (!stream.capture) {
        order_with_legacy(stream);
        event.mark = mark_end(stream);
        return cudaSuccess;
    }
    if (stream.capture->invalid) return report(cudaErrorStreamCaptureInvalidated);
    event.mark = std::make_shared<Mark>();
    event.mark->stream = &stream;
    event.mark->capture = stream.capture;
    event.mark->captured = true;
    event.mark->position = stream.captured;
    return cudaSuccess;
}

cudaError_t CUDARTAPI cudaEventSynchronize(cudaEvent_t handle) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    const auto mark = event_of(handle, "cudaEventSynchronize").mark;
    if (mark && mark->captured) return report(cudaErrorCapturedEvent);
    if (const cudaError_t error = forbidden_in_capture()) return report(error);
    if (mark) run_to(*mark);
    return finished();
}

cudaError_t CUDARTAPI cudaEventQuery(cudaEvent_t handle) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    const auto mark = event_of(handle, "cudaEventQuery").mark;
    if (mark && mark->captured) return report(cudaErrorCapturedEvent);
    if (const cudaError_t error = forbidden_in_capture()) return report(error);
    if (!mark || mark->reached) return cudaSuccess;
    if (!mark->stream->queue.empty()) step(*mark->stream);
    return runtime().sticky ? report(runtime().sticky) : cudaErrorNotReady;
}

cudaError_t CUDARTAPI cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    const CUevent_st &a = event_of(start, "cudaEventElapsedTime"), &b = event_of(end, "cudaEventElapsedTime");
    if (!a.timing || !b.timing || !a.mark || !b.mark) return report(cudaErrorInvalidResourceHandle);
    if (a.mark->captured || b.mark->captured) return report(cudaErrorCapturedEvent);
    if (!a.mark->reached || !b.mark->reached) return cudaErrorNotReady;
    *milliseconds = std::chrono::duration<float, std::milli>(b.mark->when - a.mark->when).count();
    return cudaSuccess;
}

}  // extern "C"
