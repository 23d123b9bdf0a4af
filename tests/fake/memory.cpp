// fake/memory.cpp: the fake CUDA runtime's memory. Every allocation is a block of its own from malloc, so that
// AddressSanitizer sees its ends; pools only keep accounts.
//
// The accounts follow the calls: a pool may give memory that was freed on any stream to whoever asks next, as CUDA's
// may, which then waits for the free. The block itself stays until its stream comes to the free.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "fake/runtime.hpp"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>  // device memory is poisoned while no work runs
#endif

namespace holon::fake {
namespace {

/// In the accounts.
std::size_t rounded(std::size_t size) { return (size + 511) / 512 * 512; }

char* new_block(std::size_t size, Block block) {
    void* at = nullptr;
    if (posix_memalign(&at, 256, size) != 0) stop("this machine has no memory left for a block of the device's");
    std::memset(at, 0xff, size);  // not a number, until it is written
    block.size = size;
    runtime().blocks.emplace(static_cast<char*>(at), block);
    return static_cast<char*>(at);
}

void erase_block(std::map<char*, Block>::iterator block) {
    char* const at = block->first;
#if defined(__SANITIZE_ADDRESS__)
    ASAN_UNPOISON_MEMORY_REGION(at, block->second.size);
#endif
    runtime().blocks.erase(block);
    std::free(at);
}

char* new_device_block(std::size_t size, Block block) {
    char* const at = new_block(size, block);
#if defined(__SANITIZE_ADDRESS__)
    if (runtime().running == 0) ASAN_POISON_MEMORY_REGION(at, size);
#endif
    Counts& c = runtime().counts;
    ++c.allocations;
    ++c.allocation_calls;
    c.bytes += std::int64_t(size);
    c.peak_bytes = std::max(c.peak_bytes, c.bytes);
    return at;
}

/// The accounts of a block that was freed by a call.
void settle(const Block& block) {
    Counts& c = runtime().counts;
    --c.allocations;
    c.bytes -= std::int64_t(block.size);
    if (block.pool)
        block.pool->used -= rounded(block.size);
    else
        runtime().plain_bytes[block.ordinal] -= rounded(block.size);
}

std::map<char*, Block>::iterator block_to_free(void* at, Block::Kind kind, const char* caller) {
    Runtime& r = runtime();
    const auto found = r.blocks.find(static_cast<char*>(at));
    if (found == r.blocks.end()) stop(std::string(caller) + ": this pointer was never allocated, or was freed before");
    if (found->second.freed) stop(std::string(caller) + ": this pointer was freed before");
    if (found->second.kind != kind)
        stop(std::string(caller) + (kind == Block::device ? ": this is host memory" : ": this is device memory"));
    return found;
}

cudaError_t allocate(void** at, std::size_t size, CUmemPoolHandle_st& pool, cudaStream_t on, const char* caller) {
    *at = nullptr;
    CUstream_st& stream = stream_of(on, caller);
    if (stream.capture && stream.capture->invalid) return cudaErrorStreamCaptureInvalidated;
    if (size == 0) return cudaSuccess;
    if (rounded(size) < size || !grow(pool, rounded(size))) return cudaErrorMemoryAllocation;
    Block block;
    block.ordinal = pool.device;
    block.pool = &pool;
    block.of_graph = stream.capture != nullptr;
    char* const made = new_device_block(size, block);
    block.size = size;
    if (stream.capture) stream.capture->graph->blocks.push_back(made);
    *at = made;
    // Again when the stream comes to it: what another stream wrote before that is lost.
    const Work fill = [=] {
        still_there(made, size, Block::device, "an allocation that was put on a stream");
        std::memset(made, 0xff, size);
    };
    const cudaError_t error = submit(on, fill, caller);
    if (error) {
        settle(block);
        erase_block(runtime().blocks.find(made));
        *at = nullptr;
    }
    return error;
}

}  // namespace

const Block* block_of(const void* at, std::size_t bytes) {
    const auto& blocks = runtime().blocks;
    char* const first = const_cast<char*>(static_cast<const char*>(at));
    auto found = blocks.upper_bound(first);
    if (found == blocks.begin()) return nullptr;
    --found;
    const std::size_t offset = std::size_t(first - found->first);
    const bool inside = offset <= found->second.size && bytes <= found->second.size - offset;
    return inside && !(offset == found->second.size && bytes == 0) ? &found->second : nullptr;
}

const Block* device_block_of(const void* at, std::size_t bytes) {
    const Block* const block = block_of(at, bytes);
    return block && block->kind == Block::device && !block->freed ? block : nullptr;
}

void still_there(const void* at, std::size_t bytes, Block::Kind kind, const char* what) {
    const Block* const block = block_of(at, bytes);
    if (!block || block->kind != kind)
        stop(std::string(what) + (kind == Block::device ? " touches device memory" : " touches pinned host memory") +
             " that was freed before it ran");
}

void release_graph_block(char* at) {
    const auto block = runtime().blocks.find(at);
    settle(block->second);
    erase_block(block);
}

void device_memory_may_be_touched([[maybe_unused]] bool may) {
#if defined(__SANITIZE_ADDRESS__)
    for (const auto& [at, block] : runtime().blocks) {
        if (block.kind != Block::device) continue;
        if (may)
            ASAN_UNPOISON_MEMORY_REGION(at, block.size);
        else
            ASAN_POISON_MEMORY_REGION(at, block.size);
    }
#endif
}

}  // namespace holon::fake

using namespace holon::fake;

extern "C" {

cudaError_t CUDARTAPI cudaMalloc(void** at, size_t size) {
    Runtime& r = runtime();
    const Lock lock(r.mutex);
    if (const cudaError_t error = ready()) return report(error);
    if (const cudaError_t error = forbidden_in_capture()) return report(error);
    *at = nullptr;
    if (size == 0) return cudaSuccess;
    if (rounded(size) < size || !fits(current_device(), rounded(size))) return report(cudaErrorMemoryAllocation);
    r.plain_bytes[current_device()] += rounded(size);
    Block block;
    block.ordinal = current_device();
    *at = new_device_block(size, block);
    return cudaSuccess;
}

/// Waits for the device, as CUDA's does, unless the memory is a pool's: then the caller must have waited.
cudaError_t CUDARTAPI cudaFree(void* at) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    if (!at) return cudaSuccess;
    if (const cudaError_t error = forbidden_in_capture()) return report(error);
    const auto block = block_to_free(at, Block::device, "cudaFree");
    if (block->second.of_graph) stop("cudaFree: this memory belongs to a graph");
    if (!block->second.pool) drain_all();
    settle(block->second);
    erase_block(block);
    return report(ready());
}

cudaError_t CUDARTAPI cudaMallocAsync(void** at, size_t size, cudaStream_t stream) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    return report(
        allocate(at, size, default_pool(stream_of(stream, "cudaMallocAsync").device), stream, "cudaMallocAsync"));
}

cudaError_t CUDARTAPI cudaMallocFromPoolAsync(void** at, size_t size, cudaMemPool_t pool, cudaStream_t stream) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    return report(allocate(at, size, pool_of(pool, "cudaMallocFromPoolAsync"), stream, "cudaMallocFromPoolAsync"));
}

/// In a capture: only of memory that the same graph allocated, which stays the graph's and becomes not-a-number.
cudaError_t CUDARTAPI cudaFreeAsync(void* pointer, cudaStream_t on) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    if (!pointer) return cudaSuccess;
    const auto found = block_to_free(pointer, Block::device, "cudaFreeAsync");
    char* const at = found->first;
    Block& block = found->second;
    if (block.of_graph || stream_of(on, "cudaFreeAsync").capture) {
        if (!block.of_graph) return report(cudaErrorInvalidValue);
        return report(submit(
            on, [at, size = block.size] { std::memset(at, 0xff, size); }, "cudaFreeAsync"));
    }
    settle(block);
    block.freed = true;
    if (block.pool) block.pool->freed += rounded(block.size);
    return report(submit(
        on,
        [at] {
            const auto now = runtime().blocks.find(at);
            if (now->second.pool) now->second.pool->freed -= rounded(now->second.size);
            erase_block(now);
        },
        "cudaFreeAsync"));
}

cudaError_t CUDARTAPI cudaMemGetInfo(size_t* free, size_t* total) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    *total = runtime().settings.memory;
    *free = *total - std::min(*total, held(current_device()));
    return cudaSuccess;
}

cudaError_t CUDARTAPI cudaHostAlloc(void** at, size_t size, unsigned flags) {
    Runtime& r = runtime();
    const Lock lock(r.mutex);
    if (const cudaError_t error = ready()) return report(error);
    if (const cudaError_t error = forbidden_in_capture()) return report(error);
    *at = nullptr;
    if (flags & ~7u) return report(cudaErrorInvalidValue);  // portable, mapped, write-combined
    if (size == 0) return cudaSuccess;
    if (std::size_t(r.counts.pinned_bytes) + size > r.settings.pinned_memory) return report(cudaErrorMemoryAllocation);
    Block block;
    block.kind = Block::pinned;
    block.ordinal = current_device();
    *at = new_block(size, block);
    ++r.counts.pinned_allocations;
    ++r.counts.allocation_calls;
    r.counts.pinned_bytes += std::int64_t(size);
    return cudaSuccess;
}
cudaError_t CUDARTAPI cudaMallocHost(void** at, size_t size) { return cudaHostAlloc(at, size, cudaHostAllocDefault); }

cudaError_t CUDARTAPI cudaFreeHost(void* at) {
    Runtime& r = runtime();
    const Lock lock(r.mutex);
    if (const cudaError_t error = ready()) return report(error);
    if (!at) return cudaSuccess;
    if (const cudaError_t error = forbidden_in_capture()) return report(error);
    const auto block = block_to_free(at, Block::pinned, "cudaFreeHost");
    --r.counts.pinned_allocations;
    r.counts.pinned_bytes -= std::int64_t(block->second.size);
    erase_block(block);
    return cudaSuccess;
}

cudaError_t CUDARTAPI cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* at) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    *attributes = {};
    void* const pointer = const_cast<void*>(at);
    const Block* const block = block_of(at, 1);
    attributes->type = cudaMemoryTypeUnregistered;
    attributes->device = -2;  // cudaInvalidDeviceId
    attributes->hostPointer = pointer;
    if (!block || block->freed) return cudaSuccess;
    attributes->type = block->kind == Block::device ? cudaMemoryTypeDevice : cudaMemoryTypeHost;
    attributes->device = block->ordinal;
    attributes->devicePointer = pointer;
    if (block->kind == Block::device) attributes->hostPointer = nullptr;
    return cudaSuccess;
}

}  // extern "C"
