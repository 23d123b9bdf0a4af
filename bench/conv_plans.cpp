// conv_plans: what cuDNN would run for every convolution of the paper's four networks, on cards that need not be there.
// Prints CSV, one line a convolution, direction, element type and card; exits with 1 if one has no engine within 256
// MiB.
#include <holon/model/whole_image.hpp>
#include <holon/op/gpu/convolution.hpp>

#include <iostream>
#include <map>
#include <tuple>

namespace {

using namespace holon;

struct Query {
    op::Direction direction;
    Shape image;
    Conv2dOptions options;
    bool add = false;
    bool operator<(const Query& other) const {
        const auto key = [](const Query& q) {
            return std::tuple(q.image.n, q.image.h, q.image.w, q.image.c, q.options, q.direction, q.add);
        };
        return key(*this) < key(other);
    }
};

/// Every convolution that a training step of the four networks does, at the sizes of patches and of whole images.
std::map<Query, std::string> convolutions() {
    std::map<Query, std::string> all;
    auto& ledger = default_context<Plan>().state<op::plan::Ledger>();
    for (const char* network : {"resnet50", "vgg16"})
        for (const char* top : {"256x1,128x1", "[512-512-1024]x2,[512-512-1024]x2"})
            for (const Shape image : {Shape{32, 224, 224, 3}, Shape{2, 1152, 896, 3}}) {
                auto net = to_whole_image(PatchClassifier<bfloat16, Plan>(network, 1, 0.0, 1), parse_top(top), 2, 1);
                ledger.choose = [&](std::string_view, op::Direction direction, const Shape& x, const Conv2dOptions& o,
                                    bool add) {
                    all.try_emplace({direction, x, o, add}, text(network, " + ", top, ": ", Scope::current()));
                    return op::plan::Choice{};
                };
                const std::vector<int> labels(std::size_t(image.n), 0);
                cross_entropy(net(Variable<bfloat16, Plan>(Tensor<bfloat16, Plan>(image)), Mode::train),
                              std::span<const int>(labels))
                    .backward();
            }
    ledger.choose = nullptr;
    return all;
}

}  // namespace

int main() {
    const auto all = convolutions();
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
                          << query.add << ',' << query.image << ',' << op::filter_shape(query.options) << ',' << query.options.stride
                          << ',';
                try {
                    const auto plan = gpu::plan_convolution(
                        {nullptr, &device, card.name},
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
