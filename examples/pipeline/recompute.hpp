// pipeline/recompute.hpp: which recompute policy a run trains under, found by walking its steps through on `Plan`, and
// whether any fits, before the first step.
#pragma once
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include <holon/model/stage.hpp>
#include <holon/model/step_plan.hpp>
#include <holon/op/plan/on_cpu.hpp>

#include "pipeline/options.hpp"

namespace holon::pipeline {

inline Recompute parse_recompute(std::string_view name) {
    for (const auto& [policy, known] : recompute_policies)
        if (known == name) return policy;
    throw DataError(text("--recompute ", name, ": nothing, batch_norm, expansion, block or auto is needed"));
}
inline std::string recompute_name(Recompute policy) {
    return std::string(recompute_policies[std::size_t(policy)].second);
}

inline std::string in_words(std::size_t bytes) {
    char digits[32];
    const bool large = bytes >= std::size_t(1) << 30;
    std::snprintf(digits, sizeof digits, large ? "%.2f GiB" : "%.1f MiB", double(bytes) / (large ? 0x1p30 : 0x1p20));
    return digits;
}

/// What a plan's convolutions choose from: the library that this device runs them with.
template <Element T, Device D> void plan_for_device() {
    auto& ledger = default_context<Plan>().state<op::plan::Ledger>();
    if constexpr (std::same_as<D, Cpu>) {
        op::plan::choose_on_cpu(ledger, default_context<Cpu>());
    }
#ifdef HOLON_CUDA
    if constexpr (std::same_as<D, Gpu>) {
        ledger.on_gpu = true;
        ledger.multiprocessors = default_context<Gpu>().card().multiprocessors;
        ledger.choose = [](std::string_view, op::Direction direction, const Shape& x, const Conv2dOptions& o,
                           bool add) {
            const auto plan = op::gpu_detail::plan_of<T>(default_context<Gpu>(), direction, x, o,
                                                         add && direction == op::Direction::to_input);
            return op::plan::Choice{plan->engine, std::size_t(plan->workspace), {}, 0};
        };
    }
#endif
}

/// Bytes that a device's backend takes out of its memory for good, which no plan counts: cuBLAS's workspace, and counters.
template <Device D> std::size_t kept_by_backend() {
#ifdef HOLON_CUDA
    if constexpr (std::same_as<D, Gpu>)
        return op::gpu_detail::blas_workspace(default_context<Gpu>().card().capability) + op::gpu_detail::BlockCounters::bytes;
#endif
    return 0;
}

/// Bytes that a step may take: the allocator's limit (--memory), else what the machine has left. 0: not known.
template <Device D> std::size_t memory_for_steps() {
    const std::size_t limit = default_context<D>().memory().limit();
    if (limit != no_limit) return limit - std::min(limit, kept_by_backend<D>());
    if constexpr (std::same_as<D, Cpu>) {
        std::ifstream in("/proc/meminfo");
        for (std::string key; in >> key;) {
            std::size_t kilobytes = 0;
            if (key == "MemAvailable:" && in >> kilobytes) return kilobytes * 1024;
            in.ignore(1 << 12, '\n');
        }
    }
#ifdef HOLON_CUDA
    if constexpr (std::same_as<D, Gpu>)
        return std::size_t(default_context<Gpu>().card().memory) - (std::size_t(600) << 20) - kept_by_backend<D>();
#endif
    return 0;
}

/// The steps of a training run, as plans need them.
template <class Make> struct PlannedRun {
    Make make;                  ///< () -> the network on `Plan`
    Shape image;                ///< of a batch
    std::vector<Stage> stages;  ///< each is planned: what is frozen has no gradients and no moments
    Statistics frozen;          ///< batch norms of frozen layers
    int batches = 1;            ///< a step

    /// The most that a step of any stage holds, gaps between blocks included, and 2 % for gaps that validation leaves.
    std::size_t needs(Recompute policy, const Shape& batch) const {
        using T = typename std::invoke_result_t<const Make&>::element;
        const std::vector<op::Warp> warps(std::size_t(batch.n));
        Tensor<float, Plan> grey, upload_buffer;
        const bool on_gpu = default_context<Plan>().state<op::plan::Ledger>().on_gpu;
        const auto input = [&] {  // as `network_input` makes it of the grey images that `BatchInput` holds from step to step
            auto& context = default_context<Plan>();
            if (!grey) grey = Tensor<float, Plan>({batch.n, batch.h, batch.w, 1}, context);
            if (on_gpu && !upload_buffer) upload_buffer = Tensor<float, Plan>(grey.shape(), context);  // what `DeviceCopies` takes
            const auto warped = op::affine_warp(context, grey, std::span<const op::Warp>(warps), {.channels = 3});
            return op::template convert<T>(context, warped);
        };
        std::size_t most = 0;
        for (const Stage& stage : stages) {
            const auto staged = [&] {
                auto net = make();
                enter_stage(net, stage, frozen);
                return net;
            };
            most = std::max(most, walk_step(staged, input, batch, {policy, batches}).reserved);
            grey = upload_buffer = {};
        }
        return most + most / 50;
    }
};
template <class Make> PlannedRun(Make, Shape, std::vector<Stage>, Statistics, int) -> PlannedRun<Make>;

/// What would fit in `room` instead: a smaller batch, else a smaller image, each under the leanest policy.
template <class Make> std::string what_would_fit(const PlannedRun<Make>& run, std::size_t room) {
    Shape batch = run.image;
    while (batch.n > 1) {
        batch.n /= 2;
        const std::size_t needs = run.needs(Recompute::block, batch);
        if (needs <= room) return text("--batch ", batch.n, " --recompute block needs ", in_words(needs));
    }
    for (int eighths = 7; eighths >= 2; --eighths) {
        const auto scaled = [&](std::int64_t extent) {
            return std::max<std::int64_t>(128, extent * eighths / 8 / 32 * 32);
        };
        const Shape smaller{1, scaled(run.image.h), scaled(run.image.w), run.image.c};
        const std::size_t needs = run.needs(Recompute::block, smaller);
        if (needs <= room)
            return text("--batch 1 --size ", smaller.h, 'x', smaller.w, " --recompute block needs ", in_words(needs));
    }
    return "no batch or image size that this network is trained on fits there";
}

/// The policy that --recompute names, or with `auto` the cheapest under which every stage's step fits, said aloud with
/// the figures. Where --memory is given a named policy is held to it too. `OutOfMemory` if none fits, with the bytes
/// missing and what would fit.
template <Element T, Device D, class Make>
Recompute choose_recompute(const Options& options, const PlannedRun<Make>& run) {
    const bool automatic = options.recompute == "auto";
    const bool limited = default_context<D>().memory().limit() != no_limit;
    if (!automatic && !limited) return parse_recompute(options.recompute);
    const std::size_t room = memory_for_steps<D>();
    plan_for_device<T, D>();
    std::size_t least = 0;
    for (const auto& [policy, name] : recompute_policies) {
        if (!automatic && name != options.recompute) continue;
        least = run.needs(policy, run.image);
        const bool fits = least <= room;
        std::cout << "--recompute " << name << ": a step of " << run.image << " needs " << in_words(least) << " of "
                  << in_words(room) << (fits ? std::string(": fits") : text(": ", in_words(least - room), " missing"))
                  << '\n';
        if (fits) return policy;
    }
    throw OutOfMemory(text("a training step of ", run.image, " under --recompute ",
                           automatic ? "block, the leanest policy," : options.recompute, " needs ", least, " bytes, ",
                           room, " are there: ", least - room, " bytes (", in_words(least - room), ") are missing; ",
                           automatic ? what_would_fit(run, room) : std::string("--recompute auto finds what fits")));
}

}  // namespace holon::pipeline
