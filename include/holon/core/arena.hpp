// core/arena.hpp: one stretch of address space from which blocks are cut, so that a training loop, after its first step,
// asks the system for nothing and the pages it touched are the pages it needs.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

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

/// Best fit, lowest address first, neighbours merged. Address space is reserved once; pages are touched from the bottom
/// up, so `top()` is the arena's high-water mark in the process. Not safe for several threads: its owner locks.
class Arena {
 public:
    /// Blocks start on cache lines and vector registers.
    static constexpr std::size_t alignment = 64;

    explicit Arena(std::size_t reserve) {
        for (; reserve >= (std::size_t(1) << 26); reserve /= 2) {
            void* at = mmap(nullptr, reserve, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (at == MAP_FAILED) continue;
            base_ = static_cast<char*>(at);
            capacity_ = reserve;
            madvise(at, reserve, MADV_HUGEPAGE);  // fewer page faults; a kernel without them just says no
            HOLON_POISON(base_, capacity_);
            return;
        }
        throw OutOfMemory("arena: the system grants not even 64 MiB of address space");
    }
    ~Arena() {
        HOLON_UNPOISON(base_, capacity_);
        munmap(base_, capacity_);
    }
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    static constexpr std::size_t rounded(std::size_t bytes) {
        return std::max(alignment, (bytes + alignment - 1) / alignment * alignment);
    }

    /// Where the top would stand after taking a block of this size; `top()` itself where a free block fits.
    std::size_t top_after(std::size_t bytes) const {
        bytes = rounded(bytes);
        if (by_size_.lower_bound({bytes, 0}) != by_size_.end()) return top_;
        return top_ - trailing() + bytes;
    }

    /// Null when the reserved address space is used up.
    void* take(std::size_t bytes) {
        bytes = rounded(bytes);
        std::size_t at;
        if (auto fit = by_size_.lower_bound({bytes, 0}); fit != by_size_.end()) {
            at = fit->second;
            const std::size_t rest = fit->first - bytes;
            forget(at, fit->first);
            if (rest) remember(at + bytes, rest);
        } else {
            const std::size_t tail = trailing();
            at = top_ - tail;
            if (at + bytes > capacity_) return nullptr;
            if (tail) forget(at, tail);
            top_ = at + bytes;
        }
        taken_.emplace(at, bytes);
        HOLON_UNPOISON(base_ + at, bytes);
        return base_ + at;
    }

    void give(void* block) {
        std::size_t at = std::size_t(static_cast<char*>(block) - base_);
        const auto found = taken_.find(at);
        std::size_t bytes = found->second;
        taken_.erase(found);
        HOLON_POISON(base_ + at, bytes);
        auto after = by_place_.lower_bound(at);
        if (after != by_place_.begin()) {
            auto before = std::prev(after);
            if (before->first + before->second == at) {
                at = before->first;
                bytes += before->second;
                forget(before->first, before->second);
            }
        }
        after = by_place_.lower_bound(at + bytes);
        if (after != by_place_.end() && after->first == at + bytes) {
            bytes += after->second;
            forget(after->first, after->second);
        }
        remember(at, bytes);
    }

    /// Bytes between the start and the highest block ever taken since the last `trim`.
    std::size_t top() const { return top_; }

    /// Hands the pages above the highest live block back to the system.
    void trim() {
        const std::size_t tail = trailing();
        if (!tail) return;
        top_ -= tail;
        forget(top_, tail);
        const std::size_t page = std::size_t(sysconf(_SC_PAGESIZE));
        const std::size_t from = (top_ + page - 1) / page * page;
        if (from < top_ + tail) madvise(base_ + from, top_ + tail - from, MADV_DONTNEED);
    }

 private:
    std::size_t trailing() const {
        if (by_place_.empty()) return 0;
        const auto& last = *by_place_.rbegin();
        return last.first + last.second == top_ ? last.second : 0;
    }
    void remember(std::size_t at, std::size_t bytes) {
        by_place_.emplace(at, bytes);
        by_size_.emplace(bytes, at);
    }
    void forget(std::size_t at, std::size_t bytes) {
        by_place_.erase(at);
        by_size_.erase({bytes, at});
    }

    char* base_ = nullptr;
    std::size_t capacity_ = 0, top_ = 0;
    std::map<std::size_t, std::size_t> by_place_;
    std::set<std::pair<std::size_t, std::size_t>> by_size_;
    std::unordered_map<std::size_t, std::size_t> taken_;
};

}  // namespace holon
