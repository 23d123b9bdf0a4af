// On a card the loop reads what a step gave after it has asked for the next one: with the same log and the same bytes as where
// each is waited for, and with a layer named where a loss is not finite.
#include "fake/fake.hpp"
#include "support/catch.hpp"
#include "train/small.hpp"

using namespace holon;
using namespace holon::pipeline;
using namespace holon::test;

TEMPLATE_TEST_CASE("a step that is read late is the step that is waited for", "[train]", float, bfloat16) {
    using T = TestType;
    const Quiet quiet;
    fake::reset();
    const SampleSet set = samples();
    const auto train = [&](const std::string& folder, bool profile, int accumulate) {
        Interrupt::install();
        Options options = options_in(folder, "legacy", 1);
        options.profile = profile;  // steps are timed one by one
        options.accumulate = accumulate;
        Task task = task_for(set);
        task.planned_step = [](const Stage&, const Shape&) {};
        Small<T, Gpu> net(3);
        FrozenFront<Small<T, Gpu>> front(task.form);
        REQUIRE(run_training<Small<T, Gpu>>(net, task, front, options, [](auto&) { return Verdict{0.5, "0.5", ""}; }) == 0);
        return log_of(folder);
    };
    for (const int accumulate : {1, 2}) {
        const scratch::Directory a, b;
        CHECK(train(a.path(), false, accumulate) == train(b.path(), true, accumulate));
        CHECK(scratch::bytes_of(a / "last.safetensors") == scratch::bytes_of(b / "last.safetensors"));
    }
}

TEST_CASE("a loss that is not finite on a card names the layer and keeps the last epoch's checkpoint", "[train]") {
    const Quiet quiet;
    fake::reset();
    const SampleSet set = samples();
    const scratch::Directory good;
    train_wildly<Gpu>(set, good.path(), 0);
    for (const double rate : {1e37, 1e39}) {
        const scratch::Directory folder;
        const std::string sentence = scratch::refusal<NumericError>([&] { train_wildly<Gpu>(set, folder.path(), rate); });
        CAPTURE(rate, sentence);
        CHECK_THAT(sentence, ContainsText("conv1") && ContainsText("finite"));
        CHECK(scratch::bytes_of(folder / "last.safetensors") == scratch::bytes_of(good / "last.safetensors"));
    }
}
