// Names, freezing and the summary all read the one list of members.
#include <holon/layer/freeze.hpp>
#include <holon/layer/sequential.hpp>
#include <holon/layer/summary.hpp>
#include <holon/model/patch_classifier.hpp>
#include <holon/optim/adam.hpp>

#include <sstream>

#include "support/catch.hpp"
#include "support/networks.hpp"

using namespace holon;
using namespace holon::test;

namespace {
using Net = PatchClassifier<float, Cpu>;
std::vector<std::string> frozen_names(Net& net) {
    std::vector<std::string> names;
    VisitorFor<Net> visit;
    visit.on_parameter = [&](const std::string& name, auto& p) {
        if (p.frozen()) names.push_back(name);
    };
    visit(std::string_view(), net);
    return names;
}
}  // namespace

TEST_CASE("freeze and unfreeze by name, by prefix, by top n", "[layer]") {
    Net net("resnet14", 3, 0, 1);
    freeze(net, "layer1.0.conv1.weight", Statistics::follow);
    CHECK(frozen_names(net) == std::vector<std::string>{"layer1.0.conv1.weight"});
    freeze(net, "layer1", Statistics::fixed);
    for (const auto& name : frozen_names(net)) CHECK(name.starts_with("layer1."));
    CHECK(frozen_names(net).size() == 12);  // four convolutions, four batch norms of two
    unfreeze(net, "layer1.0.bn1");
    CHECK(frozen_names(net).size() == 10);
    unfreeze_top(net, 1, Statistics::fixed);
    CHECK(count_parameters(net, true) == 3 * 1024 + 3);
    unfreeze_top(net, 3, Statistics::fixed);  // fc, downsample.1, downsample.0
    CHECK(count_parameters(net, true) == 3 * 1024 + 3 + 2 * 1024 + 512 * 1024);
    CHECK_THROWS_WITH(freeze(net, "layer9", Statistics::fixed),
                      ContainsText("layer9") && ContainsText("conv1, bn1, layer1"));
    CHECK_THROWS_AS(unfreeze_top(net, 1000, Statistics::fixed), ShapeError);
    CHECK_FALSE(under("layer40.0", "layer4"));
}

TEST_CASE("a frozen layer keeps its mode whatever train or evaluate says, and costs no gradient", "[layer]") {
    Net net("resnet14", 2, 0, 1);
    freeze(net, "bn1", Statistics::fixed);
    const auto before = contents(net)["bn1.running_mean"];
    net(labelled_images<float>({2, 32, 32, 3}, {0, 1}, 1), Mode::train);
    net(labelled_images<float>({2, 32, 32, 3}, {0, 1}, 1), Mode::evaluate);
    CHECK(contents(net)["bn1.running_mean"] == before);
    CHECK(contents(net)["layer1.0.bn1.running_mean"] != contents(net)["layer1.0.bn1.bias"]);
}

TEST_CASE("the summary shows names, shapes, what is frozen and the sums", "[layer]") {
    Net net("resnet14", 2, 0, 1);
    freeze(net, "conv1", Statistics::follow);
    freeze(net, "bn1", Statistics::fixed);
    std::ostringstream out;
    print_summary(out, net);
    CHECK(out.str().find("conv1.weight                            32x7x7x3                  4704  frozen") != std::string::npos);
    CHECK(out.str().find("bn1                                     running statistics fixed") != std::string::npos);
    CHECK(out.str().find("decays") != std::string::npos);
    CHECK(out.str().find(text("parameters ", count_parameters(net), ", learning ", count_parameters(net, true))) != std::string::npos);
}

TEST_CASE("Sequential names its layers by place; layers move and do not copy", "[layer]") {
    Random random;
    Sequential<float, Cpu> row;
    row.add(Conv2d<float, Cpu>({.in = 3, .out = 4, .kernel = 3, .bias = true}, random)).add(Relu<float, Cpu>()).add(
        GlobalAverage<float, Cpu>());
    row.add(Linear<float, Cpu>(4, 2, random));
    name_layers(row);
    CHECK(row(Variable<float, Cpu>(zeros<float>({2, 8, 8, 3})), Mode::train).shape() == Shape{2, 1, 1, 2});
    std::vector<std::string> names;
    VisitorFor<Sequential<float, Cpu>> visit;
    visit.on_parameter = [&](const std::string& name, auto&) { names.push_back(name); };
    visit(std::string_view(), row);
    CHECK(names == std::vector<std::string>{"0.weight", "0.bias", "3.weight", "3.bias"});
    STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<Conv2d<float, Cpu>>);
    STATIC_REQUIRE(std::is_move_constructible_v<Bottleneck<float, Cpu>>);
}

TEST_CASE("recompute gives the same bits as keeping, for less memory", "[layer]") {
    auto& memory = default_context<Cpu>().memory();
    // So many images that activations are most of the memory: oneDNN's scratch does not grow with them, and is 15 MiB where
    // its convolutions are matrix products of unrolled images.
    const std::vector<int> labels{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1};
    const auto x = labelled_images<float>({12, 160, 160, 3}, labels, 1);
    std::map<std::string, std::vector<float>> gradients[2];
    std::size_t peak[2];
    for (const auto how : {Recompute::nothing, Recompute::batch_norm}) {
        Net net("resnet14", 2, 0.5, 1);
        const Recomputing policy(how);
        const std::size_t before = memory.use().current;
        memory.reset_peak();
        cross_entropy(net(x, Mode::train), std::span<const int>(labels)).backward();
        peak[int(how)] = memory.use().peak - before;
        VisitorFor<Net> visit;
        visit.on_parameter = [&](const std::string& name, auto& p) {
            const auto g = p.gradient().elements();
            gradients[int(how)][name].assign(g.begin(), g.end());
        };
        visit(std::string_view(), net);
    }
    CHECK(gradients[0] == gradients[1]);
    CHECK(double(peak[1]) < 0.9 * double(peak[0]));
}

TEST_CASE("after the second step a training loop asks the system for nothing", "[layer]") {
    auto& memory = default_context<Cpu>().memory();
    Net net("resnet14", 2, 0.5, 1);
    auto adam = make_adam(net, {});
    const std::vector<int> labels{0, 1};
    const auto x = labelled_images<float>({2, 96, 96, 3}, labels, 1);
    std::size_t growths = 0;
    for (int step = 0; step < 8; ++step) {
        cross_entropy(net(x, Mode::train), std::span<const int>(labels)).backward();
        adam.step(net);
        clear_gradients(net);
        if (step == 1) growths = memory.use().growths;
    }
    CHECK(memory.use().growths == growths);
}
