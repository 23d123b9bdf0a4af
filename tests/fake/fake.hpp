// fake/fake.hpp: a GPU that is not there. What a test sets and asks of the fake CUDA runtime, cuBLAS and cuDNN that it
// is linked with instead of NVIDIA's. Work put on a stream runs on this machine, and only when something waits for it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

// CUDA's own declaration, repeated so that code that emulates kernels can enqueue them without CUDA's headers.
struct CUstream_st;
typedef struct CUstream_st* cudaStream_t;

namespace holon::fake {

constexpr std::size_t no_limit = std::size_t(-1);

/// What the fake machine is. Change it before the code under test asks for it; `reset` restores these values.
struct Settings {
    int devices = 1;               ///< 0: cudaErrorNoDevice
    int driver_version = -1;       ///< as 13000; -1: the runtime's; older major: cudaErrorInsufficientDriver
    int runtime_version = -1;      ///< -1: the version of the headers
    int compute_capability = 890;  ///< 890 is 8.9
    int oldest_kernels = 750;      ///< kernels fail with cudaErrorNoKernelImageForDevice on an older card
    std::size_t memory = std::size_t(2) << 30;  ///< bytes of each device; beyond them cudaErrorMemoryAllocation
    std::size_t pinned_memory = no_limit;       ///< bytes of page-locked host memory
    std::string name = "Fake GPU";              ///< of each device
    int multiprocessors = 24;                   ///< of each device
    int cudnn_version = -1;                     ///< as 91900; -1: the version of the headers
    bool no_engines = false;                    ///< cuDNN's heuristics offer nothing
    std::vector<int> tensor_core_notes;                  ///< of `Engine::tensor_core`, besides TENSOR_CORE
    std::size_t tensor_core_workspace = 0;               ///< bytes that `Engine::tensor_core` asks for
    std::size_t large_workspace = std::size_t(1) << 30;  ///< bytes that `Engine::large` asks for
    int sums_take_ms = 0;                                ///< milliseconds that `Engine::with_sums` waits
};
Settings& settings();

/// What is alive, and what has been done since `reset`.
struct Counts {
    std::int64_t allocations = 0, bytes = 0, peak_bytes = 0;  ///< device memory; freed when the free is called
    std::int64_t allocation_calls = 0;                        ///< that gave device or pinned memory since `reset`
    std::int64_t pinned_allocations = 0, pinned_bytes = 0;
    std::int64_t streams = 0, events = 0, pools = 0, graphs = 0, handles = 0, descriptors = 0;  ///< alive
    std::int64_t kernels = 0;                                                                   ///< calls of `enqueue`
    std::int64_t copies = 0, sets = 0, synchronisations = 0, graph_launches = 0;
    std::int64_t gemms = 0, gemms_in_default_workspace = 0;
    std::int64_t plans_built = 0, plans_executed = 0;
    std::map<std::int64_t, std::int64_t> executions;  ///< of plans, by their engine's global index
    std::int64_t waiting = 0;                         ///< pieces of work that no one has waited for yet
};
Counts counts();

/// Settings, what has been done, the peak and any fault as at the start, and no stream eager; what is alive stays.
void reset();

/// Puts a kernel on a stream, as a launch does; an error is left for cudaGetLastError. A kernel that throws is a fault:
/// its words go to stderr, and cudaErrorLaunchFailure comes from every call until `reset`.
void enqueue(cudaStream_t stream, std::function<void()> kernel);

/// From here on the stream runs what is put on it at once, up to a wait for work of another stream that has not run:
/// what it should wait for and does not is then undone. Other streams run their work as late as they may.
void make_eager(cudaStream_t stream);

/// What the kernel that failed said; empty if none has.
std::string fault();

/// The engines that cuDNN's heuristics offer, by global index and in their order; all but `refused` compute what they
/// should, within the precision that their notes admit.
enum Engine : std::int64_t {
    tensor_core = 1,       ///< note TENSOR_CORE; float inputs are rounded to TF32; asks for `Settings::tensor_core_workspace`
    refused = 2,           ///< a plan of it is not supported
    nondeterministic = 3,  ///< backward only; note NONDETERMINISTIC
    large = 4,             ///< asks for `Settings::large_workspace`
    down_convert = 5,      ///< float only; notes TENSOR_CORE and DOWN_CONVERT_INPUTS: inputs are rounded to bfloat16
    plain = 6,             ///< a small workspace that depends on the shape
    fallback = 7,          ///< no workspace; of the fallback list
    with_sums = 8,         ///< float16 forward with the sums of its result's channels, and no other does that
};

}  // namespace holon::fake
