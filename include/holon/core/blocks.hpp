// core/blocks.hpp: which stretches of a span of addresses are in use: the arithmetic of an arena, without memory.
#pragma once
#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

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
        bytes = rounded(bytes);
        if (by_size_.lower_bound({bytes, 0}) != by_size_.end()) return top_;
        return top_ - trailing() + bytes;
    }

    /// The place of a new block; `nowhere` when the span is used up.
    std::size_t take(std::size_t bytes) {
        bytes = rounded(bytes);
        std::size_t at;
        auto fit = by_size_.lower_bound({bytes, 0});
        // The stretch at the end is the last resort, as when it was not there yet: so each step of a training loop
        // finds the same places as the first one, and the first one's top is enough.
        if (fit != by_size_.end() && fit->first + fit->second == top_ && std::next(fit) != by_size_.end()) ++fit;
        if (fit != by_size_.end()) {
            at = fit->second;
            const std::size_t rest = fit->first - bytes;
            forget(at, fit->first);
            if (rest) remember(at + bytes, rest);
        } else {
            const std::size_t tail = trailing();
            at = top_ - tail;
            if (at + bytes > capacity_) return nowhere;
            if (tail) forget(at, tail);
            top_ = at + bytes;
        }
        taken_.emplace(at, bytes);
        return at;
    }

    /// Frees the block at a place; returns its size.
    std::size_t give(std::size_t at) {
        const auto found = taken_.find(at);
        const std::size_t size = found->second;
        std::size_t bytes = size;
        taken_.erase(found);
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
        return size;
    }

    /// Lowers the top to the end of the highest live block; returns by how much.
    std::size_t cut() {
        const std::size_t tail = trailing();
        if (tail) {
            top_ -= tail;
            forget(top_, tail);
        }
        return tail;
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

    std::size_t capacity_, top_ = 0;
    std::map<std::size_t, std::size_t> by_place_;
    std::set<std::pair<std::size_t, std::size_t>> by_size_;
    std::unordered_map<std::size_t, std::size_t> taken_;
};

}  // namespace holon
