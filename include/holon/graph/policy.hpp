// graph/policy.hpp: what is said for a stretch of code rather than for one op: record or not, keep or redo, check or
// trust, measure or not.
#pragma once
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

namespace holon {

/// What backward gets back by doing it again instead of keeping it: each policy redoes what the ones before it redo,
/// and more. Results are the same bits under all of them, since what is redone has the same operands.
enum class Recompute {
    nothing,     ///< keep every tensor that a gradient needs
    batch_norm,  ///< redo batch norm + ReLU (without a residual) from the convolution's result
    expansion,   ///< redo the last 1x1 convolution of each bottleneck as well
    block,  ///< keep what goes from block to block (a bottleneck; a stem or row of convolutions and its pool), redo the
            ///< rest
};

/// The part of a step that an op's time or work belongs to.
enum class Pass { forward, backward, to_input, to_filter, step };

/// Told of every op once it has been asked for; `graph/profile.hpp` has the one that measures.
class Profiler {
 public:
    /// What was done since the last call was op `op` of the layer that is running.
    virtual void lap(const char* op, Pass pass) = 0;
    /// Calls of `lap` so far.
    std::size_t laps() const { return laps_; }

 protected:
    ~Profiler() = default;
    std::size_t laps_ = 0;
};
/// The cheapest first, by the name that command lines take.
inline constexpr std::array<std::pair<Recompute, std::string_view>, 4> recompute_policies{
    {{Recompute::nothing, "nothing"},
     {Recompute::batch_norm, "batch_norm"},
     {Recompute::expansion, "expansion"},
     {Recompute::block, "block"}}};

namespace detail {
struct Policy {
    bool record = true;
    bool check_finite = false;
    Recompute recompute = Recompute::nothing;
    Profiler* profiler = nullptr;
};
inline Policy& policy() {
    thread_local Policy now;
    return now;
}

/// Tells the profiler, if there is one, what was just done. Off, it costs the look whether there is.
inline void lap(const char* op, Pass pass) {
    if (Profiler* const profiler = policy().profiler) profiler->lap(op, pass);
}
}  // namespace detail

/// True if results that are redone under `level` are redone under the policy in force.
inline bool redoes(Recompute level) { return detail::policy().recompute >= level; }

/// While it lives, nothing on this thread is recorded: results have no history and keep nothing.
class NoGrad {
 public:
    NoGrad() : before_(std::exchange(detail::policy().record, false)) {}
    ~NoGrad() { detail::policy().record = before_; }
    NoGrad(const NoGrad&) = delete;
    NoGrad& operator=(const NoGrad&) = delete;

 private:
    bool before_;
};

/// While it lives, forward passes on this thread save by this policy.
class Recomputing {
 public:
    explicit Recomputing(Recompute how) : before_(std::exchange(detail::policy().recompute, how)) {}
    ~Recomputing() { detail::policy().recompute = before_; }
    Recomputing(const Recomputing&) = delete;
    Recomputing& operator=(const Recomputing&) = delete;

 private:
    Recompute before_;
};

/// While it lives, every result on this thread is looked through, and the first that is not finite throws `NumericError`
/// naming op and layer. Slow: for finding out, after a loss was not finite.
class CheckFinite {
 public:
    CheckFinite() : before_(std::exchange(detail::policy().check_finite, true)) {}
    ~CheckFinite() { detail::policy().check_finite = before_; }
    CheckFinite(const CheckFinite&) = delete;
    CheckFinite& operator=(const CheckFinite&) = delete;

 private:
    bool before_;
};

}  // namespace holon
