// The known cards: what their figures have to do with each other.
#include <holon/op/plan/card.hpp>

#include <cmath>
#include <set>

#include "support/catch.hpp"

using namespace holon;
using op::plan::Card;

TEST_CASE("a card is found by its key, which ends in its memory", "[plan]") {
    std::set<std::string> keys;
    for (const Card& card : op::plan::cards()) {
        INFO(card.key);
        CHECK(keys.insert(card.key).second);
        CHECK(&op::plan::find_card(card.key) == &card);
        const double gigabytes = std::stod(card.key.substr(card.key.rfind('-') + 1));
        CHECK(double(card.memory) / gigabytes > 0.95e9);
        CHECK(double(card.memory) / gigabytes < 1.08e9);
        CHECK(card.l2_cache > 0);
    }
    for (const char* key : {"a100-80gb", "l4-24gb", "l40s-48gb", "rtx3060-12gb", "rtx4090-24gb", "rtx5060-8gb",
                            "rtx5090-32gb", "b200-180gb"})
        CHECK(keys.contains(key));
}

TEST_CASE("cards of one compute capability have the same limits", "[plan]") {
    for (const Card& card : op::plan::cards())
        for (const Card& other : op::plan::cards()) {
            if (other.compute_capability != card.compute_capability) continue;
            INFO(card.key << " and " << other.key);
            CHECK(card.shared_memory_per_block == other.shared_memory_per_block);
            CHECK(card.threads_per_multiprocessor == other.threads_per_multiprocessor);
            CHECK(card.blocks_per_multiprocessor == other.blocks_per_multiprocessor);
        }
}

TEST_CASE("rates follow from clocks: of the multiprocessors, and of a memory of whole 64 bits", "[plan]") {
    for (const Card& card : op::plan::cards()) {
        INFO(card.key);
        const bool published = card.source == "published figures";
        CHECK((published || card.source.starts_with("published figures; ")));
        const int lanes = card.compute_capability <= 800 ? 64 : 128;  // of float, in a multiprocessor
        const double fp32 = 2.0 * lanes * card.multiprocessors * card.core_khz * 1e3;
        CHECK(card.rate_fp32 / fp32 == Approx(0.85).margin(published ? 0.01 : 0.06));
        if (card.compute_capability >= 800) CHECK(card.rate_16bit / card.rate_tf32 == Approx(2).margin(0.04));
        // Tensor cores of GeForce add up in float at the rate of two (16 bits) and one (TF32) of the ordinary ones.
        if (card.name.find("GeForce") != std::string::npos)
            CHECK(card.rate_tf32 / card.rate_fp32 == Approx(1).margin(0.01));
        const double bits = 8 * card.bandwidth / 0.9 / (2e3 * card.memory_khz);
        CHECK(bits / (64 * std::round(bits / 64)) == Approx(1).margin(0.01));
    }
}
