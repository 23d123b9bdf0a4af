// A step on `Plan` against the same step on `Cpu`: the same walk, the same sentences, the same memory.
#include <holon/loss/balance.hpp>
#include <holon/model/whole_image.hpp>
#include <holon/optim/adam.hpp>

#include "support/catch.hpp"
#include "support/networks.hpp"

using namespace holon;
using namespace holon::test;

namespace {

/// Bytes at the high-water mark of three training steps on their own context's allocator.
template <class T, Device D> MemoryUse trained(const std::string& network, Shape image, Recompute policy) {
    auto& memory = default_context<D>().memory();
    memory.trim();
    memory.reset_peak();
    const auto before = memory.use();
    PatchClassifier<T, D> patch(network, 5, 0.5, 1);
    auto net = to_whole_image(std::move(patch), parse_top("16x1,8x1"), 2, 1);
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
    use.peak_reserved -= before.current;
    return use;
}

}  // namespace

TEMPLATE_TEST_CASE("a planned step peaks where the step on the CPU does", "[plan]", float, bfloat16) {
    auto& ledger = default_context<Plan>().state<op::plan::Ledger>();
    ledger.choose = [](std::string_view, op::Direction direction, const Shape& x, const Conv2dOptions& o, bool) {
        auto& cpu = default_context<Cpu>();
        return op::plan::Choice{op::conv2d_implementation<TestType>(cpu, x, o, direction),
                                op::conv2d_scratch<TestType>(cpu, x, o, direction)};
    };
    for (const Shape image :
         {Shape{2, 160, 128, 3}, Shape{1, 256, 224, 3}, Shape{4, 256, 192, 3}, Shape{2, 512, 416, 3}})
        for (const Recompute policy : {Recompute::nothing, Recompute::batch_norm}) {
            const MemoryUse planned = trained<TestType, Plan>("resnet14", image, policy);
            const MemoryUse run = trained<TestType, Cpu>("resnet14", image, policy);
            INFO(image << (policy == Recompute::nothing ? " keep" : " recompute"));
            CHECK(double(planned.peak) / double(run.peak) == Approx(1).epsilon(0.05));
        }
    ledger.choose = nullptr;
}

TEST_CASE("recomputing costs less memory and more traffic, and the plan shows both", "[plan]") {
    auto& ledger = default_context<Plan>().state<op::plan::Ledger>();
    const auto bytes = [&](Recompute policy) {
        ledger.entries.clear();
        const auto use = trained<bfloat16, Plan>("resnet50", {2, 1152, 896, 3}, policy);
        double moved = 0;
        for (const auto& entry : ledger.entries) moved += entry.bytes;
        return std::pair(double(use.peak), moved);
    };
    const auto keep = bytes(Recompute::nothing), again = bytes(Recompute::batch_norm);
    CHECK(again.first < 0.9 * keep.first);
    CHECK(again.second > keep.second);
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
    const Tensor<half, Plan> x({1, 8, 8, 3});
    const Tensor<float, Plan> filter({4, 3, 3, 5});
    CHECK_THROWS_WITH(op::conv2d(context, x, filter, static_cast<const Tensor<float, Plan>*>(nullptr),
                                 {.in = 3, .out = 4, .kernel = 3}),
                      ContainsText("4x3x3x5") && ContainsText("4x3x3x3"));
}
