// The profile of a step: every op of every layer, once a step, with the work that a plan of the same step counts.
#include <chrono>
#include <set>
#include <sstream>

#include <holon/graph/profile_table.hpp>
#include <holon/graph/softmax.hpp>
#include <holon/model/whole_image.hpp>
#include <holon/optim/adam.hpp>

#include "support/catch.hpp"
#include "support/devices.hpp"

using namespace holon;
using namespace holon::test;

namespace {

const Shape image{2, 64, 64, 3};
const std::vector<int> labels{0, 1};

/// A network of both kinds of block, its first layers frozen if asked.
template <class T, class D> WholeImage<T, D> network(bool frozen) {
    auto net = to_whole_image(PatchClassifier<T, D>("resnet14", 5, 0, 1), parse_top("16x1"), 2, 2);
    if (frozen)
        for (const char* name : {"conv1", "bn1", "layer1", "layer2"}) freeze(net, name, Statistics::fixed);
    return net;
}

template <class T, class D> void step(WholeImage<T, D>& net, auto& adam) {
    const Variable<T, D> x(op::template convert<T>(default_context<D>(), zeros<float, D>(image)));
    cross_entropy(net(x, Mode::train), std::span<const int>(labels)).backward();
    adam.step(net);
    clear_gradients(net);
}

using Key = std::tuple<std::string, std::string, Pass>;

template <Device D> std::set<Key> keys(const Profile<D>& profile) {
    std::set<Key> all;
    for (const ProfileRow& row : profile.rows()) all.insert({row.layer, row.op, row.pass});
    return all;
}

template <Device D> void profile_steps(Profile<D>& profile, auto& net, auto& adam, int steps) {
    for (int i = 0; i < steps; ++i) {
        profile.start();
        step(net, adam);
        profile.stop();
    }
}

}  // namespace

TEMPLATE_TEST_CASE("a profile has every op, once a step, and the plan's work", "[profile]", HOLON_NARROW_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    const bool frozen = GENERATE(false, true);
    auto net = network<T, D>(frozen);
    auto adam = make_adam(net, {});
    step(net, adam);  // not profiled
    Profile<D> profile;
    step(net, adam);  // nor this, which is between steps
    const auto begin = std::chrono::steady_clock::now();
    profile_steps(profile, net, adam, 3);
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    CHECK(profile.steps() == 3);

    double seconds = 0;
    for (const ProfileRow& row : profile.rows()) {
        CAPTURE(row.layer, row.op);
        CHECK(row.calls == 3);
        CHECK(row.seconds >= 0);
        seconds += row.seconds;
    }
    CHECK(seconds <= took);
    if (std::same_as<D, Cpu>) CHECK(seconds >= 0.9 * took);  // all of the step is somebody's

    auto twin = network<T, Plan>(frozen);
    auto planned = make_adam(twin, {});
    Profile<Plan> plan;
    profile_steps(plan, twin, planned, 2);
    CHECK(keys(plan) == keys(profile));
    profile.take_work(plan);
    double flops = 0;
    for (const ProfileRow& row : profile.rows()) {
        CAPTURE(row.layer, row.op);
        flops += row.flops / 3;
        if (row.op == "conv2d" && row.layer == "layer3.0.conv1" && row.pass == Pass::forward)
            CHECK(row.flops / 3 == 2.0 * 2 * 8 * 8 * 256 * 128);
        if (row.op == "conv2d") CHECK(row.bytes > 0);
    }
    double counted = 0;
    for (const auto& entry : default_context<Plan>().state<op::plan::Ledger>().entries) counted += entry.flops;
    CHECK(flops == Approx(counted / 2));  // both planned steps
    default_context<Plan>().state<op::plan::Ledger>().entries.clear();
}

TEMPLATE_TEST_CASE("what is frozen has no backward pass in the profile", "[profile]", HOLON_NARROW_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    auto net = network<T, D>(true);
    auto adam = make_adam(net, {});
    Profile<D> profile;
    profile_steps(profile, net, adam, 1);
    const auto all = keys(profile);
    CHECK(all.count({"layer2.0.conv3", "conv2d", Pass::forward}) == 1);
    CHECK(all.count({"layer2.0.conv3", "conv2d", Pass::to_filter}) == 0);
    CHECK(all.count({"layer2.0.conv3", "conv2d", Pass::to_input}) == 0);
    CHECK(all.count({"layer2.0.bn3", "batch_norm", Pass::backward}) == 0);
    CHECK(all.count({"layer3.0.conv1", "conv2d", Pass::to_filter}) == 1);
    CHECK(all.count({"layer3.0.conv1", "conv2d", Pass::to_input}) == 0);
    CHECK(all.count({"layer3.0.conv2", "conv2d", Pass::to_input}) == 1);
    CHECK(all.count({"", "adam", Pass::step}) == 1);
}

TEST_CASE("a profile's table says times, traffic and rates of every layer", "[profile]") {
    auto net = network<float, Plan>(false);
    auto adam = make_adam(net, {});
    Profile<Plan> profile;
    profile_steps(profile, net, adam, 1);
    std::ostringstream out;
    print_profile(out, profile);
    const std::string table = out.str();
    for (const char* part : {"layer1.0.conv1 ", "fc ", "conv2d to filter", "conv2d to input", "batch_norm backward",
                             "adam ", "forward ms", "GFLOP/s", "the mean of 1"}) {
        CAPTURE(part);
        CHECK(table.find(part) != table.npos);
    }
    default_context<Plan>().state<op::plan::Ledger>().entries.clear();
}
