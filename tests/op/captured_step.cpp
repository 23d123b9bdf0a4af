// Training steps recorded and launched again, against the same steps run op by op: every bit of losses, scores,
// weights, statistics, moments and counters. On this processor both are simply run.
#include <holon/graph/softmax.hpp>
#include <holon/model/whole_image.hpp>
#include <holon/optim/adam.hpp>
#include <holon/optim/captured_step.hpp>
#include <holon/optim/loss_scale.hpp>
#include <holon/optim/sgd.hpp>

#include "support/catch.hpp"
#include "support/devices.hpp"

using namespace holon;
using namespace holon::test;

namespace {

/// A whole-image classifier with dropout before its last layer.
template <Element T, Device D> struct Net {
    using element = T;
    using device = D;
    using A = Accumulate<T>;

    explicit Net(Random random = Random(1, 1))
        : trunk(make_trunk<T, D>("resnet14", random)),
          top(trunk.features, parse_top("32x1"), random),
          dropout(0.4, 1, 2),
          fc(top.features, 3, random) {
        fc.weight.decays = true;
        name_layers(*this);
    }
    Variable<A, D> operator()(const Variable<T, D>& x, Mode mode) {
        return fc(dropout(convert<A>(global_average(top(trunk(x, mode), mode))), mode), mode);
    }
    void members(auto& visit) {
        visit(std::string_view(), trunk);
        visit("top", top);
        visit("dropout", dropout);
        visit("fc", fc);
    }

    Trunk<T, D> trunk;
    Top<T, D> top;
    Dropout<A, D> dropout;
    Linear<A, D> fc;
};

/// How one step differs from the one before it.
struct Turn {
    int images = 2;
    bool frozen = false;  ///< the trunk's first layers
    bool last = true;     ///< false: gradients are only added up
    bool written = false;  ///< all parameters are written by hand before it
    bool forgets = false;  ///< what backends keep of filters is let go of before it, as after a validation
};

struct Options {
    bool recorded = true;
    double clip = 0;
    double first_scale = 1;
    bool look_inside = false;  ///< the step reads its loss itself, which a recording cannot
    std::size_t kept = 4;
};

template <class A, class D> struct Result { Tensor<A, D> loss, logits, scale; };

/// All that a training leaves behind, as it was read.
struct Trained {
    std::vector<double> read;                            // losses, scores and scales, step after step
    std::map<std::string, std::vector<double>> tensors;  // weights, statistics and moments at the end
    std::uint64_t dropped = 0, launches = 0, recordings = 0, growths = 0;
    std::int64_t steps = 0;
    long skipped = 0;
    std::vector<std::string> said;

    bool operator==(const Trained& other) const {
        const auto bits = [](const std::vector<double>& a, const std::vector<double>& b) {
            return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
        };
        if (!bits(read, other.read) || tensors.size() != other.tensors.size()) return false;
        for (const auto& [name, values] : tensors)
            if (!bits(values, other.tensors.at(name))) return false;
        return dropped == other.dropped && steps == other.steps && skipped == other.skipped;
    }
};

std::vector<double> list(const auto& tensor) {
    const auto all = numbers(tensor);
    return {all.elements().begin(), all.elements().end()};
}

/// What a batch of so many images is read from; kept, as the place is part of what is recorded.
template <Device D> struct Batch {
    explicit Batch(std::int64_t n) : grey({n, 34, 36, 1}), targets(3) {}
    Tensor<float, D> grey;
    op::Warps<D> warps;
    op::Targets<D> targets;

    void draw(std::uint64_t step) {
        Random random(step, 5);
        Tensor<float, Cpu> pixels(grey.shape());
        for (float& v : pixels.elements()) v = float(random.below(256));
        copy_from_host(grey, pixels);
        std::vector<op::Warp> list;
        std::vector<int> labels;
        std::vector<float> weights;
        for (std::int64_t i = 0; i < grey.shape().n; ++i) {
            op::Warp& w = list.emplace_back();
            w.matrix = {random.uniform(0.8, 1.2), random.uniform(-0.2, 0.2), random.uniform(-0.2, 0.2),
                        random.uniform(0.8, 1.2)};
            w.offset = {random.uniform(-3, 3), random.uniform(-3, 3)};
            w.shift = {float(random.uniform(-20, 20)), float(random.uniform(-20, 20)), float(random.uniform(-20, 20))};
            w.flip_horizontal = random.uniform() < 0.5;
            labels.push_back(int(random.below(3)));
            weights.push_back(float(random.uniform(0.5, 2)));
        }
        warps.set(list);
        targets.set(labels, weights);
    }
};

template <class T, class D, class Optimizer>
Trained train(const std::vector<Turn>& turns, Optimizer optimizer, const Options& o) {
    using A = Accumulate<T>;
    Net<T, D> net;
    LossScale loss_scale({.first = o.first_scale, .least = 1, .most = 0x1p40, .good_steps = 3});
    std::map<int, Batch<D>> batches;
    auto& context = default_context<D>();
    const op::WarpOptions form{.channels = 3, .mean = {100, 120, 140}, .scale = {0.02f, 0.02f, 0.02f}};
    Trained out;
    CapturedStep<Net<T, D>, Result<A, D>> captured(
        net, {.recorded = o.recorded, .kept = o.kept, .say = [&](const std::string& s) { out.said.push_back(s); }});
    std::uint64_t number = 0;
    for (const Turn& turn : turns) {
        auto& batch = batches.try_emplace(turn.images, turn.images).first->second;
        batch.draw(++number);
        for (const char* name : {"conv1", "bn1", "layer1"})
            turn.frozen ? freeze(net, name, Statistics::fixed) : unfreeze(net, name);
        optimizer.options.rate = 1e-3 / double(number);  // a schedule
        if (turn.written) {
            VisitorFor<Net<T, D>> halve;
            halve.on_parameter = [&](const std::string&, auto& p) { op::scale(context, p.variable().writable(), 0.5); };
            halve(std::string_view(), net);
        }
        if (turn.forgets) forget_forms(net);
        const auto step = [&] {
            const Variable<T, D> x(
                op::template convert<T>(context, op::affine_warp(context, batch.grey, batch.warps, form)));
            const auto logits = net(x, Mode::train);
            const auto loss = cross_entropy(logits, batch.targets);
            if (o.look_inside) to_host(loss.value());
            loss.backward(provided<A, D>({1, 1, 1, 1}, [&](std::span<A> to) { to[0] = A(loss_scale.scale()); }));
            Result<A, D> result{loss.value(), logits.value(), {}};
            if (turn.last) {
                result.scale = step_scale(net, loss.value(), true, [&] {
                    return op::StepLimit{1 / loss_scale.scale(), o.clip};
                });
                optimizer.step(net, result.scale);
                clear_gradients(net);
            }
            return result;
        };
        const auto& result = captured.run(optimizer, std::tie(batch.grey, batch.warps, batch.targets, turn.last), step);
        if (turn.last) {
            const auto [loss, logits, scale] = to_host_together(result.loss, result.logits, result.scale);
            for (const auto* tensor : {&loss, &logits, &scale})
                out.read.insert(out.read.end(), tensor->data(), tensor->data() + tensor->size());
            const bool taken = scale.data()[1] != 0;
            if (!taken) optimizer.take_back();
            loss_scale.accept(taken ? double(scale.data()[2]) : std::numeric_limits<double>::infinity());
        } else {
            const auto all = list(result.loss);
            out.read.insert(out.read.end(), all.begin(), all.end());
        }
        if (number + 2 == turns.size()) out.growths = context.memory().use().growths;
    }
    out.growths = context.memory().use().growths - out.growths;
    VisitorFor<Net<T, D>> visit;
    visit.on_parameter = [&](const std::string& name, auto& p) { out.tensors[name] = list(p.value()); };
    visit.on_state = [&](const std::string& name, auto& s) { out.tensors[name] = list(s.value()); };
    visit(std::string_view(), net);
    optimizer.each_moment([&](const auto& m) { out.tensors[text("moment ", out.tensors.size())] = list(m); });
    out.dropped = net.dropout.random.position();
    out.steps = optimizer.steps;
    out.skipped = loss_scale.skipped();
    out.launches = captured.launches();
    out.recordings = captured.recordings();
    return out;
}

template <class A, class D> Adam<A, D> an_adam() {
    return Adam<A, D>({.decay = {.l2 = 1e-3, .decoupled = 0.1}, .groups = {{"fc", 2}, {"layer2", 0.5}}});
}

template <class D> constexpr bool launches = !std::same_as<D, Cpu>;

}  // namespace

TEMPLATE_TEST_CASE("recorded steps of training give the bits of steps run op by op", "[op]", HOLON_NARROW_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    const std::vector<Turn> turns(6);
    Options o{.clip = 0.5};
    if (std::same_as<T, float16>) o.first_scale = 0x1p36;  // runs over, and over again, before it is small enough
    const Trained given = train<T, D>(turns, an_adam<A, D>(), o);
    o.recorded = false;
    const Trained expected = train<T, D>(turns, an_adam<A, D>(), o);
    CHECK(given == expected);
    CHECK(given.dropped > 0);
    CHECK(given.steps == std::int64_t(turns.size()) - given.skipped);
    if (std::same_as<T, float16>) CHECK(given.skipped > 0);
    CHECK(expected.launches == 0);
    if (launches<D>) {
        CHECK(given.recordings == 1);
        CHECK(given.launches == turns.size() - 2);  // the first makes moments, the second is the rehearsal
        CHECK(given.growths == 0);
        REQUIRE(given.said.size() == 1);
        CHECK_THAT(given.said[0], ContainsText("are recorded"));
    }
}

TEMPLATE_TEST_CASE("another shape, frozen layers and added gradients are recorded by themselves", "[op]",
                   HOLON_ACCUMULATORS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    std::vector<Turn> turns;
    Options o;
    std::uint64_t recordings = 0;
    SECTION("shapes") {
        for (const int images : {2, 2, 2, 1, 2, 1, 1}) turns.push_back({.images = images});
        recordings = 2;
    }
    SECTION("more shapes than are kept") {
        for (const int images : {2, 2, 2, 1, 1, 2, 2}) turns.push_back({.images = images});
        o.kept = 1;
        recordings = 3;
    }
    SECTION("frozen") {
        for (const bool frozen : {false, false, false, true, true, false}) turns.push_back({.frozen = frozen});
        recordings = 2;
    }
    SECTION("added") {
        for (int step = 0; step < 4; ++step) turns.push_back({.last = false}), turns.push_back({.last = true});
        recordings = 2;
    }
    const auto sgd = [] { return Sgd<A, D>({.momentum = 0.9, .nesterov = true, .decay = {.l2 = 1e-3}}); };
    const Trained given = train<T, D>(turns, sgd(), o);
    o.recorded = false;
    CHECK(given == train<T, D>(turns, sgd(), o));
    if (launches<D>) CHECK(given.recordings == recordings);
}

TEMPLATE_TEST_CASE("weights written between steps are those that the next step takes, recorded or not", "[op]",
                   HOLON_NARROW_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    std::vector<Turn> turns(13);
    for (Turn& turn : turns) turn.forgets = true;  // which is no reason to record anew
    for (const int at : {4, 6, 9, 10, 11}) turns[std::size_t(at)].written = true;
    Options o;
    const Trained given = train<T, D>(turns, an_adam<A, D>(), o);
    o.recorded = false;
    CHECK(given == train<T, D>(turns, an_adam<A, D>(), o));
    if (launches<D>) {
        CHECK(given.launches > 6);
        CHECK(given.recordings <= 2);  // with the copies of filters as new as they, and not
    }
}

TEMPLATE_TEST_CASE("a step that cannot be recorded is run, and that is said once", "[op]", HOLON_ACCUMULATORS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    const std::vector<Turn> turns(4);
    const Trained given = train<T, D>(turns, an_adam<A, D>(), {.look_inside = true});
    CHECK(given == train<T, D>(turns, an_adam<A, D>(), {.recorded = false}));
    CHECK(given.launches == 0);
    if (launches<D>) {
        REQUIRE(given.said.size() == 1);
        CHECK_THAT(given.said[0], ContainsText("op by op") && ContainsText("bytes of the card are asked for"));
    }
}
