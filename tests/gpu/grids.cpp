// How wide kernels are started: no block too few for the work, none that has nothing to do, and no more than fill the
// card. Results do not show it: most kernels take any grid. Nothing runs here, so sizes are free and pointers null.
#include "gpu/compare.hpp"

#include <holon/op/gpu/columns.hpp>

#include "support/catch.hpp"

using namespace holon;
using namespace holon::test;

namespace {

template <class Body> std::vector<host_cuda::Launch> launches(const Body& start) {
    std::vector<host_cuda::Launch> seen;
    host_cuda::machine().launches = &seen;
    start();
    host_cuda::machine().launches = nullptr;
    return seen;
}

/// How many boxes of `size` hold `things`, counted without the formula that launchers use.
std::int64_t boxes(std::int64_t things, std::int64_t size) {
    std::int64_t full = things / size;
    return full * size < things ? full + 1 : full;
}

void require_flat(const host_cuda::Launch& launch, const gpu::Queue& queue, std::int64_t things) {
    INFO("for " << things << " things on " << queue.multiprocessors << " multiprocessors");
    const std::int64_t most = 16 * std::int64_t(queue.multiprocessors);
    REQUIRE(launch.block.x == 256);
    REQUIRE((launch.grid.y == 1 && launch.grid.z == 1));
    REQUIRE(launch.grid.x == std::max<std::int64_t>(1, std::min(most, boxes(things, 256))));
}

const std::int64_t many_things[] = {1, 255, 256, 257, 512, 513, 4096, 4097, 12288, 12289, 1000000};

template <class Body> void on_cards(const Body& body) {
    for (const int multiprocessors : {1, 3, 132}) body(gpu::Queue{nullptr, multiprocessors});
}

}  // namespace

TEST_CASE("flat grids have a thread for every step of the work, up to sixteen blocks a multiprocessor", "[gpu][grid]") {
    on_cards([](const gpu::Queue& queue) {
        float* const none = nullptr;
        float* const unaligned = reinterpret_cast<float*>(std::uintptr_t(4));
        std::uint8_t* const place = nullptr;
        const float* const from = nullptr;
        for (const std::int64_t things : many_things) {
            const auto one = [&](std::int64_t steps, const auto& start) {
                const auto seen = launches(start);
                REQUIRE(seen.size() == 1);
                require_flat(seen[0], queue, steps);
            };
            one(things, [&] { gpu::relu(queue, 4 * things, from, none); });
            one(things, [&] { gpu::relu(queue, 4 * things - 3, from, none); });
            one(things, [&] { gpu::relu(queue, things, from, unaligned); });
            one(things, [&] { gpu::softmax(queue, things, 5, from, none); });
            one(things, [&] { gpu::softmax_backward(queue, things, 5, from, from, none, false); });
            one(things, [&] { gpu::dropout(queue, 4 * things, nullptr, from, none, false); });
            one(things, [&] { gpu::dropout(queue, 4 * things - 3, nullptr, from, none, false); });
            int bad = 0;
            one(things, [&] { gpu::find_not_finite(queue, things, from, &bad); });
            const gpu::Pooling whole{1, 4 * things, 3, things, 1, 8, 4, 3, 4, 3, 0, 0};  // two packs
            const auto lines = [&](std::int64_t count, const auto& start) {  // two packs: two lanes, one block across
                const auto seen = launches(start);
                REQUIRE(seen.size() == 1);
                REQUIRE((seen[0].block.x == 2 && seen[0].block.y == 128 && seen[0].grid.x == 1));
                REQUIRE(seen[0].grid.y == std::min({count, 16 * std::int64_t(queue.multiprocessors), std::int64_t(65535)}));
            };
            lines(things, [&] { gpu::max_pool(queue, whole, from, none, place); });
            lines(4 * things, [&] { gpu::max_pool_backward(queue, whole, from, place, none, false); });
            lines(things, [&] { gpu::average_pool(queue, whole, from, none); });
            lines(4 * things, [&] { gpu::average_pool_backward(queue, whole, from, none, false); });
            one(6 * things, [&] { gpu::global_average_backward(queue, 3, things, 8, from, none, false); });
            const gpu::Warping warping{2, things, 3, 1, 3, true, {}, {}};
            const auto warped = launches([&] { gpu::affine_warp(queue, warping, nullptr, true, from, none, none); });
            REQUIRE(warped.size() == 2);
            REQUIRE((warped[0].grid.x == 2 && warped[0].block.x == 256));  // the range: a block an image
            require_flat(warped[1], queue, 6 * things);
        }
        REQUIRE(launches([&] { gpu::relu(queue, 0, from, none); }).empty());
    });
}

TEST_CASE("sums of squares are a flat grid's, of no more blocks than one block joins", "[gpu][grid]") {
    on_cards([](const gpu::Queue& queue) {
        for (const std::int64_t things : many_things) {
            const float* const from = nullptr;
            std::vector<double> scratch(gpu::norm_scratch);
            const auto seen = launches([&] { gpu::squared_norm(queue, things, from, scratch.data()); });
            REQUIRE(seen.size() == 2);
            const std::int64_t most = std::min<std::int64_t>(256, 16 * std::int64_t(queue.multiprocessors));
            REQUIRE(seen[0].grid.x == std::min(most, boxes(things, 256)));
            REQUIRE((seen[1].grid.x == 1 && seen[1].block.x == 256));
        }
    });
}

TEST_CASE("passes over rows: lanes for the packs, and blocks that have rows and room on the card", "[gpu][grid]") {
    alignas(16) static float somewhere[4];
    static const std::uint8_t mask[1] = {};
    on_cards([](const gpu::Queue& queue) {
        const float* const from = nullptr;
        float *const none = nullptr, *const aligned = somewhere;
        for (const int packs : {1, 2, 3, 4, 5, 8, 9, 31, 32, 33, 64, 65, 512})
            for (const std::int64_t rows : {1, 8, 9, 255, 256, 257, 4096, 32768, 32769, 200000, 10000000}) {
                const int channels = 4 * packs;
                INFO(packs << " packs, " << rows << " rows, " << queue.multiprocessors << " multiprocessors");
                const auto sums = launches([&] { gpu::channel_sum(queue, rows, channels, from, none, none, false); });
                REQUIRE(sums.size() == 1);
                // The least power of two that holds the packs, up to `most`.
                const auto right_columns = [&](const host_cuda::Launch& launch, int most) {
                    const auto lanes = std::int64_t(launch.block.x);
                    REQUIRE((lanes & (lanes - 1)) == 0);
                    REQUIRE((lanes == most || lanes >= packs));
                    REQUIRE((lanes == 1 || (lanes <= most && lanes / 2 < packs)));
                    REQUIRE(lanes * launch.block.y == 256);
                    REQUIRE(launch.grid.x == boxes(packs, lanes));
                };

                // Sums, by a kernel that a multiprocessor holds `resident` blocks of: no part without rows; no thread
                // with more than 128 numbers to add; and as long as there are rows, whole waves of blocks over the card,
                // the fewest that do.
                const auto right_sums = [&](const host_cuda::Launch& launch, int resident, gpu::SumsKept kept) {
                    right_columns(launch, 8);
                    const auto n = std::int64_t(launch.grid.y), down = boxes(rows, std::int64_t(launch.block.y)),
                               wave = std::max<std::int64_t>(
                                   resident * std::int64_t(queue.multiprocessors) / std::int64_t(launch.grid.x), 1);
                    const auto enough = [&](std::int64_t k) { return k * 128 >= down; };
                    REQUIRE((n >= 1 && n <= down && enough(n)));
                    REQUIRE((n == down || n % wave == 0));
                    REQUIRE((n <= wave || n == 1 || !enough((n - 1) / wave * wave)));
                    REQUIRE(gpu::sums_scratch<float>(queue.multiprocessors, rows, channels, kept) >=
                            (kept.sums * n + kept.vectors) * channels);
                };
                right_sums(sums[0], 4, gpu::bias_sums);
                const auto moments = launches(
                    [&] { gpu::batch_statistics(queue, rows, channels, from, 0, {}, none, none, none); });
                REQUIRE(moments.size() == 1);
                right_sums(moments[0], 4, gpu::moment_sums);
                const auto of_sums = launches(
                    [&] { gpu::batch_statistics(queue, rows, channels, from, from, 0, {}, none, none); });
                REQUIRE((of_sums.size() == 1 && of_sums[0].block.x == 256 && of_sums[0].grid.x == boxes(channels, 256)));

                // Passes: no block without rows; as long as there are rows, whole waves, up to four, but no more than
                // leave each thread 16 rows.
                const auto right_pass = [&](const host_cuda::Launch& pass, int resident) {
                    right_columns(pass, 32);
                    const auto high = std::int64_t(pass.grid.y), across = std::int64_t(pass.grid.x),
                               down = boxes(rows, std::int64_t(pass.block.y)),
                               wave = std::max<std::int64_t>(resident * std::int64_t(queue.multiprocessors) / across, 1);
                    REQUIRE(high <= down);
                    const std::int64_t waves = std::clamp<std::int64_t>(down / (wave * 16), 1, 4);
                    REQUIRE(high == std::min({down, wave * waves, std::int64_t(65535)}));
                };
                const auto pass = launches([&] { gpu::add_bias(queue, rows, channels, from, false, none); });
                REQUIRE(pass.size() == 1);
                right_pass(pass[0], 4);
                const gpu::Channels no_vectors{};
                for (const bool residual : {false, true}) {
                    const auto forward = launches([&] {
                        gpu::batch_norm(queue, rows, channels, from, residual ? aligned : from, no_vectors, true, none,
                                        nullptr);
                    });
                    REQUIRE(forward.size() == 1);
                    right_pass(forward[0], 4);
                }

                // Backward: sums where anything is wanted that they are for, and a pass where an image is.
                const auto backward = [&](unsigned wanted, bool relu, bool masked, bool batch, bool add) {
                    const auto asked = [&](unsigned bit) { return wanted & bit ? aligned : nullptr; };
                    return launches([&] {
                        gpu::batch_norm_backward(queue, rows, channels, from, masked ? mask : nullptr, from, no_vectors,
                                                 relu, batch,
                                                 {asked(1), asked(2), asked(4), asked(8), add, add, add, add}, none);
                    });
                };
                auto seen = backward(1, true, false, true, false);
                REQUIRE(seen.size() == 2);
                right_sums(seen[0], 3, gpu::gradient_sums);
                right_pass(seen[1], 3);
                seen = backward(3, true, true, true, false);  // the sums leave the residual's gradient
                REQUIRE(seen.size() == 2);
                right_sums(seen[0], 3, gpu::gradient_sums);
                right_pass(seen[1], 3);
                seen = backward(3, true, true, true, true);
                REQUIRE(seen.size() == 2);
                right_pass(seen[1], 2);
                REQUIRE(backward(14, true, true, true, false).size() == 1);  // what is kept is all that is wanted
                REQUIRE(backward(12, true, false, true, false).size() == 1);
                REQUIRE(backward(1, true, false, false, false).size() == 1);
                REQUIRE(backward(2, true, true, false, false).size() == 1);

                // Two batch norms in one pass.
                seen = launches([&] {
                    gpu::batch_norm_pair(queue, rows, channels, from, no_vectors, from, no_vectors, none, nullptr);
                });
                REQUIRE(seen.size() == 1);
                right_pass(seen[0], 2);
                const auto pair = [&](unsigned wanted, bool batch) {
                    const auto targets = [&](unsigned shift) {
                        const auto asked = [&](unsigned bit) { return wanted >> shift & bit ? aligned : nullptr; };
                        return gpu::BatchNormTargets<float>{asked(1), nullptr, asked(2), asked(4), false, false, false, false};
                    };
                    return launches([&] {
                        gpu::batch_norm_pair_backward(queue, rows, channels, from, no_vectors, from, no_vectors, mask, from,
                                                      batch, targets(0), targets(3), none);
                    });
                };
                for (const unsigned wanted : {1u, 8u, 63u}) {
                    seen = pair(wanted, true);
                    REQUIRE(seen.size() == 2);
                    right_sums(seen[0], 2, gpu::pair_gradient_sums);
                    right_pass(seen[1], 2);
                    REQUIRE(pair(wanted & 9, false).size() == 1);  // no sums
                }
                for (const unsigned wanted : {2u, 4u, 16u, 32u}) REQUIRE(pair(wanted, false).size() == 1);  // no pass
                REQUIRE(pair(0, true).empty());
            }
    });
}

TEST_CASE("whole images are averaged in grids that a card can hold, every image once", "[gpu][grid]") {
    const gpu::Queue queue{nullptr, 3};
    const float* const from = nullptr;
    float* const none = nullptr;
    for (const std::int64_t images : {1, 2, 65534, 65535, 65536, 131070, 131071})
        for (const int packs : {1, 31, 32, 33, 64, 65}) {
            const auto seen = launches([&] { gpu::global_average(queue, images, 7, 4 * packs, from, none); });
            std::int64_t taken = 0;
            for (const auto& launch : seen) {
                REQUIRE((launch.block.x == 32 && launch.grid.x == boxes(packs, 32)));
                REQUIRE((launch.grid.y >= 1 && launch.grid.y <= 65535));
                taken += launch.grid.y;
            }
            REQUIRE(taken == images);
            REQUIRE(std::int64_t(seen.size()) == boxes(images, 65535));
        }
}

TEST_CASE("many packs of channels leave each row of blocks fewer lines at a time", "[gpu][grid]") {
    const gpu::Queue queue{nullptr, 3};
    const float* const from = nullptr;
    float* const none = nullptr;
    std::uint8_t* const place = nullptr;
    for (const int packs : {31, 32, 33, 64, 65, 5000}) {
        const gpu::Pooling o{7, 400, 30, 200, 15, 4 * packs, 2, 2, 2, 2, 0, 0};
        const auto seen = launches([&] { gpu::max_pool(queue, o, from, none, place); });
        const std::int64_t across = boxes(packs, 32);
        REQUIRE((seen.size() == 1 && seen[0].grid.x == across && seen[0].block.x == 32 && seen[0].block.y == 8));
        REQUIRE(seen[0].grid.y == std::max<std::int64_t>(16 * 3 / across, 1));
    }
}

TEST_CASE("cross-entropy has a block an image, and one more for the mean", "[gpu][grid]") {
    const float* const from = nullptr;
    float* const none = nullptr;
    for (const int images : {1, 31, 32, 33, 64, 65, 1000}) {
        auto seen = launches([&] { gpu::cross_entropy({}, images, 5, from, nullptr, from, nullptr, none); });
        REQUIRE((seen.size() == 2 && seen[0].grid.x == unsigned(images) && seen[1].grid.x == 1));
        REQUIRE((seen[0].block.x == 256 && seen[1].block.x == 256));
        seen = launches([&] { gpu::cross_entropy_backward({}, images, 5, from, nullptr, from, from, none, false); });
        REQUIRE((seen.size() == 1 && seen[0].grid.x == unsigned(images) && seen[0].block.x == 256));
    }
}
