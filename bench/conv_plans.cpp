// conv_plans: what cuDNN would run for every convolution of the paper's four networks, on cards that need not be there.
// Prints CSV, one line a convolution, direction, element type and card; exits with 1 if one has no engine within 256
// MiB.
#include <holon/op/gpu/convolution.hpp>

#include <iostream>

#include "convolutions.hpp"

int main() {
    using namespace holon;
    const auto all =
        bench::convolutions(bench::paper_networks, bench::paper_tops, {{32, 224, 224, 3}, {2, 1152, 896, 3}});
    int missing = 0, plans = 0;
    std::cout << "# cuDNN " << gpu::cudnn_version_text() << ", no card: plans, not runs\n"
              << "card,element,direction,adds,image,filter,stride,engine,workspace_bytes\n";
    for (const auto& card : op::plan::cards()) {
        const auto device = gpu::described(card);
        for (const char* element : {"bfloat16", "float16", "float32", "tf32"}) {
            if (card.compute_capability < 800 && std::string_view(element) != "float16")
                continue;  // Turing: no bfloat16, no TF32
            const gpu::Numerics numerics{.tf32 = std::string_view(element) == "tf32"};
            const auto type = gpu::cudnn_type(numerics.tf32 ? "float32" : element);
            for (const auto& [query, where] : all) {
                std::cout << card.key << ',' << element << ',' << op::direction_name(query.direction) << ','
                          << query.add << ',' << query.image << ',' << op::filter_shape(query.options) << ','
                          << query.options.stride << ',';
                try {
                    const auto plan =
                        gpu::plan_convolution({nullptr, &device, card.name},
                                              {query.direction, type, query.image, query.options, query.add, numerics},
                                              std::int64_t(256) << 20);
                    ++plans;
                    std::cout << '"' << plan.engine << "\"," << plan.workspace << '\n';
                } catch (const DeviceError& error) {
                    ++missing;
                    std::cout << "none,\n";
                    std::cerr << where << ": " << error.what() << '\n';
                }
            }
        }
    }
    std::cerr << all.size() << " convolutions, " << plans << " plans, " << missing << " missing\n";
    return missing == 0 ? 0 : 1;
}
