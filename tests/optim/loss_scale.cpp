// Dynamic loss scaling: backs off where gradients run over, grows after a long good stretch, and takes itself back.
#include <holon/optim/adam.hpp>
#include <holon/optim/loss_scale.hpp>
#include <holon/optim/sgd.hpp>

#include <limits>

#include "support/catch.hpp"
#include "support/networks.hpp"

using namespace holon;
using namespace holon::test;

TEST_CASE("the loss scale halves where a gradient ran over, and doubles after a good stretch", "[optim]") {
    LossScale scale({.first = 8, .least = 2, .most = 32, .good_steps = 3});
    CHECK(scale.accept(1.0) == 1.0 / 8);
    CHECK_FALSE(scale.accept(std::numeric_limits<double>::infinity()));
    CHECK(scale.scale() == 4);
    CHECK_FALSE(scale.accept(std::numeric_limits<double>::quiet_NaN()));
    CHECK(scale.scale() == 2);
    CHECK_FALSE(scale.accept(std::numeric_limits<double>::infinity()));
    CHECK(scale.scale() == 2);  // the least
    CHECK(scale.skipped() == 3);
    for (int i = 0; i < 3; ++i) CHECK(scale.accept(1.0) == 0.5);  // by the scale that this step's loss had
    CHECK(scale.scale() == 4);
    for (int i = 0; i < 20; ++i) scale.accept(1.0);
    CHECK(scale.scale() == 32);  // the most
}

TEST_CASE("a scaled loss and its scale taken back step as the plain loss does", "[optim]") {
    const auto run = [](double scale) {
        PatchClassifier<float, Cpu> net("resnet14", 2, 0.0, 1);
        auto adam = make_adam(net, {.rate = 1e-3, .decay = {.l2 = 1e-3}});
        Sgd<float, Cpu> sgd({.rate = 1e-3, .momentum = 0.9});
        const std::vector<int> labels{0, 1};
        for (int step = 0; step < 2; ++step) {
            const auto loss = cross_entropy(net(labelled_images<float>({2, 32, 32, 3}, labels, 5), Mode::train),
                                            std::span<const int>(labels));
            loss.backward(full<float>({1, 1, 1, 1}, float(scale)));
            adam.step(net, 1 / scale);
            sgd.step(net, 1 / scale);
            clear_gradients(net);
        }
        return contents(net);
    };
    CHECK(run(1) == run(1024));  // a power of two changes no digit
}
