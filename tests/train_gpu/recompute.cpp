// --recompute auto on the fake card: the policy is chosen by what the card's own engines need, said aloud, and training
// then keeps within the limit; with too little for any policy the run is refused with the bytes that are missing.
#include <holon/layer/bottleneck.hpp>

#include "fake/fake.hpp"
#include "pipeline/recompute.hpp"
#include "support/catch.hpp"
#include "train/small.hpp"

using namespace holon;
using namespace holon::pipeline;
using namespace holon::test;

namespace {

/// Results outweigh weights, and every policy has something to redo.
template <class T, class D> struct Narrowing {
    using element = T;
    using device = D;
    using A = Accumulate<T>;

    explicit Narrowing(Random random = Random(3, 1))
        : conv1({.in = 3, .out = 16, .kernel = 3, .padding = 1}, random),
          bn1(16),
          first({.in = 16, .reduce = 16, .middle = 16, .out = 64}, random),
          second({.in = 64, .reduce = 16, .middle = 16, .out = 64}, random),
          fc(64, 3, random) {
        conv1.redone = Recompute::block;
        name_layers(*this);
    }
    Variable<A, D> operator()(const Variable<T, D>& x, Mode mode) {
        const auto y = second(first(bn1.relu(conv1(x, mode), mode), mode), mode);
        return fc(convert<A>(global_average(y)), mode);
    }
    void members(auto& visit) {
        visit("conv1", conv1);
        visit("bn1", bn1);
        visit("first", first);
        visit("second", second);
        visit("fc", fc);
    }

    Conv2d<T, D> conv1;
    BatchNorm2d<T, D> bn1;
    Bottleneck<T, D> first, second;
    Linear<A, D> fc;
};

/// Images outweigh all else.
template <class T, class D> struct Averaging {
    using element = T;
    using device = D;
    using A = Accumulate<T>;

    explicit Averaging(Random random = Random(3, 1)) : fc(3, 3, random) { name_layers(*this); }
    Variable<A, D> operator()(const Variable<T, D>& x, Mode mode) { return fc(convert<A>(global_average(x)), mode); }
    void members(auto& visit) { visit("fc", fc); }

    Linear<A, D> fc;
};

struct Machine {
    Machine() { fake::reset(); }
    ~Machine() {
        default_context<Gpu>().memory().set_limit(no_limit);
        auto& ledger = default_context<Plan>().state<op::plan::Ledger>();
        ledger.choose = nullptr;
        ledger.entries.clear();
        fake::reset();
    }
    /// Bytes that training may hold, whatever earlier tests left behind.
    void limit(std::size_t bytes) {
        auto& memory = default_context<Gpu>().memory();
        memory.set_limit(no_limit);
        memory.trim();
        memory.set_limit(bytes);
        memory.reset_peak();
    }
};

const Stage all{"all", {}, "", 1e-3, 0, 2};

template <class T> auto planned() {
    return PlannedRun{[] { return Narrowing<T, Plan>(); }, Shape{4, 16, 16, 3}, {all}, Statistics::follow, 1};
}

/// Two epochs under a policy; the log.
template <class T> std::string train(Recompute policy, const Options& asked) {
    const SampleSet set = samples();
    const scratch::Directory folder;
    Options options = asked;
    options.out = folder.path();
    options.batch = 4;
    Task task = task_for(set);
    task.stages = {all};
    task.recompute = policy;
    Interrupt::install();
    Narrowing<T, Gpu> net;
    FrozenFront<Narrowing<T, Gpu>> front(task.form);
    const int code = run_training<Narrowing<T, Gpu>>(net, task, front, options, [](auto&) { return Verdict{0.5, "0.5", ""}; });
    REQUIRE(code == 0);
    return log_of(folder.path());
}

}  // namespace

TEMPLATE_TEST_CASE("auto takes the first policy that fits the card's memory, says so, and training keeps to it",
                   "[train]", float, bfloat16) {
    using T = TestType;
    Machine machine;
    auto& memory = default_context<Gpu>().memory();
    const auto run = planned<T>();
    plan_for_device<T, Gpu>();
    Options options = options_in("", "legacy", 1);
    std::string kept;
    {
        const Quiet quiet;
        kept = train<T>(Recompute::nothing, options);
    }
    options.recompute = "auto";
    std::string before;
    std::size_t least = no_limit;
    for (const auto& [policy, name] : recompute_policies) {
        CAPTURE(name);
        const std::size_t needs = run.needs(policy, run.image) + kept_by_backend<Gpu>();
        REQUIRE(needs < least);
        least = needs;
        machine.limit(needs);
        const Quiet quiet;
        CHECK(choose_recompute<T, Gpu>(options, run) == policy);
        CHECK_THAT(quiet.printed(), ContainsText(text("--recompute ", name, ": a step of 4x16x16x3 needs ")) &&
                                        ContainsText(": fits\n"));
        if (!before.empty())
            CHECK_THAT(quiet.printed(), ContainsText("--recompute " + before) && ContainsText(" missing\n"));
        before = name;
        CHECK(train<T>(policy, options) == kept);  // the same bits
        CHECK(memory.use().peak <= needs);
        CHECK(memory.use().reserved <= needs);
    }
    // Where only the leanest fits, keeping everything does not.
    const Quiet quiet;
    CHECK_THROWS_AS(train<T>(Recompute::nothing, options), OutOfMemory);
}

TEST_CASE("where images outweigh all else, a plan counts the memory that the next one is uploaded into", "[train]") {
    Machine machine;
    auto& memory = default_context<Gpu>().memory();
    const int side = 128, batch = 4;
    const Shape images{batch, side, side, 3};
    const PlannedRun run{[] { return Averaging<float, Plan>(); }, images, {all}, Statistics::follow, 1};
    plan_for_device<float, Gpu>();
    const std::size_t needs = run.needs(Recompute::nothing, run.image) + kept_by_backend<Gpu>();
    machine.limit(needs);
    const SampleSet set = samples(2 * batch, side);
    const scratch::Directory folder;
    Options options = options_in(folder.path(), "legacy", 1);
    options.batch = batch;
    Task task = task_for(set);
    task.stages = {all};
    Interrupt::install();
    Averaging<float, Gpu> net;
    FrozenFront<Averaging<float, Gpu>> front(task.form);
    {
        const Quiet quiet;
        REQUIRE(run_training<Averaging<float, Gpu>>(net, task, front, options,
                                                    [](auto&) { return Verdict{0.5, "0.5", ""}; }) == 0);
    }
    const std::size_t upload_buffer = std::size_t(batch * side * side) * sizeof(float);
    CHECK(memory.use().peak <= needs);
    CHECK(memory.use().peak > needs - upload_buffer);
}

TEST_CASE("a card with too little for the leanest policy is refused with the bytes that are missing", "[train]") {
    Machine machine;
    const auto run = planned<float>();
    plan_for_device<float, Gpu>();
    const std::size_t needs = run.needs(Recompute::block, run.image) + kept_by_backend<Gpu>(), missing = 12345;
    machine.limit(needs - missing);
    Options options = options_in("", "legacy", 1);
    options.recompute = "auto";
    const Quiet quiet;
    CHECK_THROWS_WITH((choose_recompute<float, Gpu>(options, run)),
                      ContainsText(text(missing, " bytes (0.0 MiB) are missing; --batch 2 --recompute block needs")));
    options.recompute = "nothing";
    CHECK_THROWS_WITH((choose_recompute<float, Gpu>(options, run)), ContainsText("--recompute auto finds what fits"));
}

TEST_CASE("plans for a card ask its cuDNN for engines and their workspaces", "[train]") {
    Machine machine;
    plan_for_device<float, Gpu>();
    const auto network = [] { return Narrowing<float, Plan>(); };
    const auto plan = walk_step(network, Shape{4, 16, 16, 3}, StepOptions{});
    int convolutions = 0;
    for (const auto& entry : plan.entries) {
        if (entry.choice.engine.empty()) continue;
        ++convolutions;
        CHECK_THAT(entry.choice.engine, ContainsText(text("engine ", std::int64_t(fake::plain))));
        CHECK(entry.choice.workspace > 0);
    }
    CHECK(convolutions == 3 * 8 - 1);  // three directions, but that to the image
    fake::settings().no_engines = true;
    CHECK_THROWS_WITH(walk_step(network, Shape{5, 16, 16, 3}, StepOptions{}), ContainsText("heuristics offer none"));
}
