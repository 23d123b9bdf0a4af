// op/plan/ledger.hpp: what a planned step did: every op with its arithmetic, its traffic and the workspace it asked
// for.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <holon/core/scope.hpp>
#include <holon/op/check.hpp>

namespace holon::op {

namespace plan {

/// What a convolution would run as on the planned device.
struct Choice {
    /// A layout of the backend's own that it carries filters into, and keeps as `Storage::form` says.
    struct Form {
        std::size_t bytes = 0;     ///< 0: it takes the filter as it is
        std::uint64_t number = 0;  ///< the same for the same layout
    };
    std::string engine;         ///< empty: not asked, `workspace` is an assumption
    std::size_t workspace = 0;  ///< bytes
    std::optional<Form> form;   ///< none: it takes filters in the images' element type, converted for each call
    std::size_t aside = 0;      ///< bytes of a gradient that it computes aside, to be added to what is there
};

/// One op of the step. `flops` counts a multiply-add as two; `bytes` is each operand read once and each result written
/// once.
struct Entry {
    std::string layer, op;
    Shape image, result;
    double flops = 0, bytes = 0;
    Choice choice;
};

/// Kept by a `Context<Plan>`. `choose` says what a convolution of element `type` ("bfloat16", ...), whose result is added
/// to what is there if `add`, runs as; left empty, each takes `workspace_budget`.
struct Ledger {
    std::vector<Entry> entries;
    std::size_t workspace_budget = std::size_t(256) << 20;
    bool on_gpu = true;  ///< else the planned device is this processor
    int multiprocessors = 132;  ///< of the planned GPU
    /// Gradients in 16 bits that wait to be widened; see op::DeferredGradients. `waiting` batches are open.
    std::vector<std::shared_ptr<Storage<Plan>>> pending;
    std::size_t pending_bytes = 0;
    int waiting = 0;
    std::function<Choice(std::string_view type, Direction, const Shape& image, const Conv2dOptions&, bool add)> choose;

    void note(const char* op, const Shape& image, const Shape& result, double flops, double bytes, Choice choice = {}) {
        entries.push_back({Scope::current(), op, image, result, flops, bytes, std::move(choice)});
    }
};

}  // namespace plan
}  // namespace holon::op
