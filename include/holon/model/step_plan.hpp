// model/step_plan.hpp: a training step walked through on `Plan`: what it would hold, move and compute, before anything
// is run.
#pragma once
#include <holon/layer/freeze.hpp>
#include <holon/optim/adam.hpp>

namespace holon {

/// Bytes at the high-water mark of a step, by kind.
struct StepPlan {
    std::size_t peak = 0;      ///< what an allocator would have held at once
    std::size_t reserved = 0;  ///< the same with the gaps between blocks (`MemoryUse::peak_reserved`)
    std::size_t weights = 0, gradients = 0, moments = 0;
    std::size_t activations = 0;           ///< results that backward needs, and their gradients
    std::size_t workspace = 0;             ///< by how much the convolutions' workspaces raise the peak
    std::vector<op::plan::Entry> entries;  ///< the ops of one step, in order

    double flops() const {
        double sum = 0;
        for (const op::plan::Entry& entry : entries) sum += entry.flops;
        return sum;
    }
};

/// How a step is run.
struct StepOptions {
    Recompute recompute = Recompute::nothing;
    int batches = 1;  ///< whose gradients are added before the optimizer steps
};

/// Adam's step of the classifier that `make()` gives, on batches of images n x h x w x c, walked through on `Plan`.
/// `StepPlan::activations` and `workspace` stay 0: they take two walks, see `plan_step`. Convolutions choose by the
/// ledger of `default_context<Plan>()`. Throws what the network itself would.
/// `input()` makes a batch; its own memory counts as well.
template <class Make, class Input>
StepPlan walk_step(const Make& make, const Input& input, const Shape& image, const StepOptions& o) {
    auto& context = default_context<Plan>();
    context.memory().trim();
    context.memory().reset_peak();
    const MemoryUse before = context.memory().use();
    auto& ledger = context.state<op::plan::Ledger>();
    StepPlan plan;
    auto net = make();
    using T = typename decltype(net)::element;
    plan.gradients = std::size_t(count_parameters(net, true)) * sizeof(Accumulate<T>);
    plan.weights = context.memory().use().current - before.current;
    plan.moments = 2 * plan.gradients;
    auto adam = make_adam(net, {});
    const std::vector<int> labels(std::size_t(image.n), 0);
    const Recomputing recomputing(o.recompute);
    for (int step = 0; step < 2; ++step) {  // the second has Adam's moments from the start
        ledger.entries.clear();
        for (int batch = 0; batch < o.batches; ++batch) {
            const Variable<T, Plan> x(input());
            cross_entropy(net(x, Mode::train), std::span<const int>(labels)).backward();
        }
        adam.step(net);
        clear_gradients(net);
    }
    const MemoryUse use = context.memory().use();
    plan.peak = use.peak - before.current;
    plan.reserved = use.peak_reserved - before.reserved;
    plan.entries = std::move(ledger.entries);
    return plan;
}

/// The same with batches that are just there.
template <class Make> StepPlan walk_step(const Make& make, const Shape& image, const StepOptions& o) {
    using T = typename std::invoke_result_t<const Make&>::element;
    return walk_step(
        make, [&] { return Tensor<T, Plan>(image); }, image, o);
}

/// `walk_step` with every kind of memory told apart.
template <class Make> StepPlan plan_step(const Make& make, const Shape& image, const StepOptions& o) {
    auto& ledger = default_context<Plan>().state<op::plan::Ledger>();
    const auto choose = std::exchange(ledger.choose, nullptr);
    const std::size_t budget = std::exchange(ledger.workspace_budget, 0);
    const auto put_back = [&] { ledger.choose = choose, ledger.workspace_budget = budget; };
    std::size_t bare = 0;
    try {
        bare = walk_step(make, image, o).peak;
    } catch (...) {
        put_back();
        throw;
    }
    put_back();
    StepPlan plan = walk_step(make, image, o);
    plan.workspace = plan.peak - bare;
    plan.activations = bare - std::min(bare, plan.weights + plan.gradients + plan.moments);
    return plan;
}

}  // namespace holon

#ifdef HOLON_COMPILED
#include <holon/model/plan_instances.hpp>
#endif
