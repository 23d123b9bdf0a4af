// fake/graphs.cpp: capture of streams into graphs, and their launch. A graph runs its work in the order in which it was
// captured, also where branches of it could run side by side.
#include "fake/runtime.hpp"

namespace holon::fake {
GraphWork::~GraphWork() {
    for (char* block : blocks) release_graph_block(block);
}

// A capture in the global mode forbids such calls to every thread, a thread-local one to its own, a relaxed one only on
// streams that it captures.
cudaError_t forbidden_in_capture(const CUstream_st* stream, Concerns concerns) {
    bool forbidden = false;
    for (const auto& capture : runtime().captures) {
        const bool here = capture->thread == std::this_thread::get_id();
        if (concerns == Concerns::device || (stream && stream->capture == capture) ||
            capture->mode == cudaStreamCaptureModeGlobal || (capture->mode == cudaStreamCaptureModeThreadLocal && here))
            capture->invalid = forbidden = true;
    }
    return forbidden ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}

cudaError_t replay(const std::shared_ptr<GraphWork>& graph, cudaStream_t stream) {
    for (const Work& work : graph->work)
        if (const cudaError_t error = submit(
                stream, [graph, &work] { work(); }, "cudaGraphLaunch"))
            return error;
    return cudaSuccess;
}

}  // namespace holon::fake

using namespace holon::fake;

extern "C" {

cudaError_t CUDARTAPI cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
    Runtime& r = runtime();
    const Lock lock(r.mutex);
    if (const cudaError_t error = ready()) return report(error);
    CUstream_st& stream = stream_of(handle, "cudaStreamBeginCapture");
    if (stream.legacy) return report(cudaErrorStreamCaptureUnsupported);
    if (stream.capture) return report(cudaErrorIllegalState);
    stream.capture = std::make_shared<Capture>();
    stream.capture->origin = &stream;
    stream.capture->mode = mode;
    stream.captured = 0;
    r.captures.push_back(stream.capture);
    return cudaSuccess;
}

cudaError_t CUDARTAPI cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    const CUstream_st& stream = stream_of(handle, "cudaStreamIsCapturing");
    *status = !stream.capture           ? cudaStreamCaptureStatusNone
              : stream.capture->invalid ? cudaStreamCaptureStatusInvalidated
                                        : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}

cudaError_t CUDARTAPI cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
    Runtime& r = runtime();
    const Lock lock(r.mutex);
    *graph = nullptr;
    CUstream_st& stream = stream_of(handle, "cudaStreamEndCapture");
    const auto capture = stream.capture;
    if (!capture) return report(cudaErrorIllegalState);
    if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id())
        return report(cudaErrorStreamCaptureWrongThread);
    if (capture->origin != &stream) {
        capture->invalid = true;
        return report(cudaErrorStreamCaptureUnmatched);
    }
    for (auto& other : r.streams)
        if (other.capture == capture) other.capture.reset();
    std::erase(r.captures, capture);
    if (const cudaError_t error = ready()) return report(error);
    if (capture->invalid) return report(cudaErrorStreamCaptureInvalidated);
    if (!capture->unjoined.empty()) return report(cudaErrorStreamCaptureUnjoined);
    *graph = r.graphs.make();
    (*graph)->graph = capture->graph;
    ++r.counts.graphs;
    return cudaSuccess;
}

cudaError_t CUDARTAPI cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
    Runtime& r = runtime();
    const Lock lock(r.mutex);
    if (const cudaError_t error = ready()) return report(error);
    if (nodes) return report(cudaErrorNotSupported);  // they can be counted, and have no handles
    *count = r.graphs.find(graph, "cudaGraphGetNodes", "graph").graph->work.size();
    return cudaSuccess;
}

cudaError_t CUDARTAPI cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
    Runtime& r = runtime();
    const Lock lock(r.mutex);
    if (const cudaError_t error = ready()) return report(error);
    const auto work = r.graphs.find(graph, "cudaGraphInstantiate", "graph").graph;
    *executable = r.executables.make();
    (*executable)->graph = work;
    ++r.counts.graphs;
    return cudaSuccess;
}

cudaError_t CUDARTAPI cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    Runtime& r = runtime();
    const Lock lock(r.mutex);
    if (const cudaError_t error = ready()) return report(error);
    ++r.counts.graph_launches;
    return report(replay(r.executables.find(executable, "cudaGraphLaunch", "graph").graph, stream));
}

/// Launches that have not run still do.
cudaError_t CUDARTAPI cudaGraphExecDestroy(cudaGraphExec_t executable) {
    const Lock lock(runtime().mutex);
    auto& found = runtime().executables.find(executable, "cudaGraphExecDestroy", "graph");
    found.graph.reset();
    found.destroyed = true;
    --runtime().counts.graphs;
    return report(runtime().sticky);
}

cudaError_t CUDARTAPI cudaGraphDestroy(cudaGraph_t graph) {
    const Lock lock(runtime().mutex);
    auto& found = runtime().graphs.find(graph, "cudaGraphDestroy", "graph");
    found.graph.reset();
    found.destroyed = true;
    --runtime().counts.graphs;
    return report(runtime().sticky);
}

}  // extern "C"
