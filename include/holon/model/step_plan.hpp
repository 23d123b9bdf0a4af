// model/step_plan.hpp: a training step walked through on `Plan`: what it would hold, move and compute, before anything
// is run.
#pragma once
#include <holon/model/whole_image.hpp>
#include <holon/optim/adam.hpp>

namespace holon {

/// Bytes at the high-water mark of a step, by kind; `peak` is what an allocator would have held at once.
struct StepPlan {
    std::size_t peak = 0;
    std::size_t weights = 0, gradients = 0, moments = 0;
    std::size_t activations = 0;           ///< results that backward needs, and their gradients
    std::size_t workspace = 0;             ///< by how much the convolutions' workspaces raise the peak
    std::vector<op::plan::Entry> entries;  ///< the ops of one step, in order
};

namespace detail {

template <Element T>
StepPlan walk_step(std::string_view network, const std::vector<TopBlock>& top, const Shape& image, Recompute policy) {
    auto& context = default_context<Plan>();
    context.memory().trim();
    context.memory().reset_peak();
    const std::size_t before = context.memory().use().current;
    auto& ledger = context.state<op::plan::Ledger>();
    StepPlan plan;
    auto net = to_whole_image(PatchClassifier<T, Plan>(network, 1, 0.0, 1), top, 2, 1);
    const std::size_t made = context.memory().use().current - before;
    plan.gradients = std::size_t(count_parameters(net)) * sizeof(Accumulate<T>);
    plan.weights = made;
    plan.moments = 2 * plan.gradients;
    auto adam = make_adam(net, {});
    const std::vector<int> labels(std::size_t(image.n), 0);
    const Recomputing recomputing(policy);
    for (int step = 0; step < 2; ++step) {  // the second has Adam's moments from the start
        ledger.entries.clear();
        const Variable<T, Plan> x(Tensor<T, Plan>(image, context));
        cross_entropy(net(x, Mode::train), std::span<const int>(labels)).backward();
        adam.step(net);
        clear_gradients(net);
    }
    plan.peak = context.memory().use().peak - before;
    plan.entries = std::move(ledger.entries);
    return plan;
}

}  // namespace detail

/// A step of the whole-image classifier (trunk `network`, `top`, two classes, Adam) on images n x h x w x 3 under
/// `policy`. Convolutions choose by the ledger of `default_context<Plan>()`. Throws what the network itself would.
template <Element T>
StepPlan plan_step(std::string_view network, const std::vector<TopBlock>& top, const Shape& image, Recompute policy) {
    auto& ledger = default_context<Plan>().state<op::plan::Ledger>();
    const auto choose = std::exchange(ledger.choose, nullptr);
    const std::size_t budget = std::exchange(ledger.workspace_budget, 0);
    const auto put_back = [&] { ledger.choose = choose, ledger.workspace_budget = budget; };
    std::size_t bare = 0;
    try {
        bare = detail::walk_step<T>(network, top, image, policy).peak;
    } catch (...) {
        put_back();
        throw;
    }
    put_back();
    StepPlan plan = detail::walk_step<T>(network, top, image, policy);
    plan.workspace = plan.peak - bare;
    plan.activations = bare - std::min(bare, plan.weights + plan.gradients + plan.moments);
    return plan;
}

}  // namespace holon
