// conv_plans: what cuDNN would run for every convolution of the paper's four networks, on cards that need not be there.
// Prints CSV, one line a convolution, direction, element type and card; exits with 1 if one has no engine within 256
// MiB. --here: for the card at hand, what cuDNN picks with the card beside what it picks with its description alone.
#include <holon/op/gpu/choices.hpp>

#include <iostream>

#include <holon/version.hpp>

#include "convolutions.hpp"

namespace {

using namespace holon;

constexpr std::int64_t budget = std::int64_t(256) << 20;

std::map<bench::Query, std::string> all_convolutions() {
    return bench::convolutions(bench::paper_networks, bench::paper_tops, {{32, 224, 224, 3}, {2, 1152, 896, 3}});
}

struct ElementCase {
    const char* name;
    cudnnDataType_t type;
    gpu::Numerics numerics;
};
const ElementCase elements[] = {{"bfloat16", CUDNN_DATA_BFLOAT16, {}},
                                {"float16", CUDNN_DATA_HALF, {}},
                                {"float32", CUDNN_DATA_FLOAT, {}},
                                {"tf32", CUDNN_DATA_FLOAT, {.tf32 = true}}};

std::string place(const bench::Query& q) {
    return text(op::direction_name(q.direction), ',', q.add, ',', q.image, ',', op::filter_shape(q.options), ',',
                q.options.stride);
}

/// Whether a plan's choice, written down and read again, gives the same engine, knobs and workspace, by our account and
/// by cuDNN's.
bool leads_back(const gpu::Target& target, const gpu::Convolution& what, const gpu::ConvolutionPlan& plan) {
    const auto key = gpu::key_of(what);
    const auto choice = gpu::parse_choices(gpu::format_choices("", {{key, plan.choice}})).at(key);
    try {
        const auto again = gpu::plan_convolution(target, what, budget, choice);
        // cuDNN's own words for what of a plan is not the convolution or the card.
        const auto words = [](const gpu::ConvolutionPlan& of) {
            const std::string json = of.plan.characters(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION);
            return json.substr(std::min(json.size(), json.find("\"engine\":")));
        };
        if (again.choice == plan.choice && again.workspace == plan.workspace && words(again) == words(plan))
            return true;
        std::cerr << plan.engine << ": led to " << gpu::format_choices("", {{key, again.choice}}) << '\n';
    } catch (const DeviceError& error) {
        std::cerr << plan.engine << ": " << error.what() << '\n';
    }
    return false;
}

int described_cards() {
    const auto all = all_convolutions();
    int missing = 0, plans = 0, lost = 0;
    std::cout << "# cuDNN " << gpu::cudnn_version_text() << ", no card: plans, not runs\n"
              << "card,element,direction,adds,image,filter,stride,engine,workspace_bytes\n";
    for (const auto& card : op::plan::cards()) {
        const auto device = gpu::described(card);
        for (const ElementCase& e : elements) {
            if (card.compute_capability < 800 && e.type != CUDNN_DATA_HALF) continue;  // Turing: no bfloat16, no TF32
            for (const auto& [q, where] : all) {
                std::cout << card.key << ',' << e.name << ',' << place(q) << ',';
                try {
                    const gpu::Target target{nullptr, &device, card.name};
                    const gpu::Convolution what{q.direction, e.type, q.image, q.options, q.add, e.numerics};
                    const auto plan = gpu::plan_convolution(target, what, budget);
                    // Of every eighth: what a checkpoint would store of it must lead back to it.
                    if (plans++ % 8 == 0) lost += !leads_back(target, what, plan);
                    std::cout << '"' << plan.engine << "\"," << plan.workspace << '\n';
                } catch (const DeviceError& error) {
                    ++missing;
                    std::cout << "none,\n";
                    std::cerr << where << ": " << error.what() << '\n';
                }
            }
        }
    }
    std::cerr << all.size() << " convolutions, " << plans << " plans, " << missing
              << " missing, of every eighth's stored choices " << lost << " led elsewhere\n";
    return missing == 0 && lost == 0 ? 0 : 1;
}

#ifdef HOLON_CUDA
int card_at_hand() {
    auto& context = default_context<Gpu>();
    const gpu::Target real = context.state<gpu::PlanCache>().target();
    gpu::Descriptor device(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    device.set(CUDNN_ATTR_DEVICEPROP_HANDLE, real.handle);
    device = std::move(device).finalize();
    const std::string json = device.characters(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION);
    gpu::Descriptor description(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    description.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                    std::span<const char>(json.data(), json.size()));
    description = std::move(description).finalize();
    const auto pick = [&](const gpu::Target& target, const gpu::Convolution& what) -> std::string {
        try {
            const auto plan = gpu::plan_convolution(target, what, budget);
            return text('"', plan.engine, "\",", plan.workspace);
        } catch (const DeviceError&) {
            return "none,";
        }
    };
    int same = 0, count = 0, missing = 0, lost = 0;
    std::cout << "# cuDNN " << gpu::cudnn_version_text() << " on " << real.name << "\n"
              << "element,direction,adds,image,filter,stride,with_card,workspace_bytes,described,workspace_bytes\n";
    for (const ElementCase& e : elements) {
        for (const auto& [q, where] : all_convolutions()) {
            const gpu::Convolution what{q.direction, e.type, q.image, q.options, q.add, e.numerics};
            if (count % 8 == 0) try {
                    lost += !leads_back(real, what, gpu::plan_convolution(real, what, budget));
                } catch (const DeviceError&) {  // `pick` counts it as missing
                }
            const std::string with_card = pick(real, what), without = pick({nullptr, &description, real.name}, what);
            std::cout << e.name << ',' << place(q) << ',' << with_card << ',' << without << '\n';
            ++count, same += with_card.substr(0, with_card.find(',')) == without.substr(0, without.find(','));
            missing += with_card == "none,";
        }
    }
    std::cerr << count << " convolutions, " << same << " with the same engine, " << missing
              << " without one, of every eighth's stored choices " << lost << " led elsewhere\n";
    return missing == 0 && lost == 0 ? 0 : 1;
}
#endif

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc == 1) return described_cards();
        if (argc == 2 && std::string_view(argv[1]) == "--version") {
            std::cout << "holon " << version << '\n';
            return 0;
        }
#ifdef HOLON_CUDA
        if (argc == 2 && std::string_view(argv[1]) == "--here") return card_at_hand();
#else
        static_cast<void>(argv);
#endif
        std::cerr << "error: conv_plans takes no options, --version, or --here in a build with CUDA\n";
    } catch (const Error& error) {
        std::cerr << "error: " << error.what() << '\n';
    }
    return 2;
}
