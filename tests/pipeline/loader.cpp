// pipeline/loader.cpp: each index once, the same batches for any number of threads, and clean ends.
#include "pipeline/loader.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <set>

#include "checkpoint/scratch.hpp"
#include "support/catch.hpp"

using namespace holon;
using namespace holon::pipeline;

namespace {

/// What an item is made of: its index and the first draw of its generator.
using Made = std::pair<std::size_t, double>;
using Batches = std::vector<Batch<Made>>;

Loader<Made> numbers(std::size_t count, LoaderOptions options) {
    return Loader<Made>(
        count,
        [](std::size_t i, Random& random) {
            return Made{i, random.uniform()};
        },
        options);
}
Batches rest_of(Loader<Made>& loader) {
    Batches all;
    while (auto batch = loader.next()) all.push_back(std::move(*batch));
    return all;
}
Batches epoch_of(Loader<Made>& loader, std::uint64_t epoch, std::size_t first_batch = 0) {
    loader.start(epoch, first_batch);
    return rest_of(loader);
}
bool same(const Batches& a, const Batches& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const auto& x, const auto& y) { return x.items == y.items && x.indices == y.indices; });
}
std::vector<std::size_t> indices_of(const Batches& batches) {
    std::vector<std::size_t> all;
    for (const auto& batch : batches) all.insert(all.end(), batch.indices.begin(), batch.indices.end());
    return all;
}

}  // namespace

TEST_CASE("A17 one epoch visits each index once for any count, threads and batch", "[pipeline]") {
    for (const std::size_t count : {0, 1, 2, 7, 16, 33})
        for (const std::size_t batch : {1, 2, 4, 5, 16, 50})
            for (const bool drop_last : {false, true}) {
                const LoaderOptions one{.batch = batch, .threads = 1, .seed = 11, .drop_last = drop_last};
                Loader<Made> alone = numbers(count, one);
                const Batches first = epoch_of(alone, 0), second = epoch_of(alone, 1);
                const std::size_t whole = count / batch, expected = drop_last ? whole : (count + batch - 1) / batch;
                for (int threads = 1; threads <= 8; ++threads) {
                    INFO(count << " items, batch " << batch << ", " << threads << " threads, drop_last " << drop_last);
                    LoaderOptions many = one;
                    many.threads = threads;
                    many.prefetch = std::size_t(threads % 3 + 1);
                    Loader<Made> loader = numbers(count, many);
                    REQUIRE(loader.batches() == expected);
                    const Batches now = epoch_of(loader, 0);
                    REQUIRE(now.size() == expected);
                    for (std::size_t b = 0; b < now.size(); ++b) {
                        REQUIRE(now[b].items.size() == (b < whole ? batch : count % batch));
                        REQUIRE(now[b].indices.size() == now[b].items.size());
                        for (std::size_t k = 0; k < now[b].items.size(); ++k)
                            REQUIRE(now[b].items[k].first == now[b].indices[k]);
                    }
                    const auto visited = indices_of(now);
                    const std::set<std::size_t> distinct(visited.begin(), visited.end());
                    REQUIRE(visited.size() == (drop_last ? whole * batch : count));
                    REQUIRE(distinct.size() == visited.size());
                    REQUIRE((distinct.empty() || *distinct.rbegin() < count));
                    REQUIRE(same(now, first));
                    REQUIRE(same(epoch_of(loader, 1), second));
                }
            }
}

TEST_CASE("order and draws follow seed and epoch, and nothing else", "[pipeline]") {
    Loader<Made> loader = numbers(40, {.batch = 7, .threads = 3, .seed = 5});
    const Batches zero = epoch_of(loader, 0), one = epoch_of(loader, 1);
    CHECK(indices_of(zero) != indices_of(one));
    CHECK(same(epoch_of(loader, 0), zero));  // also after another epoch
    Loader<Made> other = numbers(40, {.batch = 7, .seed = 6});
    CHECK(indices_of(epoch_of(other, 0)) != indices_of(zero));

    std::set<double> draws;
    for (const Batches* batches : {&zero, &one})
        for (const auto& batch : *batches)
            for (const Made& made : batch.items) draws.insert(made.second);
    CHECK(draws.size() == 80);  // a generator of its own for each item and epoch

    // An item's draw belongs to it, not to its place: without shuffling it is the same.
    Loader<Made> plain = numbers(40, {.batch = 7, .seed = 5, .shuffle = false});
    const Batches sorted = epoch_of(plain, 0);
    std::vector<double> by_index(40);
    for (const auto& batch : zero)
        for (const Made& made : batch.items) by_index[made.first] = made.second;
    std::size_t next = 0;
    for (const auto& batch : sorted)
        for (const Made& made : batch.items) {
            CHECK(made.first == next);
            CHECK(made.second == by_index[next++]);
        }
}

TEST_CASE("every order of three is as likely", "[pipeline]") {
    std::map<std::vector<std::size_t>, int> seen;
    for (std::uint64_t epoch = 0; epoch < 6000; ++epoch) ++seen[epoch_order(3, 1, epoch, true)];
    CHECK(seen.size() == 6);
    for (const auto& [order, times] : seen) CHECK(std::abs(times - 1000) < 150);  // five deviations of a binomial
}

TEST_CASE("an epoch begun at a batch is the rest of it", "[pipeline]") {
    Loader<Made> loader = numbers(23, {.batch = 4, .threads = 2, .seed = 9});
    const Batches whole = epoch_of(loader, 3);
    for (std::size_t first = 0; first <= whole.size() + 2; ++first) {
        const Batches rest(whole.begin() + long(std::min(first, whole.size())), whole.end());
        CHECK(same(epoch_of(loader, 3, first), rest));
    }
    loader.start(3);
    loader.next();
    CHECK(same(epoch_of(loader, 3), whole));  // begun again in the middle
}

TEST_CASE("what a worker throws comes out at its place, named, and the loader goes on", "[pipeline]") {
    for (const int threads : {1, 4}) {
        std::atomic<bool> broken{true};
        Loader<int> loader(
            20,
            [&](std::size_t i, Random&) -> int {
                if (broken && i == 9) throw OutOfMemory("no room");
                if (broken && i == 13) throw std::runtime_error("plain");
                return int(i);
            },
            {.batch = 4, .threads = threads, .shuffle = false},
            [](std::size_t i) { return "image" + std::to_string(i) + ".png"; });
        loader.start(0);
        CHECK(loader.next()->items == std::vector<int>{0, 1, 2, 3});
        CHECK(loader.next()->items == std::vector<int>{4, 5, 6, 7});
        const std::string sentence = scratch::refusal<OutOfMemory>([&] { loader.next(); });
        CHECK(sentence.find("no room") != std::string::npos);
        CHECK(sentence.find("image9.png") != std::string::npos);
        CHECK_FALSE(loader.next().has_value());  // over, and not waiting for what will not come

        loader.start(0, 3);
        CHECK(scratch::refusal([&] { loader.next(); }) == "image13.png: plain");
        broken = false;
        loader.start(1);
        std::size_t items = 0;
        while (auto batch = loader.next()) items += batch->items.size();
        CHECK(items == 20);
    }
    Loader<int> unnamed(3, [](std::size_t i, Random&) -> int { return i == 2 ? throw DataError("bad") : 0; },
                        {.shuffle = false});
    unnamed.start(0, 2);
    CHECK(scratch::refusal([&] { unnamed.next(); }).find("item 2") != std::string::npos);
}

TEST_CASE("a loader left in the middle leaves nothing behind", "[pipeline]") {
    static std::atomic<int> alive{0};
    struct Counted {
        Counted() { ++alive; }
        Counted(Counted&&) noexcept { ++alive; }
        ~Counted() { --alive; }
    };
    std::atomic<int> running{0};
    for (std::size_t taken = 0; taken < 5; ++taken) {
        {
            Loader<Counted> loader(100,
                                   [&](std::size_t, Random&) {
                                       ++running;
                                       std::this_thread::sleep_for(std::chrono::microseconds(200));
                                       --running;
                                       return Counted();
                                   },
                                   {.batch = 3, .threads = 4, .prefetch = 5});
            loader.start(0);
            for (std::size_t i = 0; i < taken; ++i) CHECK(loader.next()->items.size() == 3);
        }
        CHECK(alive == 0);
        CHECK(running == 0);
    }
    Loader<int> never(5, [](std::size_t, Random&) { return 0; }, {});
    CHECK_FALSE(never.next().has_value());  // not started
}

TEST_CASE("threads work at the same time, and no further ahead than asked", "[pipeline]") {
    using namespace std::chrono_literals;
    std::mutex mutex;
    std::condition_variable met;
    int inside = 0;
    std::atomic<int> alone{0};
    Loader<int> together(3,
                         [&](std::size_t, Random&) {
                             std::unique_lock lock(mutex);
                             ++inside;
                             met.notify_all();
                             if (!met.wait_for(lock, 20s, [&] { return inside == 3; })) ++alone;
                             return 0;
                         },
                         {.batch = 3, .threads = 3});
    together.start(0);
    CHECK(together.next()->items.size() == 3);
    CHECK(alone == 0);

    std::atomic<std::size_t> begun{0};
    Loader<std::unique_ptr<int>> ahead(60,
                                       [&](std::size_t i, Random&) { return ++begun, std::make_unique<int>(int(i)); },
                                       {.batch = 4, .threads = 2, .prefetch = 3});
    ahead.start(0);
    for (std::size_t taken = 0; taken < 10; ++taken) {
        const auto until = std::chrono::steady_clock::now() + 20s;
        while (begun < 4 * (taken + 3) && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(1ms);
        std::this_thread::sleep_for(5ms);
        CHECK(begun == 4 * (taken + 3));
        CHECK(ahead.next()->items.size() == 4);
    }
}

TEST_CASE("a loader needs a batch, a thread and room", "[pipeline]") {
    for (const LoaderOptions& options :
         {LoaderOptions{.batch = 0}, LoaderOptions{.threads = 0}, LoaderOptions{.prefetch = 0}})
        CHECK(scratch::refusal<ShapeError>([&] { numbers(3, options); }).find("at least 1") != std::string::npos);
}
