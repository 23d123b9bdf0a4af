// fake/pools.cpp: the accounts of the fake CUDA runtime's memory pools. What was freed by a call may be given out
// again, but is the pool's to give back only when its stream has come to the free.
#include <algorithm>

#include "fake/runtime.hpp"

namespace holon::fake {
namespace {

void trim(CUmemPoolHandle_st& pool, std::size_t keep) {
    pool.reserved = std::min(pool.reserved, std::max(pool.used + pool.freed, keep));
}

}  // namespace

std::size_t held(int device) {
    Runtime& r = runtime();
    std::size_t sum = r.plain_bytes[device];
    for (const auto& pool : r.pools)
        if (pool.device == device) sum += pool.reserved;
    return sum;
}

bool fits(int device, std::size_t more) {
    const std::size_t all = runtime().settings.memory, now = held(device);
    return now <= all && more <= all - now;
}

bool grow(CUmemPoolHandle_st& pool, std::size_t bytes) {
    const std::size_t used = pool.used + bytes;
    if (pool.limit && used > pool.limit) return false;
    if (used > pool.reserved) {
        if (used < bytes || !fits(pool.device, used - pool.reserved)) return false;
        pool.reserved = used;
        pool.reserved_high = std::max(pool.reserved_high, pool.reserved);
    }
    pool.used = used;
    pool.used_high = std::max(pool.used_high, pool.used);
    return true;
}

CUmemPoolHandle_st& default_pool(int device) {
    cudaMemPool_t& pool = runtime().default_pools[device];
    if (!pool) {
        pool = runtime().pools.make();
        pool->device = device;
    }
    return *pool;
}

CUmemPoolHandle_st& pool_of(cudaMemPool_t handle, const char* caller) {
    return runtime().pools.find(handle, caller, "memory pool");
}

void pools_let_go() {
    for (auto& pool : runtime().pools) trim(pool, pool.destroyed ? 0 : pool.threshold);
}

}  // namespace holon::fake

using namespace holon::fake;

extern "C" {

cudaError_t CUDARTAPI cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    if (device < 0 || device >= runtime().settings.devices) return report(cudaErrorInvalidDevice);
    *pool = &default_pool(device);
    return cudaSuccess;
}

cudaError_t CUDARTAPI cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties) {
    Runtime& r = runtime();
    const Lock lock(r.mutex);
    if (const cudaError_t error = ready()) return report(error);
    if (const cudaError_t error = forbidden_in_capture()) return report(error);
    const cudaMemPoolProps& p = *properties;
    if (p.allocType != cudaMemAllocationTypePinned || p.location.type != cudaMemLocationTypeDevice ||
        p.location.id < 0 || p.location.id >= r.settings.devices)
        return report(cudaErrorInvalidValue);
    *pool = r.pools.make();
    (*pool)->device = p.location.id;
    (*pool)->limit = p.maxSize;
    ++r.counts.pools;
    return cudaSuccess;
}

/// Memory of it that is in use stays so; the rest is given back.
cudaError_t CUDARTAPI cudaMemPoolDestroy(cudaMemPool_t handle) {
    const Lock lock(runtime().mutex);
    CUmemPoolHandle_st& pool = pool_of(handle, "cudaMemPoolDestroy");
    for (const auto& [device, usual] : runtime().default_pools)
        if (usual == &pool) return report(cudaErrorInvalidValue);
    pool.destroyed = true;
    trim(pool, 0);
    --runtime().counts.pools;
    return report(runtime().sticky);
}

cudaError_t CUDARTAPI cudaMemPoolTrimTo(cudaMemPool_t handle, size_t keep) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    if (const cudaError_t error = forbidden_in_capture()) return report(error);
    trim(pool_of(handle, "cudaMemPoolTrimTo"), keep);
    return cudaSuccess;
}

cudaError_t CUDARTAPI cudaMemPoolSetAttribute(cudaMemPool_t handle, cudaMemPoolAttr attribute, void* value) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    CUmemPoolHandle_st& pool = pool_of(handle, "cudaMemPoolSetAttribute");
    switch (attribute) {
        case cudaMemPoolReuseFollowEventDependencies:
        case cudaMemPoolReuseAllowOpportunistic:
        case cudaMemPoolReuseAllowInternalDependencies:
            return cudaSuccess;
        default:
            break;
    }
    const auto wanted = *static_cast<const std::uint64_t*>(value);
    if (attribute == cudaMemPoolAttrReleaseThreshold) {
        pool.threshold = wanted;
        return cudaSuccess;
    }
    // A high-water mark can only be set to 0, which makes it start from what there is.
    if (wanted != 0) return report(cudaErrorInvalidValue);
    if (attribute == cudaMemPoolAttrReservedMemHigh)
        pool.reserved_high = pool.reserved;
    else if (attribute == cudaMemPoolAttrUsedMemHigh)
        pool.used_high = pool.used;
    else
        return report(cudaErrorInvalidValue);
    return cudaSuccess;
}

cudaError_t CUDARTAPI cudaMemPoolGetAttribute(cudaMemPool_t handle, cudaMemPoolAttr attribute, void* value) {
    const Lock lock(runtime().mutex);
    if (const cudaError_t error = ready()) return report(error);
    const CUmemPoolHandle_st& pool = pool_of(handle, "cudaMemPoolGetAttribute");
    auto& number = *static_cast<std::uint64_t*>(value);
    switch (attribute) {
        case cudaMemPoolReuseFollowEventDependencies:
        case cudaMemPoolReuseAllowOpportunistic:
        case cudaMemPoolReuseAllowInternalDependencies:
            *static_cast<int*>(value) = 1;
            break;
        case cudaMemPoolAttrReleaseThreshold:
            number = pool.threshold;
            break;
        case cudaMemPoolAttrReservedMemCurrent:
            number = pool.reserved;
            break;
        case cudaMemPoolAttrReservedMemHigh:
            number = pool.reserved_high;
            break;
        case cudaMemPoolAttrUsedMemCurrent:
            number = pool.used;
            break;
        case cudaMemPoolAttrUsedMemHigh:
            number = pool.used_high;
            break;
        default:
            return report(cudaErrorInvalidValue);
    }
    return cudaSuccess;
}

}  // extern "C"
