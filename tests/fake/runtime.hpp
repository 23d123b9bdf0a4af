// fake/runtime.hpp: the state behind the fake CUDA runtime: streams of work that waits, blocks of memory, captures.
#pragma once
#include <cuda_runtime_api.h>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_set>
#include <vector>

#include "fake/fake.hpp"

namespace holon::fake {

using Work = std::function<void()>;

/// What a graph runs, in the order in which it was captured, and the memory that was allocated for it.
struct GraphWork {
    std::vector<Work> work;
    std::vector<char*> blocks;
    ~GraphWork();
};

/// A capture in progress.
struct Capture {
    std::shared_ptr<GraphWork> graph = std::make_shared<GraphWork>();
    cudaStream_t origin = nullptr;
    cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
    std::thread::id thread = std::this_thread::get_id();
    std::set<cudaStream_t> unjoined;  // streams that were drawn in, with work that the origin has not waited for
    bool invalid = false;
};

/// A point in a stream's work, on the stream itself or in a capture of it.
struct Mark {
    cudaStream_t stream = nullptr;
    bool reached = false;
    std::chrono::steady_clock::time_point when;
    std::weak_ptr<Capture> capture;
    bool captured = false;
    std::size_t position = 0;  // in a capture: how much work of the stream came before it
};

/// A piece of work in a stream, or a wait for another stream's mark and no work.
struct Queued {
    Work work;
    std::shared_ptr<Mark> waits_for;
};

/// A range of memory that the runtime gave out.
struct Block {
    std::size_t size = 0;  // as asked for
    enum Kind { device, pinned } kind = device;
    int ordinal = 0;               // of the device
    cudaMemPool_t pool = nullptr;  // none: cudaMalloc's
    bool of_graph = false;
    bool freed = false;  // cudaFreeAsync was called; the stream has not come to it
};

}  // namespace holon::fake

// CUDA's handles point to these; its headers only declare them.
struct CUstream_st {
    int device = 0;
    bool legacy = false, blocking = false, destroyed = false;
    bool eager = false;  // see `make_eager`
    std::deque<holon::fake::Queued> queue;
    std::shared_ptr<holon::fake::Capture> capture;
    std::size_t captured = 0;  // pieces of work in that capture
};
struct CUevent_st {
    bool timing = true, destroyed = false;
    std::shared_ptr<holon::fake::Mark> mark;
};
struct CUmemPoolHandle_st {
    int device = 0;
    bool destroyed = false;
    std::size_t used = 0, used_high = 0, reserved = 0, reserved_high = 0, freed = 0, threshold = 0, limit = 0;
};
struct CUgraph_st {
    std::shared_ptr<holon::fake::GraphWork> graph;
    bool destroyed = false;
};
struct CUgraphExec_st {
    std::shared_ptr<holon::fake::GraphWork> graph;
    bool destroyed = false;
};

namespace holon::fake {

/// Says what the program did wrong, and ends it: there is no going on after a double free.
[[noreturn]] void stop(const std::string& sentence);

/// What handles point to. Kept when they are destroyed, so that using one again is noticed and not undefined.
template <class T> class Handles {
 public:
    T* make() {
        T* const made = &all_.emplace_back();
        known_.insert(made);
        return made;
    }
    T& find(const T* handle, const char* caller, const char* noun) {
        if (!known_.contains(handle)) stop(std::string(caller) + ": no such " + noun + " was made");
        if (handle->destroyed) stop(std::string(caller) + ": the " + noun + " was destroyed");
        return const_cast<T&>(*handle);
    }
    auto begin() { return all_.begin(); }
    auto end() { return all_.end(); }

 private:
    std::deque<T> all_;
    std::unordered_set<const T*> known_;
};

/// All of it.
struct Runtime {
    std::recursive_mutex mutex;
    Settings settings;
    Counts counts;
    cudaError_t sticky = cudaSuccess;
    std::string fault;
    std::map<char*, Block> blocks;
    Handles<CUstream_st> streams;
    Handles<CUevent_st> events;
    Handles<CUmemPoolHandle_st> pools;
    Handles<CUgraph_st> graphs;
    Handles<CUgraphExec_st> executables;
    std::map<int, cudaStream_t> legacy_streams;      // by device
    std::map<int, cudaMemPool_t> default_pools;      // by device
    std::map<int, std::size_t> plain_bytes;          // cudaMalloc's, by device
    std::vector<std::shared_ptr<Capture>> captures;  // in progress
    int running = 0;                                 // depth; device memory may be touched while it is not 0
    bool advancing = false;                          // eager streams are running what they can
};
Runtime& runtime();

using Lock = std::lock_guard<std::recursive_mutex>;

/// Remembers the error for cudaGetLastError, and returns it.
cudaError_t report(cudaError_t error);

/// What every call answers before it does anything: no device, an old driver, a fault.
cudaError_t ready();
int current_device();

/// The stream behind a handle; stops at one that is not alive.
CUstream_st& stream_of(cudaStream_t handle, const char* caller);

/// Puts work at the end of a stream, or into the graph that it captures.
cudaError_t submit(cudaStream_t handle, Work work, const char* caller);

/// Runs what is on a stream, with all that it waits for.
void drain(CUstream_st& stream);
void drain_all();

/// For calls that captures may forbid (those of `stream`, or all of the device, do): the error, after which the capture
/// is invalid.
enum class Concerns { stream, device };
cudaError_t forbidden_in_capture(const CUstream_st* stream = nullptr, Concerns concerns = Concerns::stream);

/// Work that was captured, put on a stream again.
cudaError_t replay(const std::shared_ptr<GraphWork>& graph, cudaStream_t stream);

/// The block that holds all of these bytes and was not freed; none otherwise.
const Block* block_of(const void* at, std::size_t bytes);
const Block* device_block_of(const void* at, std::size_t bytes);

/// Stops if work that runs touches device or pinned memory that is no longer there.
void still_there(const void* at, std::size_t bytes, Block::Kind kind, const char* what);

/// Frees what a graph owned.
void release_graph_block(char* at);

/// Bytes that the device holds, for pools and for cudaMalloc.
std::size_t held(int device);
bool fits(int device, std::size_t more);

/// Takes bytes from a pool; false if there are none.
bool grow(CUmemPoolHandle_st& pool, std::size_t bytes);
CUmemPoolHandle_st& default_pool(int device);
CUmemPoolHandle_st& pool_of(cudaMemPool_t handle, const char* caller);

/// After a synchronisation, pools give back what is above their release threshold.
void pools_let_go();

/// Lets (or, under AddressSanitizer, no longer lets) this machine's code touch device memory.
void device_memory_may_be_touched(bool may);

}  // namespace holon::fake
