// plan: does training this network at this image size fit this card, how, and how fast could it be at best?
#include <holon/model/step_plan.hpp>
#include <holon/model/whole_image.hpp>
#include <holon/version.hpp>
#ifdef HOLON_CUDNN
#include <holon/op/gpu/convolution.hpp>
#endif

#include <cstdio>
#include <iostream>
#include <sstream>

#include "pipeline/card_file.hpp"
#include "pipeline/describe.hpp"
#include "pipeline/device.hpp"
#include "pipeline/options.hpp"

namespace {

using namespace holon;
using namespace holon::pipeline;
using op::plan::Card;

constexpr double gib = double(std::size_t(1) << 30);

std::string in_gib(double bytes) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.2f GiB", bytes / gib);
    return digits;
}

/// Lets cuDNN choose, as it would on the card; says what it did. Without cuDNN every convolution takes the budget.
std::string ask_cudnn([[maybe_unused]] const Card& card, [[maybe_unused]] const Options& options,
                      [[maybe_unused]] op::plan::Ledger& ledger) {
#ifdef HOLON_CUDNN
    const auto device = std::make_shared<gpu::Descriptor>(gpu::described(card));
    const auto budget = std::int64_t(ledger.workspace_budget);
    const auto known = std::make_shared<std::map<std::string, op::plan::Choice>>();
    const gpu::Numerics numerics{options.tf32, !options.nondeterministic};
    ledger.choose = [device, known, budget, numerics, name = card.name](std::string_view type, op::Direction direction,
                                                                        const Shape& x, const Conv2dOptions& o,
                                                                        bool add) {
        auto [place, fresh] =
            known->try_emplace(text(type, int(direction), add, ' ', x, ' ', o.out, ' ', o.kernel, ' ', o.stride, ' ',
                                    o.padding.top, o.padding.bottom, o.padding.left, o.padding.right, ' ', o.dilation));
        if (fresh) {
            const auto plan = gpu::plan_convolution(
                {nullptr, device.get(), name},
                {direction, gpu::cudnn_type(type), x, o, add && direction == op::Direction::to_input, numerics},
                budget);
            if (!plan.note.empty()) std::cout << "note: " << plan.note << '\n';
            place->second = {plan.engine, std::size_t(plan.workspace), {}, 0};
        }
        return place->second;
    };
    return "cuDNN " + gpu::cudnn_version_text() + " (asked without a card; a plan, not a run)";
#else
    return text("no cuDNN at build time: every convolution is given the whole budget of ",
                ledger.workspace_budget >> 20, " MiB of workspace");
#endif
}

/// The least time of one op: arithmetic at the card's rate or traffic at its bandwidth, whichever is longer.
double floor_of(const op::plan::Entry& entry, const Card& card, double rate) {
    return std::max(entry.flops / rate, entry.bytes / card.bandwidth);
}

void print_layers(const StepPlan& plan, const Card& card, double rate) {
    std::printf("%-28s %-22s %-18s %9s %9s %9s %10s  %s\n", "layer", "op", "image", "GFLOP", "MB", "floor us",
                "workspace", "engine");
    for (const auto& e : plan.entries) {
        std::ostringstream image;
        image << e.image;
        std::printf("%-28s %-22s %-18s %9.2f %9.1f %9.1f %7.1f MB  %s\n", e.layer.c_str(), e.op.c_str(),
                    image.str().c_str(), e.flops / 1e9, e.bytes / 1e6, floor_of(e, card, rate) * 1e6,
                    double(e.choice.workspace) / 1e6, e.choice.engine.c_str());
    }
}

template <Element T> int plan(const Options& options) {
    const Card card = read_card(options.gpu);
    const ImageSize size = options.image_size();
    const Shape image{options.batch, size.rows, size.columns, 3};
    const std::vector<TopBlock> top = parse_top(options.top);
    auto& ledger = default_context<Plan>().state<op::plan::Ledger>();
    ledger.workspace_budget = std::size_t(options.workspace_mib) << 20;
    ledger.multiprocessors = card.multiprocessors;
    const std::string source = ask_cudnn(card, options, ledger);
    const std::string_view element = element_name<T>();
    const double rate = card.rate(element, options.tf32);
    const double reserve = 0.6 * gib, ours = double(card.memory) - reserve;
    std::cout << "holon " << version << ": " << options.network << ", top " << options.top << ", " << image << ", "
              << element << (options.tf32 ? " (TF32)" : "") << "\non " << card.name << " (" << card.source << "): " << in_gib(double(card.memory))
              << ", less 0.6 GiB for driver and context " << in_gib(ours) << "\n"
              << source << '\n';

    const auto make = [&] { return to_whole_image(PatchClassifier<T, Plan>(options.network, 1, 0.0, 1), top, 2, 1); };
    std::string_view chosen;
    StepPlan kept;
    double missing = 0, least_flops = 0;
    for (const auto& [policy, name] : recompute_policies) {
        StepPlan step = plan_step(make, image, {.recompute = policy});
        const double over = double(step.peak) - ours;
        if (policy == Recompute::nothing) least_flops = step.flops();
        std::printf(
            "--recompute %-10s  peak %s: weights %s, gradients %s, moments %s, activations %s, workspace %s; "
            "%+.1f %% FLOP: %s\n",
            std::string(name).c_str(), in_gib(double(step.peak)).c_str(), in_gib(double(step.weights)).c_str(),
            in_gib(double(step.gradients)).c_str(), in_gib(double(step.moments)).c_str(),
            in_gib(double(step.activations)).c_str(), in_gib(double(step.workspace)).c_str(),
            100 * (step.flops() / least_flops - 1), over <= 0 ? "fits" : (in_gib(over) + " missing").c_str());
        missing = over;
        if (chosen.empty()) kept = std::move(step);
        if (over <= 0 && chosen.empty()) chosen = name;
    }
    if (options.layers) print_layers(kept, card, rate);
    double floor = 0, arithmetic = 0, flops = 0, bytes = 0;
    for (const auto& entry : kept.entries) {
        const double least = floor_of(entry, card, rate);
        floor += least, flops += entry.flops, bytes += entry.bytes;
        if (entry.flops / rate >= entry.bytes / card.bandwidth) arithmetic += least;
    }
    std::printf(
        "a step is %.2f TFLOP and %.1f GB; at best %.2f ms, %.4g images/s (%.0f %% of it bound by arithmetic)\n",
        flops / 1e12, bytes / 1e9, floor * 1e3, double(image.n) / floor, 100 * arithmetic / floor);
    if (chosen.empty()) {
        std::cout << "does not fit: " << in_gib(missing)
                  << " are missing; bf16, a smaller --batch or a smaller --size needs less\n";
        return 1;
    }
    std::cout << "fits with --recompute " << chosen << '\n';
    return 0;
}

int run(const Options& options) {
    if (options.list) {
        for (const Card& card : op::plan::cards())
            std::cout << card.key << ": " << card.name << ", " << in_gib(double(card.memory)) << ", compute capability "
                      << card.compute_capability / 100 << '.' << card.compute_capability / 10 % 10 << " ("
                      << card.source << ")\n";
        return 0;
    }
    if (!options.describe.empty()) {
#ifdef HOLON_CUDA
        open_gpu(parse_device(options.device == "cpu" ? "gpu" : options.device), options);
        describe_card(options.describe);
        std::cout << options.describe << '\n';
        return 0;
#else
        throw DeviceError("--describe: this program was built without CUDA; configure where nvcc and cuDNN are found");
#endif
    }
    if (options.precision == "bf16") return plan<bfloat16>(options);
    if (options.precision == "fp16") return plan<float16>(options);
    return plan<float>(options);
}

}  // namespace

int main(int argc, char** argv) {
    Options defaults;
    defaults.batch = 2;
    defaults.precision = "bf16";
    return run_program("Plans a training step on a card that need not be there: memory, engines, the least time.",
                       Offer::planning, defaults, argc, argv, run);
}
