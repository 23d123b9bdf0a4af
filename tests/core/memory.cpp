// The allocator against a model of it: what is live, what is counted, what is refused.
#include <holon/core/memory.hpp>
#include <holon/core/random.hpp>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace holon;

namespace {

struct Block {
    unsigned char* at;
    std::size_t bytes;
    unsigned char mark;
};

Block taken(Memory& memory, std::size_t bytes, unsigned char mark) {
    Block block{static_cast<unsigned char*>(memory.allocate(bytes)), bytes, mark};
    std::memset(block.at, mark, bytes);
    return block;
}

bool intact(const Block& block) {
    return std::all_of(block.at, block.at + block.bytes, [&](unsigned char c) { return c == block.mark; });
}

}  // namespace

TEST_CASE("20,000 random allocations and releases: blocks never overlap, every byte is counted", "[core]") {
    Memory memory;
    Random random(3);
    std::vector<Block> live;
    std::size_t sum = 0, most = 0;
    int wrong = 0;
    for (int i = 0; i < 20000; ++i) {
        if (live.size() < 20 || (live.size() < 60 && random.below(2))) {
            // Both arenas: from one byte to 2 MiB, small ones more often.
            const std::size_t bytes = 1 + random.below(std::uint64_t(1) << (1 + random.below(21)));
            live.push_back(taken(memory, bytes, (unsigned char)(i)));
            wrong += std::uintptr_t(live.back().at) % Blocks::alignment != 0;
            sum += Blocks::rounded(bytes), most = std::max(most, sum);
        } else {
            const std::size_t k = random.below(live.size());
            wrong += !intact(live[k]);
            memory.release(live[k].at, live[k].bytes);
            sum -= Blocks::rounded(live[k].bytes);
            live[k] = live.back();
            live.pop_back();
        }
        const MemoryUse use = memory.use();
        wrong +=
            use.current != sum || use.peak != most || use.reserved < use.current || use.peak_reserved < use.reserved;
    }
    CHECK(wrong == 0);
    for (const Block& block : live) {
        CHECK(intact(block));
        memory.release(block.at, block.bytes);
    }
    CHECK(memory.use().current == 0);
    CHECK(memory.use().peak == most);
    memory.trim();
    CHECK(memory.use().reserved == 0);
    memory.reset_peak();
    CHECK(memory.use().peak == 0);
}

TEST_CASE("what was released is used again before new memory is asked for", "[core]") {
    Memory memory;
    const std::size_t mib = std::size_t(1) << 20;
    void* a = memory.allocate(mib);
    void* b = memory.allocate(mib);
    void* c = memory.allocate(mib);
    const auto before = memory.use();
    memory.release(a, mib);
    memory.release(b, mib);
    void* merged = memory.allocate(2 * mib);  // neighbours became one block
    CHECK(merged == a);
    CHECK(memory.use().growths == before.growths);
    CHECK(memory.use().reserved == before.reserved);
    memory.release(merged, 2 * mib);
    memory.release(c, mib);
}

TEST_CASE("past the limit nothing is given, and the sentence has the bytes", "[core]") {
    Memory memory;
    const std::size_t mib = std::size_t(1) << 20;
    memory.set_limit(4 * mib);
    CHECK(memory.limit() == 4 * mib);
    void* a = memory.allocate(3 * mib);
    try {
        memory.allocate(2 * mib);
        FAIL("2 MiB were given");
    } catch (const OutOfMemory& error) {
        const std::string said = error.what();
        CHECK(said.find(text(2 * mib, " bytes asked for")) != std::string::npos);
        CHECK(said.find(text(3 * mib, " in use")) != std::string::npos);
        CHECK(said.find(text("limit ", 4 * mib)) != std::string::npos);
    }
    void* b = memory.allocate(mib);  // to the byte
    CHECK(memory.use().reserved == 4 * mib);
    memory.release(a, 3 * mib);
    memory.release(b, mib);
}

TEST_CASE("imagined memory counts as real memory does, whatever is asked for", "[core]") {
    Memory real;
    ImaginedMemory imagined;
    Random random(8);
    std::vector<std::array<void*, 2>> live;
    std::vector<std::size_t> bytes;
    int wrong = 0;
    for (int i = 0; i < 5000; ++i) {
        if (live.size() < 10 || random.below(2)) {
            bytes.push_back(1 + random.below(std::uint64_t(1) << (1 + random.below(22))));
            live.push_back({real.allocate(bytes.back()), imagined.allocate(bytes.back())});
            wrong += !live.back()[0] || !live.back()[1];
        } else {
            const std::size_t k = random.below(live.size());
            real.release(live[k][0], bytes[k]);
            imagined.release(live[k][1], bytes[k]);
            live.erase(live.begin() + std::ptrdiff_t(k));
            bytes.erase(bytes.begin() + std::ptrdiff_t(k));
        }
        const MemoryUse a = real.use(), b = imagined.use();
        wrong += a.current != b.current || a.reserved != b.reserved || a.peak_reserved != b.peak_reserved || a.growths != b.growths;
    }
    CHECK(wrong == 0);
    for (std::size_t k = 0; k < live.size(); ++k) {
        real.release(live[k][0], bytes[k]);
        imagined.release(live[k][1], bytes[k]);
    }
}

TEST_CASE("threads allocate from one memory", "[core]") {
    Memory memory;
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            Random random(std::uint64_t(t), 5);
            std::vector<Block> live;
            for (int i = 0; i < 500; ++i) {
                live.push_back(taken(memory, 1 + random.below(100000), (unsigned char)(t + 4 * i)));
                if (live.size() == 10) {
                    for (const Block& block : live) {
                        wrong += !intact(block);
                        memory.release(block.at, block.bytes);
                    }
                    live.clear();
                }
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(memory.use().current == 0);
}

#ifdef HOLON_ADDRESS_SANITIZER
TEST_CASE("the sanitizer sees what lies past a block, above all blocks, and in blocks given back", "[core]") {
    const auto forbidden = [](const void* at) { return __asan_address_is_poisoned(at) != 0; };
    Arena arena(std::size_t(1) << 40, 0);  // an eighth of it is more than any machine that tests
    std::vector<char*> blocks;
    for (int i = 0; i < 40; ++i) {
        blocks.push_back(static_cast<char*>(arena.take((std::size_t(1) << 20) + std::size_t(i))));
        const std::size_t bytes = Blocks::rounded((std::size_t(1) << 20) + std::size_t(i));
        CHECK_FALSE(forbidden(blocks.back()));
        CHECK_FALSE(forbidden(blocks.back() + bytes - 1));
        CHECK(forbidden(blocks.back() + bytes));
    }
    arena.give(blocks[7], (std::size_t(1) << 20) + 7);
    CHECK(forbidden(blocks[7]));
    CHECK_FALSE(forbidden(blocks[8]));
}
#endif
