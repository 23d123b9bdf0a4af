// core/memory.hpp: every byte of tensors, scratchpads and reorders is asked for here and counted.
#pragma once
#include <sys/sysinfo.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <mutex>
#include <utility>

#include <holon/core/arena.hpp>
#include <holon/core/error.hpp>
#include <holon/core/scope.hpp>

namespace holon {

/// Bytes of a device that are wanted in this machine's memory.
struct Download {
    void* to;
    const void* from;
    std::size_t bytes;
};

/// Bytes, all of them. `reserved` is what the process holds for us, gaps between blocks included; the operating
/// system's own high-water mark (VmHWM) follows `peak_reserved`.
struct MemoryUse {
    std::size_t current = 0;        ///< in live blocks
    std::size_t peak = 0;           ///< the most `current` has been
    std::size_t reserved = 0;       ///< current plus gaps
    std::size_t peak_reserved = 0;  ///< the most `reserved` has been
    std::size_t growths = 0;        ///< how often memory new to the process was asked for
};

constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

namespace detail {
/// The sentence of every allocator: `where` says whose memory it is, if not this machine's.
[[noreturn]] inline void refuse_memory(std::size_t bytes, const MemoryUse& use, std::size_t limit,
                                       std::string_view where = {}) {
    throw OutOfMemory(text("out of memory", where.empty() ? "" : " of ", where, ": ", bytes, " bytes asked for",
                           Scope::current().empty() ? "" : " in ", Scope::current(), ", ", use.current, " in use, ",
                           use.reserved, " reserved, limit ", limit == no_limit ? std::string("none") : text(limit),
                           "; a smaller batch or image, bf16 or recomputation needs less"));
}
}  // namespace detail

/// While it lives, what this thread allocates is what steps have in common (weights, gradients, moments): it is put
/// apart, so that it leaves no gaps between the activations of the next step.
class Lasting {
 public:
    Lasting() : before_(std::exchange(flag(), true)) {}
    ~Lasting() { flag() = before_; }
    Lasting(const Lasting&) = delete;
    Lasting& operator=(const Lasting&) = delete;
    static bool now() { return flag(); }

 private:
    static bool& flag() {
        thread_local bool on = false;
        return on;
    }
    bool before_;
};

/// The allocator of a device context over two arenas, for any number of threads: what lasts, small blocks with it, and
/// what comes and goes within a step.
template <class Space> class ArenaMemory {
 public:
    ArenaMemory() : lasting_(std::size_t(1) << 36, 0), passing_(reserve(), 1) {}

    /// At least `bytes` bytes, aligned to 64. Throws `OutOfMemory` past the limit or when the system has no more.
    void* allocate(std::size_t bytes) {
        const std::lock_guard lock(mutex_);
        const std::size_t rounded = Blocks::rounded(bytes);
        const bool lasts = rounded < threshold || Lasting::now();
        Space& arena = lasts ? lasting_ : passing_;
        const std::size_t after = arena.top_after(rounded) + (lasts ? passing_ : lasting_).top();
        void* block = after > limit_ ? nullptr : arena.take(rounded);
        if (!block) detail::refuse_memory(bytes, use_, limit_);
        use_.current += rounded;
        use_.peak = std::max(use_.peak, use_.current);
        if (after > use_.reserved) ++use_.growths;
        use_.reserved = after;
        use_.peak_reserved = std::max(use_.peak_reserved, after);
        return block;
    }

    void release(void* block, std::size_t bytes) noexcept {
        const std::lock_guard lock(mutex_);
        const std::size_t rounded = Blocks::rounded(bytes);
        (lasting_.holds(block) ? lasting_ : passing_).give(block, rounded);
        use_.current -= rounded;
    }

    MemoryUse use() const {
        const std::lock_guard lock(mutex_);
        return use_;
    }
    /// Forgets the peaks, not the present.
    void reset_peak() {
        const std::lock_guard lock(mutex_);
        use_.peak = use_.current;
        use_.peak_reserved = use_.reserved;
    }
    /// Bytes that `reserved` may reach. Lowering it below what is held makes the next growth fail, nothing else.
    void set_limit(std::size_t bytes) {
        const std::lock_guard lock(mutex_);
        limit_ = bytes;
    }
    std::size_t limit() const {
        const std::lock_guard lock(mutex_);
        return limit_;
    }
    /// Gives pages that hold nothing back to the system.
    void trim() {
        const std::lock_guard lock(mutex_);
        lasting_.trim();
        passing_.trim();
        use_.reserved = lasting_.top() + passing_.top();
    }

 private:
    // Long-lived small blocks (parameters of batch norm, labels) must not pin holes between the large ones.
    static constexpr std::size_t threshold = std::size_t(1) << 19;

    static std::size_t reserve() {
        struct sysinfo info {};
        sysinfo(&info);
        return std::max<std::size_t>(std::size_t(1) << 36, 2 * std::size_t(info.totalram) * info.mem_unit);
    }
    mutable std::mutex mutex_;
    Space lasting_, passing_;
    MemoryUse use_;
    std::size_t limit_ = no_limit;
};

using Memory = ArenaMemory<Arena>;
using ImaginedMemory = ArenaMemory<ImaginedArena>;

}  // namespace holon
