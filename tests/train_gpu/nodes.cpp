// How many kernels, copies and fills a recorded training step of ResNet50 takes: each costs a card time to start, however
// little it does.
#include <holon/graph/softmax.hpp>
#include <holon/model/patch_classifier.hpp>
#include <holon/optim/adam.hpp>
#include <holon/optim/captured_step.hpp>

#include "support/catch.hpp"

using namespace holon;

namespace {

/// Nodes of a recorded step in 16 bits, by the third run of it.
std::uint64_t nodes_of(const char* network, std::int64_t side) {
    using T = bfloat16;
    PatchClassifier<T, Gpu> net(network, 5, 0, 1);
    auto adam = make_adam(net, {.rate = 1e-4});
    op::Targets<Gpu> targets(5);
    targets.set(std::vector<int>{1, 3});
    const Variable<T, Gpu> x(full<T, Gpu>({2, side, side, 3}, T(0.5f)));
    CapturedStep<PatchClassifier<T, Gpu>, Tensor<float, Gpu>> captured(net);
    for (int step = 0; step < 4 && captured.nodes() == 0; ++step)
        captured.run(adam, std::tie(x.value(), targets), [&] {
            const auto loss = cross_entropy(net(x, Mode::train), targets);
            loss.backward();
            adam.step(net);
            clear_gradients(net);
            return loss.value();
        });
    return captured.nodes();
}

}  // namespace

TEST_CASE("a recorded step of ResNet50 has no more nodes than it should", "[train_gpu]") {
    const std::uint64_t nodes = nodes_of("resnet50", 32);
    INFO(nodes << " nodes");
    CHECK(nodes > 300);  // 53 convolutions in three directions, and as many batch norms both ways
    CHECK(nodes <= 376);  // one of them pads the image, which is cuDNN's to do otherwise
}
