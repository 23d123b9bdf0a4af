// op/gpu/settings.hpp: what arithmetic on a card may trade for speed.
#pragma once
#include <compare>
#include <cstdint>

namespace holon::gpu {

/// The defaults trade nothing: they are said in the header of a run.
struct Numerics {
    bool tf32 = false;          ///< float inputs may be rounded to 10 bits of fraction on the way into tensor cores
    bool deterministic = true;  ///< the same bits in every run on the same card
    friend constexpr auto operator<=>(const Numerics&, const Numerics&) = default;
};

/// What the convolutions and matrix products of a context may do; kept by the context
/// (`context.state<gpu::Settings>()`). A change counts from the next op on.
struct Settings {
    Numerics numerics;
    std::int64_t workspace_budget = std::int64_t(256) << 20;  ///< bytes a convolution may take while it runs
    /// Engines of a new convolution that are run and timed before the fastest is kept; 1: the heuristics' first. For fixed
    /// shapes: each new one costs dozens of runs.
    int timed_engines = 1;
};

}  // namespace holon::gpu
