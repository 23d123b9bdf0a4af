// core/gpu_memory.hpp: a card's memory: a pool in the order of a stream, and stretches of it that a recorded step owns.
#pragma once
#include <cuda_runtime_api.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include <holon/core/memory.hpp>

namespace holon::gpu {

/// Throws `DeviceError` with CUDA's own words.
inline void expects_cuda(cudaError_t status, const char* what) {
    if (status == cudaSuccess) return;
    throw DeviceError(text("CUDA, ", what, ": ", cudaGetErrorName(status), ", ", cudaGetErrorString(status),
                           status == cudaErrorMemoryAllocation
                               ? ""
                               : "; an earlier kernel may be to blame: CUDA_LAUNCH_BLOCKING=1 or compute-sanitizer "
                                 "finds which"));
}

/// Memory that blocks are cut from while a step is recorded, so that the addresses the step knows stay its own: nothing
/// else is put there until the stretch is given back and the last of its blocks released.
class Stretch {
 public:
    Stretch(void* at, std::size_t bytes) : base_(static_cast<char*>(at)), bytes_(bytes), blocks_(bytes) {}

    char* base() const { return base_; }
    std::size_t bytes() const { return bytes_; }
    bool holds(const void* at) const { return at >= base_ && at < base_ + bytes_; }

    /// What a block of so many bytes takes; blocks begin where the pool's own would.
    static std::size_t rounded(std::size_t bytes) { return (std::max<std::size_t>(bytes, 1) + 255) / 256 * 256; }

 private:
    friend class PoolMemory;
    char* base_;
    std::size_t bytes_;
    Blocks blocks_;
    std::size_t live_ = 0;
    bool given_back_ = false;
};

/// The allocator of a card: a stream-ordered pool of its own. What is released is reused at once by what follows in the
/// same stream; the system is asked again only when the pool must grow. A recorded step's blocks come out of a stretch
/// that is set aside for it.
class PoolMemory {
 public:
    PoolMemory(int device, cudaStream_t stream, std::string card) : stream_(stream), card_(std::move(card)) {
        cudaMemPoolProps props{};
        props.allocType = cudaMemAllocationTypePinned;
        props.location.type = cudaMemLocationTypeDevice;
        props.location.id = device;
        expects_cuda(cudaMemPoolCreate(&pool_, &props), "making a memory pool");
        std::uint64_t keep_all = ~std::uint64_t(0);
        expects_cuda(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep_all), "setting up the pool");
    }
    ~PoolMemory() {
        cudaStreamSynchronize(stream_);
        cudaMemPoolDestroy(pool_);
    }
    PoolMemory(const PoolMemory&) = delete;
    PoolMemory& operator=(const PoolMemory&) = delete;

    /// At least `bytes` bytes, aligned to 256. Throws `OutOfMemory` past the limit or when the card has no more.
    void* allocate(std::size_t bytes) {
        const std::lock_guard lock(mutex_);
        if (cut_from_) return cut(bytes);
        void* block = from_pool(bytes);
        while (!block && spare_something()) block = from_pool(bytes);
        if (!block) holon::detail::refuse_memory(bytes, use_, limit_, card_);
        if (rehearsal_ && counting_)
            rehearsal_->places.emplace(block, rehearsal_->blocks.take(Stretch::rounded(bytes)));
        return block;
    }

    void release(void* block, std::size_t bytes) noexcept {
        const std::lock_guard lock(mutex_);
        if (Stretch* const stretch = stretch_of(block)) {
            stretch->blocks_.give(std::size_t(static_cast<char*>(block) - stretch->base_), Stretch::rounded(bytes));
            --stretch->live_;
            if (stretch->given_back_) end(*stretch);
        } else if (cut_from_) {
            later_.emplace_back(block, bytes);  // a recording must not free what it did not allocate
        } else {
            if (rehearsal_)
                if (const auto known = rehearsal_->places.extract(block))
                    rehearsal_->blocks.give(known.mapped(), Stretch::rounded(bytes));
            to_pool(block, bytes);
        }
    }

    /// From here until `end_rehearsal`, which says it, counts the bytes that a stretch must have to serve the same
    /// requests.
    void begin_rehearsal() {
        const std::lock_guard lock(mutex_);
        rehearsal_.emplace();
    }
    std::size_t end_rehearsal() {
        const std::lock_guard lock(mutex_);
        const std::size_t bytes = rehearsal_ ? rehearsal_->blocks.top() : 0;
        rehearsal_.reset();
        return bytes;
    }

    /// What is taken while this is off is not counted: a recorded step does not take it.
    bool count_rehearsal(bool on) {
        const std::lock_guard lock(mutex_);
        return std::exchange(counting_, on);
    }

    /// A stretch of so many bytes, counted like any block. Throws `OutOfMemory`.
    Stretch* set_aside(std::size_t bytes) {
        const std::lock_guard lock(mutex_);
        trim_unlocked();  // so that it takes the place of what a rehearsal left behind
        bytes = Stretch::rounded(bytes);
        void* const at = allocate(bytes);
        return &stretches_.emplace(static_cast<char*>(at), Stretch(at, bytes)).first->second;
    }
    /// Frees a stretch, now or when the last of its blocks is released.
    void give_back(Stretch* stretch) noexcept {
        const std::lock_guard lock(mutex_);
        stretch->given_back_ = true;
        end(*stretch);
    }
    /// Blocks come out of this stretch from here on; null: out of the pool again.
    void cut_from(Stretch* stretch) {
        const std::lock_guard lock(mutex_);
        cut_from_ = stretch;
        if (stretch) return;
        for (const auto& [block, bytes] : later_) to_pool(block, bytes);
        later_.clear();
    }

    /// Asked, one after the other, when there is not enough memory, before it is refused: each gives back what it can
    /// spare and says whether that was anything. The number is for `forget`.
    int ask_on_shortage(std::function<bool()> spare) {
        const std::lock_guard lock(mutex_);
        spares_.emplace(++last_spare_, std::move(spare));
        return last_spare_;
    }
    void forget(int number) {
        const std::lock_guard lock(mutex_);
        spares_.erase(number);
    }

    MemoryUse use() const {
        const std::lock_guard lock(mutex_);
        return use_;
    }
    void reset_peak() {
        const std::lock_guard lock(mutex_);
        use_.peak = use_.current;
        use_.peak_reserved = use_.reserved;
    }
    void set_limit(std::size_t bytes) {
        const std::lock_guard lock(mutex_);
        limit_ = bytes;
    }
    std::size_t limit() const {
        const std::lock_guard lock(mutex_);
        return limit_;
    }
    /// Gives memory that holds nothing back to the card.
    void trim() {
        const std::lock_guard lock(mutex_);
        trim_unlocked();
    }

 private:
    struct Rehearsal {
        Rehearsal() : blocks(std::size_t(1) << 59) {}  // said here: clang 14 takes no initialiser at the member
        Blocks blocks;
        std::unordered_map<void*, std::size_t> places;  // of blocks that were taken since it began
    };

    /// Null past the limit, or where the card has no more.
    void* from_pool(std::size_t bytes) {
        const std::size_t rounded = Blocks::rounded(bytes), before = use_.reserved;
        void* block = nullptr;
        if (rounded <= limit_ && use_.current <= limit_ - rounded) {
            block = take(rounded);
            if (!block) {  // gaps that the pool keeps may be in the way
                trim_unlocked();
                block = take(rounded);
            }
        }
        if (block && !holds_limit()) {
            expects_cuda(cudaFreeAsync(block, stream_), "freeing");
            block = nullptr;
            trim_unlocked();
        }
        if (!block) return nullptr;
        use_.current += rounded;
        use_.peak = std::max(use_.peak, use_.current);
        if (use_.reserved > before) ++use_.growths;
        return block;
    }
    void to_pool(void* block, std::size_t bytes) noexcept {
        cudaFreeAsync(block, stream_);
        use_.current -= Blocks::rounded(bytes);
    }
    void* cut(std::size_t bytes) {
        const std::size_t at = cut_from_->blocks_.take(Stretch::rounded(bytes));
        if (at == Blocks::nowhere)
            throw OutOfMemory(text("the memory set aside for a recorded step, ", cut_from_->bytes_,
                                   " bytes as its rehearsal took, does not hold another ", bytes,
                                   ": the step that was recorded is not the one that was rehearsed"));
        ++cut_from_->live_;
        return cut_from_->base_ + at;
    }
    Stretch* stretch_of(const void* block) {
        auto found = stretches_.upper_bound(static_cast<char*>(const_cast<void*>(block)));
        if (found == stretches_.begin()) return nullptr;
        Stretch& last = std::prev(found)->second;
        return last.holds(block) ? &last : nullptr;
    }
    void end(Stretch& stretch) noexcept {
        if (stretch.live_) return;
        to_pool(stretch.base_, stretch.bytes_);
        stretches_.erase(stretch.base_);
    }
    /// False when nothing is left that could be spared.
    bool spare_something() {
        if (sparing_) return false;
        sparing_ = true;
        bool spared = false;
        for (const auto& [number, spare] : std::map<int, std::function<bool()>>(spares_))
            if ((spared = spare())) break;
        sparing_ = false;
        if (spared) trim_unlocked();
        return spared;
    }

    /// Null where the card has no more.
    void* take(std::size_t bytes) {
        void* block = nullptr;
        const cudaError_t status = cudaMallocFromPoolAsync(&block, bytes, pool_, stream_);
        if (status != cudaErrorMemoryAllocation) {
            expects_cuda(status, "allocating");
            return block;
        }
        (void)cudaGetLastError();
        return nullptr;
    }
    /// Reads what the pool holds; false where that is more than allowed, even after gaps were given back.
    bool holds_limit() {
        read_reserved();
        if (use_.reserved > limit_) trim_unlocked();
        return use_.reserved <= limit_;
    }
    void read_reserved() {
        std::uint64_t reserved = 0;
        expects_cuda(cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &reserved), "asking the pool");
        use_.reserved = std::size_t(reserved);
        use_.peak_reserved = std::max(use_.peak_reserved, use_.reserved);
    }
    void trim_unlocked() {
        expects_cuda(cudaStreamSynchronize(stream_), "waiting for the card");
        expects_cuda(cudaMemPoolTrimTo(pool_, 0), "trimming the pool");
        std::uint64_t reserved = 0;
        expects_cuda(cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &reserved), "asking the pool");
        use_.reserved = std::size_t(reserved);
    }

    mutable std::recursive_mutex mutex_;  // what is spared comes back while more is being asked for
    cudaStream_t stream_;
    std::string card_;
    cudaMemPool_t pool_ = nullptr;
    MemoryUse use_;
    std::size_t limit_ = no_limit;
    std::map<char*, Stretch> stretches_;
    Stretch* cut_from_ = nullptr;
    std::vector<std::pair<void*, std::size_t>> later_;
    std::optional<Rehearsal> rehearsal_;
    bool counting_ = true;
    std::map<int, std::function<bool()>> spares_;
    int last_spare_ = 0;
    bool sparing_ = false;
};

}  // namespace holon::gpu
