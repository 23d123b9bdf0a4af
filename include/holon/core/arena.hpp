// core/arena.hpp: one stretch of address space from which blocks are cut, so that a training loop, after its first
// step, asks the system for nothing and the pages it touched are the pages it needs.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>

#include <holon/core/blocks.hpp>
#include <holon/core/error.hpp>

#if defined(__SANITIZE_ADDRESS__)
#define HOLON_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOLON_ADDRESS_SANITIZER 1
#endif
#endif
#ifdef HOLON_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#define HOLON_POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define HOLON_UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define HOLON_POISON(p, n) static_cast<void>(0)
#define HOLON_UNPOISON(p, n) static_cast<void>(0)
#endif

namespace holon {

/// `Blocks` over memory. Address space is reserved once; pages are touched from the bottom up, so `top()` is the
/// arena's high-water mark in the process. Not safe for several threads: its owner locks.
class Arena {
 public:
    Arena(std::size_t reserve, int) : blocks_(reserve) {
        for (; reserve >= (std::size_t(1) << 26); reserve /= 2) {
            void* at =
                mmap(nullptr, reserve, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (at == MAP_FAILED) continue;
            base_ = static_cast<char*>(at);
            capacity_ = reserve;
            blocks_ = Blocks(reserve);
            madvise(at, reserve, MADV_HUGEPAGE);  // fewer page faults; a kernel without them just says no
            return;
        }
        throw OutOfMemory("arena: the system grants not even 64 MiB of address space");
    }
    ~Arena() {
        HOLON_UNPOISON(base_, forbidden_);
        munmap(base_, capacity_);
    }
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    std::size_t top() const { return blocks_.top(); }
    std::size_t top_after(std::size_t bytes) const { return blocks_.top_after(bytes); }
    bool holds(const void* block) const {
        const std::less<const char*> before;
        const char* const at = static_cast<const char*>(block);
        return !before(at, base_) && before(at, base_ + capacity_);
    }

    /// Null when the reserved address space is used up.
    void* take(std::size_t bytes) {
        const std::size_t at = blocks_.take(bytes);
        if (at == Blocks::nowhere) return nullptr;
        forbid(at + Blocks::rounded(bytes) + guard);
        HOLON_UNPOISON(base_ + at, Blocks::rounded(bytes));
        return base_ + at;
    }
    void give(void* block, std::size_t bytes) {
        blocks_.give(std::size_t(static_cast<char*>(block) - base_), bytes);
        HOLON_POISON(block, Blocks::rounded(bytes));
    }
    /// Hands the pages above the highest live block back to the system.
    void trim() {
        const std::size_t tail = blocks_.cut();
        const std::size_t page = std::size_t(sysconf(_SC_PAGESIZE));
        const std::size_t from = (top() + page - 1) / page * page;
        if (from < top() + tail) madvise(base_ + from, top() + tail - from, MADV_DONTNEED);
    }

 private:
    /// Forbids what lies below `end` and never was. Not all of the address space, neither at first nor when it is given
    /// back: AddressSanitizer's map of it would take an eighth of it in memory.
    void forbid(std::size_t end) {
        end = std::min(end, capacity_);
        if (end <= forbidden_) return;
        HOLON_POISON(base_ + forbidden_, end - forbidden_);
        forbidden_ = end;
    }

    static constexpr std::size_t guard = std::size_t(1) << 16;
    Blocks blocks_;
    char* base_ = nullptr;
    std::size_t capacity_ = 0;
    std::size_t forbidden_ = 0;  ///< the stretch that poison was ever laid on
};

/// `Blocks` over nothing: addresses that must not be touched. What a network would take is counted, not taken.
class ImaginedArena {
 public:
    /// Address space costs nothing here: whatever is asked of it, there is more. `number` (0 or 1) tells the arenas of
    /// one owner apart.
    ImaginedArena(std::size_t, int number)
        : blocks_(capacity), base_((std::uintptr_t(1) << 60) + std::uintptr_t(number) * capacity) {}

    std::size_t top() const { return blocks_.top(); }
    std::size_t top_after(std::size_t bytes) const { return blocks_.top_after(bytes); }
    bool holds(const void* block) const { return reinterpret_cast<std::uintptr_t>(block) - base_ < capacity; }
    void* take(std::size_t bytes) {
        const std::size_t at = blocks_.take(bytes);
        return at == Blocks::nowhere ? nullptr : reinterpret_cast<void*>(base_ + at);
    }
    void give(void* block, std::size_t bytes) {
        blocks_.give(std::size_t(reinterpret_cast<std::uintptr_t>(block) - base_), bytes);
    }
    void trim() { blocks_.cut(); }

 private:
    static constexpr std::size_t capacity = std::size_t(1) << 59;
    Blocks blocks_;
    std::uintptr_t base_;  // beyond what user space has, so that touching it faults; never null
};

}  // namespace holon
