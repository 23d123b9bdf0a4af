// core/blocks.hpp: which stretches of a span of addresses are in use: the arithmetic of an arena, without memory.
#pragma once
#include <algorithm>
#include <cstddef>
#include <list>

namespace holon {

/// Best fit, lowest address first, the stretch at the end last, neighbours merged; the span grows from the bottom. Not
/// safe for several threads.
class Blocks {
 public:
    /// Blocks start on cache lines and vector registers.
    static constexpr std::size_t alignment = 64;
    static constexpr std::size_t nowhere = ~std::size_t(0);

    explicit Blocks(std::size_t capacity) : capacity_(capacity) {}

    static constexpr std::size_t rounded(std::size_t bytes) {
        return std::max(alignment, (bytes + alignment - 1) / alignment * alignment);
    }

    /// Bytes between the start and the highest block ever taken since the last `cut`.
    std::size_t top() const { return top_; }

    /// Where the top would stand after taking a block of this size; `top()` itself where a free block fits.
    std::size_t top_after(std::size_t bytes) const {
        return best_fit(rounded(bytes)) ? top_ : top_ - tail() + rounded(bytes);
    }

    /// The place of a new block; `nowhere` when the span is used up.
    std::size_t take(std::size_t bytes) {
        bytes = rounded(bytes);
        if (!best_fit(bytes)) {
            const std::size_t grown = top_ - tail() + bytes;
            if (grown > capacity_) return nowhere;
            give(top_, grown - top_);
            top_ = grown;
        }
        const Stretch from = *best_fit(bytes);
        forget(from.at);
        if (from.bytes > bytes) free_.push_front({from.at + bytes, from.bytes - bytes});
        return from.at;
    }

    /// Frees the block of so many bytes at a place.
    void give(std::size_t at, std::size_t bytes) {
        Stretch freed{at, rounded(bytes)};
        for (auto each = free_.begin(); each != free_.end();) {
            if (each->end() != freed.at && freed.end() != each->at) {
                ++each;
                continue;
            }
            freed = {std::min(freed.at, each->at), freed.bytes + each->bytes};
            each = free_.erase(each);
        }
        free_.push_front(freed);
    }

    /// Lowers the top to the end of the highest live block; returns by how much.
    std::size_t cut() {
        const std::size_t bytes = tail();
        top_ -= bytes;
        if (bytes) forget(top_);
        return bytes;
    }

 private:
    struct Stretch {
        std::size_t at, bytes;
        std::size_t end() const { return at + bytes; }
    };

    /// Which free stretch a block goes to; null if to none. The one at the end is the last resort, as when it was not
    /// there yet: so each step of a training loop finds the same places as the first one, and the first one's top is
    /// enough.
    const Stretch* best_fit(std::size_t bytes) const {
        const Stretch* best = nullptr;
        const auto better = [this](const Stretch& a, const Stretch& b) {
            if ((a.end() == top_) != (b.end() == top_)) return b.end() == top_;
            return a.bytes != b.bytes ? a.bytes < b.bytes : a.at < b.at;
        };
        for (const Stretch& each : free_)
            if (each.bytes >= bytes && (!best || better(each, *best))) best = &each;
        return best;
    }
    /// Bytes that are free at the end.
    std::size_t tail() const {
        for (const Stretch& each : free_)
            if (each.end() == top_) return each.bytes;
        return 0;
    }
    void forget(std::size_t at) {
        for (auto each = free_.begin(); each != free_.end(); ++each)
            if (each->at == at) {
                free_.erase(each);
                return;
            }
    }

    std::size_t capacity_, top_ = 0;
    std::list<Stretch> free_;  // in no order: there are few
};

}  // namespace holon
