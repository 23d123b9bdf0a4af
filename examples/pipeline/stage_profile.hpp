// pipeline/stage_profile.hpp: where the time of a stage's steps went, against the work that a plan of them finds.
#pragma once
#include <functional>
#include <iostream>
#include <vector>

#include <holon/graph/profile_table.hpp>
#include <holon/model/stage.hpp>
#include <holon/optim/adam.hpp>

namespace holon::pipeline {

/// One step of the same network on `Plan`, frozen where `stage` freezes it, for the profile's work.
using PlannedStep = std::function<void(const Stage& stage, const Shape& images)>;

/// One step of `net`, which lives on `Plan`, in `stage`.
template <class Net> void plan_stage_step(Net net, const Stage& stage, Statistics frozen, const Shape& images) {
    using T = typename Net::element;
    enter_stage(net, stage, frozen);
    auto adam = make_adam(net, {});
    const std::vector<int> labels(std::size_t(images.n), 0);
    cross_entropy(net(Variable<T, Plan>(Tensor<T, Plan>(images)), Mode::train), std::span<const int>(labels)).backward();
    adam.step(net);
}

/// Prints where the time of the profiled steps went.
template <Device D>
void print_stage_profile(Profile<D>& profile, const PlannedStep& planned_step, const Stage& stage, const Shape& images) {
    if (profile.steps() == 0) return;
    default_context<Plan>().state<op::plan::Ledger>().on_gpu = std::same_as<D, Gpu>;
    Profile<Plan> plan;
    plan.start();
    planned_step(stage, images);
    plan.stop();
    profile.take_work(plan);
    std::cout << "profile of stage " << stage.name << ", images " << images << ":\n";
    print_profile(std::cout, profile);
}

}  // namespace holon::pipeline
