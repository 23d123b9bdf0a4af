// What optimizers do to a network: who moves, how fast, and what gradients become on the way.
#include <holon/model/patch_classifier.hpp>
#include <holon/optim/adam.hpp>
#include <holon/optim/sgd.hpp>

#include "support/catch.hpp"
#include "support/networks.hpp"

using namespace holon;
using namespace holon::test;

namespace {

using Net = PatchClassifier<double, Cpu>;

Net network() { return Net("resnet14", 2, 0, 1); }

void gradients(Net& net, std::uint64_t seed, double weight = 1) {
    const std::vector<int> labels = {0, 1, 1, 0};
    const auto loss = cross_entropy(net(labelled_images<double>({4, 32, 32, 3}, labels, seed), Mode::evaluate),
                                    std::span<const int>(labels));
    loss.backward(full<double>({1, 1, 1, 1}, weight));
}

std::map<std::string, Tensor<double, Cpu>> gradients_of(Net& net) {
    std::map<std::string, Tensor<double, Cpu>> all;
    VisitorFor<Net> visit;
    visit.on_parameter = [&](const std::string& name, auto& p) {
        if (p.gradient()) all[name] = p.gradient().clone();
    };
    visit(std::string_view(), net);
    return all;
}

/// By how much each parameter differs between two copies of its network, as the largest element.
std::map<std::string, double> moved(const std::map<std::string, std::vector<double>>& before, Net& net) {
    std::map<std::string, double> out;
    const auto now = contents(net);
    for (const auto& [name, values] : before)
        for (std::size_t i = 0; i < values.size(); ++i)
            out[name] = std::max(out[name], std::abs(now.at(name)[i] - values[i]));
    return out;
}

}  // namespace

TEST_CASE("Adam's first step moves every learning element by the rate, whatever the gradient's size", "[optim]") {
    // m / (1 - b1) = g, v / (1 - b2) = g^2, so the step is rate * g / (|g| + epsilon).
    Net net = network();
    freeze(net, "layer1", Statistics::fixed);
    gradients(net, 1, 1e3);
    const auto slope = gradients_of(net);
    const auto before = contents(net);
    auto adam = make_adam(net, {.rate = 0.01});
    adam.step(net);
    const auto now = contents(net);
    double worst = 0;
    for (const auto& [name, g] : slope)
        for (std::size_t i = 0; i < now.at(name).size(); ++i) {
            const double s = g.elements()[i], expected = before.at(name)[i] - 0.01 * s / (std::abs(s) + 1e-8);
            worst = std::max(worst, std::abs(now.at(name)[i] - expected));
        }
    CHECK(worst < 1e-12);
    for (const auto& [name, by] : moved(before, net))
        if (under(name, "layer1")) CHECK(by == 0);
    CHECK(adam.moments.size() == slope.size());  // frozen parameters keep none
    CHECK(adam.moments.count("layer1.0.conv1.weight") == 0);
}

TEST_CASE("a group's rate is a factor, and the longest prefix decides", "[optim]") {
    Net net = network();
    gradients(net, 1);
    const auto before = contents(net);
    const std::vector<ParameterGroup> groups = {{"", 0.5}, {"layer2", 0.1}, {"layer2.0.conv2", 0}, {"layer20", 7}};
    SECTION("Adam") {
        make_adam(net, {.rate = 0.01, .groups = groups}).step(net);
        const auto by = moved(before, net);
        CHECK(by.at("fc.weight") == Approx(0.005).epsilon(1e-3));
        CHECK(by.at("layer2.0.conv1.weight") == Approx(0.001).epsilon(1e-3));
        CHECK(by.at("layer2.0.conv2.weight") == 0);
    }
    SECTION("SGD") {
        const auto slope = gradients_of(net);
        Sgd<double, Cpu>({.rate = 0.1, .groups = groups}).step(net);
        const auto now = contents(net);
        for (const auto& [name, factor] :
             {std::pair{"fc.weight", 0.5}, {"layer2.0.conv1.weight", 0.1}, {"layer2.0.conv2.weight", 0.}})
            for (std::size_t i = 0; i < now.at(name).size(); i += 97)
                CHECK(std::abs(now.at(name)[i] - (before.at(name)[i] - 0.1 * factor * slope.at(name).elements()[i])) <
                      1e-14);
    }
}

TEST_CASE("halves of a batch, each with half the weight, add up to the batch", "[optim]") {
    const std::vector<int> labels = {0, 1, 1, 0};
    const auto images = labelled_images<double>({4, 32, 32, 3}, labels, 3);
    Net whole = network(), halves = network();
    cross_entropy(whole(images, Mode::evaluate), std::span<const int>(labels)).backward();
    for (std::size_t half = 0; half < 2; ++half) {
        const std::int64_t size = 2 * 32 * 32 * 3;
        std::vector<double> pixels(images.value().data() + std::int64_t(half) * size,
                                   images.value().data() + std::int64_t(half + 1) * size);
        const Variable<double, Cpu> x(from_values<double>({2, 32, 32, 3}, pixels));
        cross_entropy(halves(x, Mode::evaluate), std::span<const int>(labels).subspan(2 * half, 2))
            .backward(full<double>({1, 1, 1, 1}, 0.5));
    }
    const auto a = gradients_of(whole), b = gradients_of(halves);
    REQUIRE(a.size() == b.size());
    for (const auto& [name, g] : a) {
        INFO(name);
        CHECK(distance(b.at(name), g) < 1e-10);
    }
}

TEST_CASE("clipping scales all gradients by one factor, and only when their norm is above the limit", "[optim]") {
    Net net = network();
    gradients(net, 1);
    const auto before = gradients_of(net);
    double squares = 0;
    for (const auto& [name, g] : before)
        for (const double v : g.elements()) squares += v * v;
    const double norm = std::sqrt(squares);
    CHECK(gradient_norm(net) == Approx(norm).epsilon(1e-12));

    CHECK(clip_gradients(net, 2 * norm) == Approx(norm));
    for (const auto& [name, g] : gradients_of(net)) CHECK(distance(g, before.at(name)) == 0);

    CHECK(clip_gradients(net, norm / 4) == Approx(norm));
    CHECK(gradient_norm(net) == Approx(norm / 4).epsilon(1e-12));
    const auto after = gradients_of(net);
    for (const auto& [name, g] : before)
        for (std::int64_t i = 0; i < g.size(); i += 31)
            CHECK(after.at(name).elements()[std::size_t(i)] == Approx(g.elements()[std::size_t(i)] / 4));
    CHECK_THROWS_WITH(clip_gradients(net, 0), ContainsText("above 0"));
}

TEST_CASE("decay is for kernels that were made new; decoupled decay stays out of the moments", "[optim]") {
    Net net = network();
    const std::string fresh = "fc.weight", bias = "fc.bias";
    VisitorFor<Net> visit;
    visit.on_parameter = [&](const std::string& name, auto& p) { p.decays = name == fresh; };
    visit(std::string_view(), net);
    gradients(net, 1);
    const auto before = contents(net);
    double squares = 0;
    for (const double v : before.at(fresh)) squares += v * v;
    CHECK(l2_penalty(net, 0.1) == Approx(0.1 * squares));

    const auto slope = gradients_of(net);
    Sgd<double, Cpu>({.rate = 0.1, .decay = {.l2 = 0.05, .decoupled = 0.2}}).step(net);
    const auto now = contents(net);
    for (std::size_t i = 0; i < now.at(fresh).size(); ++i) {
        const double w = before.at(fresh)[i];
        CHECK(now.at(fresh)[i] == Approx(w - 0.1 * (slope.at(fresh).elements()[i] + 0.1 * w) - 0.1 * 0.2 * w));
    }
    for (std::size_t i = 0; i < now.at(bias).size(); ++i)
        CHECK(now.at(bias)[i] == Approx(before.at(bias)[i] - 0.1 * slope.at(bias).elements()[i]));
}

TEST_CASE("a parameter without a gradient stands still", "[optim]") {
    Net net = network();
    gradients(net, 1);
    clear_gradients(net);
    const auto before = contents(net);
    auto adam = make_adam(net, {.rate = 0.1, .decay = {.decoupled = 0.5}});
    adam.step(net);
    for (const auto& [name, by] : moved(before, net)) CHECK(by == 0);
    CHECK(adam.moments.empty());
}
