// op/plan/card.hpp: graphics cards as numbers: what cuDNN asks of a device, and the rates that bound a step.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <holon/core/error.hpp>

namespace holon::op::plan {

/// One card. `source` says whether the numbers were read off a real one or written from published figures.
struct Card {
    std::string key, name;
    int compute_capability = 0;  ///< 890 is 8.9
    int multiprocessors = 0;
    std::int64_t memory = 0, l2_cache = 0;  ///< bytes
    int shared_memory_per_block = 0;        ///< bytes, opted in
    int threads_per_multiprocessor = 0, blocks_per_multiprocessor = 0;
    int core_khz = 0, memory_khz = 0;
    double bandwidth = 0;                                 ///< bytes a second that a copy reaches
    double rate_16bit = 0, rate_tf32 = 0, rate_fp32 = 0;  ///< FLOP a second, dense, float sums
    std::string source = "published figures";

    /// Dense FLOP a second of an element type; TF32 only where it is allowed.
    double rate(std::string_view element, bool tf32) const {
        return element != "float32" ? rate_16bit : tf32 ? rate_tf32 : rate_fp32;
    }
};

/// Reachable rates: 0.9 of the published bandwidth and 0.85 of the published dense rate with float sums, where no
/// measured figure is known.
inline const std::vector<Card>& cards() {
    static const std::vector<Card> known = {
        {"h100-80gb", "NVIDIA H100 80GB HBM3", 900, 132, 85520809984, 52428800, 232448, 2048, 32, 1980000, 2619000,
         3.0e12, 790e12, 400e12, 60e12},
        {"h200-141gb", "NVIDIA H200", 900, 132, 150754820096, 62914560, 232448, 2048, 32, 1980000, 3201000, 4.3e12,
         790e12, 400e12, 60e12},
        {"rtx4060-8gb", "NVIDIA GeForce RTX 4060", 890, 24, 8585740288, 25165824, 101376, 1536, 24, 2460000, 8501000,
         2.45e11, 2.57e13, 1.28e13, 1.28e13},
        {"rtx3070-8gb", "NVIDIA GeForce RTX 3070", 860, 46, 8585740288, 4194304, 101376, 1536, 16, 1725000, 7001000,
         4.03e11, 3.45e13, 1.73e13, 1.73e13},
        {"t4-16gb", "Tesla T4", 750, 40, 15843721216, 4194304, 65536, 1024, 16, 1590000, 5001000, 2.88e11, 5.5e13,
         6.9e12, 6.9e12},
    };
    return known;
}

/// The card called `key`; `DataError` with the list otherwise.
inline const Card& find_card(std::string_view key) {
    std::string list;
    for (const Card& card : cards()) {
        if (card.key == key) return card;
        list += (list.empty() ? "" : ", ") + card.key;
    }
    throw DataError(text("--gpu ", key, ": no such card; there are ", list, ", or give a file that ends in .json"));
}

}  // namespace holon::op::plan
