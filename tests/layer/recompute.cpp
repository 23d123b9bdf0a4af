// What backward makes again instead of keeping is the same, bit for bit, under every policy and in every state of
// freezing: losses, gradients, running statistics, dropout masks and the weights after several steps of Adam.
#include <holon/layer/freeze.hpp>
#include <holon/model/whole_image.hpp>
#include <holon/optim/adam.hpp>

#include "support/catch.hpp"
#include "support/networks.hpp"

using namespace holon;
using namespace holon::test;

namespace {

/// By name, a digest of the bits of a tensor: networks of many millions of numbers are compared.
using Digests = std::map<std::string, std::size_t>;
std::size_t digest(const auto& tensor) {
    const auto all = std::as_const(tensor).elements();
    return std::hash<std::string_view>()({reinterpret_cast<const char*>(all.data()), all.size_bytes()});
}

/// What a few steps made of a network.
struct Outcome {
    std::vector<double> losses;
    std::vector<Digests> gradients;  ///< of each step
    Digests after;                   ///< parameters and running statistics
};

/// Two steps of two batches each, so that gradients also add up.
template <class Net> Outcome trained(Net net, Shape image, Recompute policy) {
    using T = typename Net::element;
    using A = Accumulate<T>;
    const Recomputing recomputing(policy);
    const std::vector<int> labels{0, 1};
    auto adam = make_adam(net, {.rate = 1e-3, .decay = {.l2 = 1e-3}});
    Outcome out;
    for (int step = 0; step < 2; ++step) {
        for (int batch = 0; batch < 2; ++batch) {
            const auto x = labelled_images<T>(image, labels, std::uint64_t(10 * step + batch));
            const Variable<A, Cpu> loss = cross_entropy(net(x, Mode::train), std::span<const int>(labels));
            loss.backward();
            out.losses.push_back(double(std::as_const(loss.value()).data()[0]));
        }
        VisitorFor<Net> visit;
        visit.on_parameter = [&all = out.gradients.emplace_back()](const std::string& name, auto& p) {
            if (p.gradient()) all[name] = digest(p.gradient());
        };
        visit(std::string_view(), net);
        adam.step(net);
        clear_gradients(net);
    }
    VisitorFor<Net> visit;
    visit.on_parameter = [&](const std::string& name, auto& p) { out.after[name] = digest(p.value()); };
    visit.on_state = [&](const std::string& name, auto& s) { out.after[name] = digest(s.value()); };
    visit(std::string_view(), net);
    return out;
}

template <class Make> void expect_the_same(const Make& make, Shape image) {
    const Outcome kept = trained(make(), image, Recompute::nothing);
    REQUIRE(kept.after.size() > 10);
    REQUIRE_FALSE(kept.gradients.back().empty());
    for (const auto& [policy, name] : recompute_policies) {
        if (policy == Recompute::nothing) continue;
        CAPTURE(name);
        const Outcome redone = trained(make(), image, policy);
        CHECK(redone.losses == kept.losses);
        CHECK(redone.gradients == kept.gradients);
        CHECK(redone.after == kept.after);
    }
}

template <class T> WholeImage<T, Cpu> whole(const char* network, const char* top) {
    return to_whole_image(PatchClassifier<T, Cpu>(network, 1, 0, 1), parse_top(top), 2, 2);
}

}  // namespace

TEMPLATE_TEST_CASE("every policy gives the same bits: both trunks, both kinds of top", "[layer]", float, bfloat16,
                   double) {
    expect_the_same([] { return whole<TestType>("resnet14", "16x2,[8-8-32]x2"); }, {2, 128, 64, 3});
    if constexpr (!std::same_as<TestType, double>) {  // whose loops are plain
        expect_the_same([] { return whole<TestType>("vgg16", "16x1,[8-8-32]x1"); }, {2, 96, 64, 3});
        expect_the_same([] { return whole<TestType>("resnet50-keras", "[16-16-64]x1"); }, {2, 64, 64, 3});
    }
}

TEMPLATE_TEST_CASE("every policy gives the same bits: dropout, and layers frozen in every way", "[layer]", float,
                   bfloat16) {
    const auto patch = [](const char* network, auto&& change) {
        PatchClassifier<TestType, Cpu> net(network, 2, 0.5, 1);
        change(net);
        return net;
    };
    const Shape image{2, 64, 64, 3};
    expect_the_same([&] { return patch("resnet14", [](auto&) {}); }, image);
    expect_the_same(
        [&] { return patch("resnet14", [](auto& net) { freeze(net, "", Statistics::fixed), unfreeze(net, "fc"); }); },
        image);
    expect_the_same([&] { return patch("resnet14", [](auto& net) { freeze(net, "layer2", Statistics::fixed); }); },
                    image);
    expect_the_same([&] { return patch("resnet14", [](auto& net) { freeze(net, "layer2", Statistics::follow); }); },
                    image);
    expect_the_same(
        [&] {
            return patch("resnet14",
                         [](auto& net) {  // beginnings of blocks, ends of blocks, filters without their norms
                             for (const char* name : {"conv1", "layer1.0.conv1", "layer1.0.bn1"})
                                 freeze(net, name, Statistics::follow);
                             for (const char* name : {"layer2.0.conv3", "layer2.0.downsample"})
                                 freeze(net, name, Statistics::fixed);
                             for (const char* name : {"layer3.0.bn2", "layer3.0.bn3"})
                                 freeze(net, name, Statistics::fixed);
                         });
        },
        image);
    expect_the_same([&] { return patch("resnet14", [](auto& net) { unfreeze_top(net, 7, Statistics::follow); }); },
                    image);
    if constexpr (std::same_as<TestType, float>)
        expect_the_same(
            [&] {
                return patch("vgg16", [](auto& net) {
                    for (const char* name : {"features.0", "features.7", "features.17"})
                        freeze(net, name, Statistics::fixed);
                });
            },
            image);
}

TEST_CASE("a graph is let go of without backward, and a second backward is refused, whatever is redone", "[layer]") {
    auto& memory = default_context<Cpu>().memory();
    const Recomputing recomputing(Recompute::block);
    PatchClassifier<float, Cpu> net("resnet14", 2, 0.5, 1);
    const std::vector<int> labels{0, 1};
    const auto x = labelled_images<float>({2, 64, 64, 3}, labels, 1);
    const std::size_t before = memory.use().current;
    { const auto dropped = net(x, Mode::train); }
    CHECK(memory.use().current == before);
    const auto loss = cross_entropy(net(x, Mode::train), std::span<const int>(labels));
    loss.backward();
    CHECK_THROWS_WITH(loss.backward(), ContainsText("run forward again"));
}

TEST_CASE("what backward has redone is let go of: nothing outlives the step", "[layer]") {
    auto& memory = default_context<Cpu>().memory();
    const std::vector<int> labels{0, 1};
    const auto x = labelled_images<float>({2, 64, 64, 3}, labels, 1);
    for (const auto& [policy, name] : recompute_policies) {
        CAPTURE(name);
        const Recomputing recomputing(policy);
        PatchClassifier<float, Cpu> net("resnet14", 2, 0.5, 1);
        auto adam = make_adam(net, {});
        std::size_t current = 0;
        for (int step = 0; step < 3; ++step) {
            cross_entropy(net(x, Mode::train), std::span<const int>(labels)).backward();
            adam.step(net);
            clear_gradients(net);
            if (step > 0) CHECK(memory.use().current == current);
            current = memory.use().current;
        }
    }
}
