// A profile of a card's step, on the fake runtime: the card's own clock, nothing waited for on the way, and a table
// with every layer.
#include <chrono>
#include <sstream>
#include <thread>

#include <holon/graph/profile_table.hpp>
#include <holon/graph/softmax.hpp>
#include <holon/layer/activation.hpp>
#include <holon/layer/batch_norm2d.hpp>
#include <holon/layer/conv2d.hpp>
#include <holon/layer/linear.hpp>
#include <holon/layer/pool2d.hpp>
#include <holon/optim/adam.hpp>

#include "gpu_context/machine.hpp"
#include "support/catch.hpp"

using namespace holon;
using namespace holon::test;

namespace {

template <class D> struct Tiny {
    using element = float;
    using device = D;

    explicit Tiny(Random random = Random(1, 1))
        : conv({.in = 3, .out = 8, .kernel = 3, .padding = 1}, random), bn(8), fc(8, 3, random) {
        name_layers(*this);
    }
    Variable<float, D> operator()(const Variable<float, D>& x, Mode mode) {
        return fc(global_average(bn.relu(conv(x, mode), mode)), mode);
    }
    void members(auto& visit) {
        visit("conv", conv);
        visit("bn", bn);
        visit("fc", fc);
    }
    Conv2d<float, D> conv;
    BatchNorm2d<float, D> bn;
    Linear<float, D> fc;
};

const std::vector<int> labels{0, 2};

/// A step of which nothing is asked back.
template <Device D> void step(Tiny<D>& net, Adam<float, D>& adam) {
    cross_entropy(net(Variable<float, D>(zeros<float, D>({2, 16, 16, 3})), Mode::train), std::span<const int>(labels))
        .backward();
    adam.step(net);
    clear_gradients(net);
}

double seconds_of(const Profile<Gpu>& profile) {
    double seconds = 0;
    for (const ProfileRow& row : profile.rows()) seconds += row.seconds;
    return seconds;
}

}  // namespace

TEST_CASE("a card's profile is of the card's time: what the host waits for meanwhile is nobody's", "[gpu]") {
    Machine machine;
    Tiny<Gpu> net;
    auto adam = make_adam(net, {});
    step(net, adam);
    const std::int64_t events = fake::counts().events;
    {
        Profile<Gpu> profile;
        profile.start();
        step(net, adam);
        const auto asked = fake::counts();
        const auto begin = std::chrono::steady_clock::now();
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        CHECK(fake::counts().waiting == asked.waiting);  // the card has not been waited for
        CHECK(asked.waiting > 0);
        profile.stop();
        CHECK(fake::counts().waiting == 0);
        CHECK(fake::counts().synchronisations == asked.synchronisations + 1);
        // The card did its work after the nap.
        CHECK(seconds_of(profile) + 0.3 <=
              std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
        CHECK(seconds_of(profile) > 0);
        CHECK(fake::counts().events > events);
    }
    CHECK(fake::counts().events == events);
}

TEST_CASE("a card's profile gives time to the work that took it", "[gpu]") {
    Machine machine;
    auto& context = default_context<Gpu>();
    Profile<Gpu> profile;
    const auto work = [&](const char* op, int milliseconds) {
        fake::enqueue(context.stream(), [=] { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); });
        holon::detail::lap(op, Pass::forward);
    };
    for (int i = 0; i < 2; ++i) {
        profile.start();
        work("short", 1);
        work("long", 60);
        profile.stop();
    }
    REQUIRE(profile.rows().size() == 3);
    CHECK((profile.rows()[0].op == "short" && profile.rows()[0].seconds >= 0.002));
    CHECK((profile.rows()[1].op == "long" && profile.rows()[1].seconds >= 0.12));
    CHECK(profile.rows()[2].op == "rest");
}

TEST_CASE("a card's profile prints every layer, and rates by the plan's work", "[gpu]") {
    Machine machine;
    Tiny<Gpu> net;
    auto adam = make_adam(net, {});
    Profile<Gpu> profile;
    for (int i = 0; i < 2; ++i) {
        profile.start();
        step(net, adam);
        profile.stop();
    }
    Tiny<Plan> twin;
    auto planned = make_adam(twin, {});
    Profile<Plan> plan;
    plan.start();
    step(twin, planned);
    plan.stop();
    default_context<Plan>().state<op::plan::Ledger>().entries.clear();
    profile.take_work(plan);
    std::ostringstream out;
    print_profile(out, profile);
    std::istringstream in(out.str());
    std::map<std::string, std::string> lines;  // by layer and op
    for (std::string line, layer, op; std::getline(in, line) && std::istringstream(line) >> layer >> op;)
        lines[layer + ' ' + op] = line;
    for (const char* row : {"conv conv2d", "bn batch_norm", "fc linear", "- adam"}) {
        CAPTURE(row, out.str());
        CHECK(lines.count(row) == 1);
    }
    // Name, op, then time, traffic and two rates of both passes, and the share.
    std::istringstream convolution(lines["conv conv2d"]);
    std::string word;
    std::vector<double> figures;
    convolution >> word >> word;
    for (double figure; convolution >> figure;) figures.push_back(figure);
    CHECK(figures.size() == 9);
    CHECK_THAT(out.str(), ContainsText("the mean of 2"));
}
