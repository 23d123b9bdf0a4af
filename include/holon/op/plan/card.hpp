// op/plan/card.hpp: graphics cards as numbers: what cuDNN asks of a device, and the rates that bound a step.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <holon/core/error.hpp>

namespace holon::op::plan {

/// One card. `source` says which of the numbers were measured on a real one, and which are published figures.
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

/// The known cards.
///
/// Limits of a multiprocessor are the CUDA C++ Programming Guide's of its compute capability; memory and L2 are what
/// CUDA reports of such a card, clocks the published boost clock and the memory's. Where nothing was measured, `copy`
/// of the published bandwidth and `dense` of the published rates count as reachable. Published rates are without
/// sparsity (data sheets often print twice as much) and with sums in float, which GeForce cards do at half the rate of
/// sums in half.
inline const std::vector<Card>& cards() {
    constexpr double copy = 0.9, dense = 0.85;
    constexpr std::int64_t mib = std::int64_t(1) << 20;
    static const std::vector<Card> known = {
        // NVIDIA H100 data sheet (SXM): 3.35 TB/s, 989, 495 and 67 TFLOP/s. A copy and a product of 8192 x 8192
        // matrices were measured; TF32 and float have about the share of the published rates that 16 bits have.
        {"h100-80gb", "NVIDIA H100 80GB HBM3", 900, 132, 85520809984, 50 * mib, 232448, 2048, 32, 1980000, 2619000,
         3.0e12, 790e12, 400e12, 60e12, "published figures; bandwidth and 16-bit rate measured"},
        // NVIDIA H200 data sheet: 4.8 TB/s, the rates of the H100. Measured as above.
        {"h200-141gb", "NVIDIA H200", 900, 132, 150754820096, 60 * mib, 232448, 2048, 32, 1980000, 3201000, 4.3e12,
         790e12, 400e12, 60e12, "published figures; bandwidth and 16-bit rate measured"},
        // NVIDIA HGX B200 data sheet: rates of eight, tensor rates with sparsity. Bandwidth: 7680 bits at 3996 MHz.
        {"b200-180gb", "NVIDIA B200", 1000, 148, 182630 * mib, 132644864, 232448, 2048, 32, 1965000, 3996000,
         copy * 7.67e12, dense * 2250e12, dense * 1125e12, dense * 75e12},
        // NVIDIA A100 data sheet (80GB SXM).
        {"a100-80gb", "NVIDIA A100-SXM4-80GB", 800, 108, 81251 * mib, 40 * mib, 166912, 2048, 32, 1410000, 1593000,
         copy * 2.039e12, dense * 312e12, dense * 156e12, dense * 19.5e12},
        // NVIDIA L40S data sheet.
        {"l40s-48gb", "NVIDIA L40S", 890, 142, 47576711168, 96 * mib, 101376, 1536, 24, 2520000, 9001000, copy * 864e9,
         dense * 362e12, dense * 183e12, dense * 91.6e12},
        // NVIDIA L4 data sheet: tensor rates with sparsity, halved here.
        {"l4-24gb", "NVIDIA L4", 890, 58, 23612293120, 48 * mib, 101376, 1536, 24, 2040000, 6251000, copy * 300e9,
         dense * 121e12, dense * 60e12, dense * 30.3e12},
        // NVIDIA RTX Blackwell GPU Architecture (white paper).
        {"rtx5090-32gb", "NVIDIA GeForce RTX 5090", 1200, 170, 33680457728, 96 * mib, 101376, 1536, 24, 2407000,
         14001000, copy * 1792e9, dense * 209.5e12, dense * 104.8e12, dense * 104.8e12},
        // NVIDIA GeForce RTX 5060 product page: multiprocessors, boost clock, memory. Rates from these: each clock a
        // multiprocessor of GeForce Blackwell does 256 multiply-adds of 16 bits, 128 of TF32, 128 of float.
        {"rtx5060-8gb", "NVIDIA GeForce RTX 5060", 1200, 30, 8546484224, 24 * mib, 101376, 1536, 24, 2497000, 14001000,
         copy * 448e9, dense * 38.4e12, dense * 19.2e12, dense * 19.2e12},
        // NVIDIA Ada GPU Architecture (white paper).
        {"rtx4090-24gb", "NVIDIA GeForce RTX 4090", 890, 128, 25250627584, 72 * mib, 101376, 1536, 24, 2520000,
         10501000, copy * 1008e9, dense * 165.2e12, dense * 82.6e12, dense * 82.6e12},
        // NVIDIA GeForce RTX 4060 product page; rates from its multiprocessors and clock as for the RTX 5060.
        {"rtx4060-8gb", "NVIDIA GeForce RTX 4060", 890, 24, 8585740288, 24 * mib, 101376, 1536, 24, 2460000, 8501000,
         copy * 272e9, dense * 30.2e12, dense * 15.1e12, dense * 15.1e12},
        // NVIDIA Ampere GA102 GPU Architecture (white paper).
        {"rtx3070-8gb", "NVIDIA GeForce RTX 3070", 860, 46, 8585740288, 4 * mib, 101376, 1536, 16, 1725000, 7001000,
         copy * 448e9, dense * 40.6e12, dense * 20.3e12, dense * 20.3e12},
        // NVIDIA GeForce RTX 3060 product page; rates from its multiprocessors and clock as for the RTX 5060.
        {"rtx3060-12gb", "NVIDIA GeForce RTX 3060", 860, 28, 12884377600, 2359296, 101376, 1536, 16, 1777000, 7501000,
         copy * 360e9, dense * 25.5e12, dense * 12.7e12, dense * 12.7e12},
        // NVIDIA T4 data sheet. It has no TF32.
        {"t4-16gb", "Tesla T4", 750, 40, 15843721216, 4 * mib, 65536, 1024, 16, 1590000, 5001000, copy * 320e9,
         dense * 65e12, dense * 8.1e12, dense * 8.1e12},
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
