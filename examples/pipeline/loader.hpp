// pipeline/loader.hpp: batches prepared ahead by threads, in an order that only the seed and the epoch decide.
#pragma once
#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <holon/core/error.hpp>
#include <holon/core/random.hpp>

namespace holon::pipeline {

struct LoaderOptions {
    std::size_t batch = 1;
    int threads = 1;
    std::uint64_t seed = 0;
    bool shuffle = true;
    bool drop_last = false;    ///< leave out the items that do not fill a batch
    std::size_t prefetch = 3;  ///< batches prepared ahead
};

template <class Item> struct Batch {
    std::vector<Item> items;
    std::vector<std::size_t> indices;  ///< of the items, in the same order
};

/// The order in which an epoch visits 0..count-1: each once (Fisher and Yates), the same for the same seed and epoch.
inline std::vector<std::size_t> epoch_order(std::size_t count, std::uint64_t seed, std::uint64_t epoch, bool shuffle) {
    std::vector<std::size_t> order(count);
    for (std::size_t i = 0; i < count; ++i) order[i] = i;
    if (shuffle) {
        Random random(seed, (std::uint64_t(1) << 62) | epoch);
        for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
    }
    return order;
}

/// `start(epoch, first_batch)`, then `next()` until it is empty. Item `index` is made by make(index, random) on one of
/// the threads with a generator of its own, so that nothing depends on how many threads there are. What `make` throws
/// comes out of `next` at the item's place, with describe(index) named, and ends the epoch. Between the last `next` and
/// `start` no thread runs.
template <class Item> class Loader {
 public:
    using Make = std::function<Item(std::size_t index, Random& random)>;
    using Describe = std::function<std::string(std::size_t index)>;

    Loader(std::size_t count, Make make, LoaderOptions options, Describe describe = {})
        : count_(count), make_(std::move(make)), options_(options), describe_(std::move(describe)) {
        expects(options_.batch >= 1 && options_.threads >= 1 && options_.prefetch >= 1, "loader: batch ",
                options_.batch, ", threads ", options_.threads, " and prefetch ", options_.prefetch,
                " must be at least 1");
    }
    ~Loader() { stop(); }
    Loader(const Loader&) = delete;
    Loader& operator=(const Loader&) = delete;

    std::size_t batches() const {
        return options_.drop_last ? count_ / options_.batch : (count_ + options_.batch - 1) / options_.batch;
    }

    /// Begins an epoch (ending one that is under way), at its batch number `first_batch`.
    void start(std::uint64_t epoch, std::size_t first_batch = 0) {
        stop();
        epoch_ = epoch;
        order_ = epoch_order(count_, options_.seed, epoch, options_.shuffle);
        next_out_ = first_batch;
        const std::size_t end = std::min(count_, batches() * options_.batch);
        next_item_ = std::min(end, first_batch * options_.batch);
        end_item_ = end;
        stopping_ = false;
        for (int t = 0; t < options_.threads; ++t) threads_.emplace_back([this] { work(); });
    }

    /// The next batch of the epoch; empty at its end.
    std::optional<Batch<Item>> next() {
        const std::size_t begin = next_out_ * options_.batch;
        if (begin >= end_item_) {
            stop();
            return std::nullopt;
        }
        const std::size_t end = std::min(end_item_, begin + options_.batch);
        Batch<Item> batch;
        std::unique_lock lock(mutex_);
        for (std::size_t i = begin; i < end; ++i) {
            ready_.wait(lock, [&] { return done_.count(i) != 0; });
            auto made = std::move(done_.extract(i).mapped());
            if (made.error) {
                lock.unlock();
                stop();
                end_item_ = begin;  // what follows will not come: `next` must not wait for it
                rethrow(made.error, order_[i]);
            }
            batch.items.push_back(std::move(*made.item));
            batch.indices.push_back(order_[i]);
        }
        ++next_out_;
        lock.unlock();
        room_.notify_all();
        return batch;
    }

 private:
    struct Made {
        std::optional<Item> item;
        std::exception_ptr error;
    };

    void work() {
        for (;;) {
            std::size_t mine;
            {
                std::unique_lock lock(mutex_);
                room_.wait(lock, [&] {
                    return stopping_ || next_item_ >= end_item_ ||
                           next_item_ < (next_out_ + options_.prefetch) * options_.batch;
                });
                if (stopping_ || next_item_ >= end_item_) return;
                mine = next_item_++;
            }
            Made made;
            try {
                Random random(options_.seed, (std::uint64_t(1) << 63) | (epoch_ << 40) | order_[mine]);
                made.item.emplace(make_(order_[mine], random));
            } catch (...) {
                made.error = std::current_exception();
            }
            {
                const std::lock_guard lock(mutex_);
                done_.emplace(mine, std::move(made));
            }
            ready_.notify_all();
        }
    }

    void stop() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        room_.notify_all();
        for (std::thread& thread : threads_) thread.join();
        threads_.clear();
        done_.clear();
    }

    [[noreturn]] void rethrow(const std::exception_ptr& error, std::size_t index) const {
        const std::string name = describe_ ? describe_(index) : text("item ", index);
        try {
            std::rethrow_exception(error);
        } catch (Error& known) {
            known.within(name);
            throw;
        } catch (const std::exception& other) {
            throw DataError(text(name, ": ", other.what()));
        }
    }

    std::size_t count_;
    Make make_;
    LoaderOptions options_;
    Describe describe_;
    std::uint64_t epoch_ = 0;
    std::vector<std::size_t> order_;
    std::vector<std::thread> threads_;
    std::mutex mutex_;
    std::condition_variable ready_, room_;
    std::map<std::size_t, Made> done_;
    std::size_t next_item_ = 0, end_item_ = 0, next_out_ = 0;
    bool stopping_ = true;
};

}  // namespace holon::pipeline
