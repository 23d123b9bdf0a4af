// A step on `Plan` against the same step on `Cpu`: the same walk, the same sentences, the same memory.
#include <holon/loss/balance.hpp>
#include <holon/model/whole_image.hpp>
#include <holon/op/plan/on_cpu.hpp>
#include <holon/optim/adam.hpp>

#include "support/catch.hpp"
#include "support/networks.hpp"

using namespace holon;
using namespace holon::test;

namespace {

/// Bytes at the high-water mark of three training steps on their own context's allocator.
template <class T, Device D>
MemoryUse trained(const std::string& network, Shape image, Recompute policy, const std::string& frozen = "") {
    auto& memory = default_context<D>().memory();
    memory.trim();
    memory.reset_peak();
    const auto before = memory.use();
    PatchClassifier<T, D> patch(network, 5, 0.5, 1);
    auto net = to_whole_image(std::move(patch), parse_top("16x1,8x1"), 2, 1);
    if (!frozen.empty()) freeze(net, frozen, Statistics::follow);
    auto adam = make_adam(net, {});
    const std::vector<int> labels(std::size_t(image.n), 1);
    const Recomputing recomputing(policy);
    for (int step = 0; step < 3; ++step) {
        const Variable<T, D> x(zeros<T, D>(image));
        cross_entropy(net(x, Mode::train), std::span<const int>(labels)).backward();
        adam.step(net);
        clear_gradients(net);
    }
    MemoryUse use = memory.use();
    use.peak -= before.current;
    use.peak_reserved -= before.reserved;
    return use;
}

}  // namespace

TEMPLATE_TEST_CASE("a planned step peaks where the step on the CPU does", "[plan]", float, bfloat16) {
    auto& ledger = default_context<Plan>().state<op::plan::Ledger>();
    op::plan::choose_on_cpu(ledger, default_context<Cpu>());
    for (const Shape image : {Shape{2, 160, 128, 3}, Shape{1, 256, 224, 3}, Shape{4, 256, 192, 3}})
        for (const char* frozen : {"", "layer1"})
            for (const auto& [policy, name] : recompute_policies) {
                const MemoryUse planned = trained<TestType, Plan>("resnet14", image, policy, frozen);
                const MemoryUse run = trained<TestType, Cpu>("resnet14", image, policy, frozen);
                INFO(image << ' ' << name << ", frozen: " << frozen);
                CHECK(double(planned.peak) / double(run.peak) == Approx(1).epsilon(0.002));
                CHECK(double(planned.peak_reserved) / double(run.peak_reserved) == Approx(1).epsilon(0.01));
            }
    ledger.choose = nullptr;
    ledger.on_gpu = true;
}

TEST_CASE("each policy needs less memory than the one before and more of something else, and the plan shows both",
          "[plan]") {
    struct Cost {
        double bytes, moved = 0, flops = 0;
    };
    auto& ledger = default_context<Plan>().state<op::plan::Ledger>();
    const auto cost = [&](const char* network, Recompute policy) {
        ledger.entries.clear();
        Cost out{double(trained<bfloat16, Plan>(network, {2, 1152, 896, 3}, policy).peak)};
        for (const auto& entry : ledger.entries) out.moved += entry.bytes, out.flops += entry.flops;
        return out;
    };
    const Cost keep = cost("resnet50", Recompute::nothing), norm = cost("resnet50", Recompute::batch_norm),
               expansion = cost("resnet50", Recompute::expansion), block = cost("resnet50", Recompute::block);
    CHECK(norm.bytes < 0.9 * keep.bytes);
    CHECK(norm.moved > keep.moved);
    CHECK(norm.flops == keep.flops);
    CHECK(expansion.bytes < 0.8 * norm.bytes);
    CHECK(expansion.flops / keep.flops == Approx(1.065).epsilon(0.005));
    CHECK(block.bytes < 0.75 * expansion.bytes);
    CHECK(block.flops / keep.flops == Approx(4 / 3.0).epsilon(0.005));  // each convolution forward once more
    const Cost rows = cost("vgg16", Recompute::nothing), redone = cost("vgg16", Recompute::block);
    CHECK(redone.bytes < 0.85 * rows.bytes);
    CHECK(redone.flops / rows.flops == Approx(4 / 3.0).epsilon(0.005));
}

TEST_CASE("a step's arithmetic is that of the convolutions: three times forward, less the stem's gradient to its input",
          "[plan]") {
    auto& ledger = default_context<Plan>().state<op::plan::Ledger>();
    ledger.entries.clear();
    PatchClassifier<float, Plan> net("resnet50", 5, 0, 1);
    const std::vector<int> label{0};
    cross_entropy(net(Variable<float, Plan>(zeros<float, Plan>({1, 224, 224, 3})), Mode::train),
                  std::span<const int>(label))
        .backward();
    double forward = 0, to_input = 0, to_filter = 0;
    for (const auto& entry : ledger.entries) {
        if (entry.op == "conv2d") forward += entry.flops;
        if (entry.op == "conv2d_backward_input") to_input += entry.flops;
        if (entry.op == "conv2d_backward_filter") to_filter += entry.flops;
    }
    CHECK(forward / 1e9 == Approx(8.17).epsilon(0.002));  // 4.09 G multiply-adds (torchvision's ResNet50 v1.5)
    CHECK(to_filter == forward);
    CHECK(forward - to_input == 2.0 * 112 * 112 * 64 * 7 * 7 * 3);
}

TEST_CASE("past the limit a plan is refused with the layer and the bytes", "[plan]") {
    auto& memory = default_context<Plan>().memory();
    memory.trim();
    memory.set_limit(memory.use().reserved + (std::size_t(300) << 20));
    PatchClassifier<float, Plan> net("resnet50", 5, 0, 1);
    CHECK_THROWS_WITH(net(Variable<float, Plan>(zeros<float, Plan>({8, 1152, 896, 3})), Mode::train),
                      ContainsText("out of memory") && ContainsText("conv1"));
    memory.set_limit(no_limit);
}

TEST_CASE("a plan refuses shapes in the words of every device", "[plan]") {
    auto& context = default_context<Plan>();
    const Tensor<float16, Plan> x({1, 8, 8, 3});
    const Tensor<float, Plan> filter({4, 3, 3, 5});
    CHECK_THROWS_WITH(op::conv2d(context, x, filter, static_cast<const Tensor<float, Plan>*>(nullptr),
                                 {.in = 3, .out = 4, .kernel = 3}),
                      ContainsText("4x3x3x5") && ContainsText("4x3x3x3"));
}
