// On a card the loop reads what a step gave after it has asked for the next one: with the same log and the same bytes as where
// each is waited for, and with a layer named where a loss is not finite. The next batch is uploaded meanwhile, on a stream of
// its own.
#include "fake/fake.hpp"
#include "support/catch.hpp"
#include "train/small.hpp"

using namespace holon;
using namespace holon::pipeline;
using namespace holon::test;

TEMPLATE_TEST_CASE("a step that is read late is the step that is waited for", "[train]", float, bfloat16, float16) {
    using T = TestType;
    const Quiet quiet;
    fake::reset();
    const SampleSet set = samples();
    const auto train = [&](const std::string& folder, bool profile, int accumulate, bool eager) {
        Interrupt::install();
        fake::reset();
        const cudaStream_t uploads = default_context<Gpu>().upload_stream();
        if (eager) fake::make_eager(uploads);  // batches are uploaded as early as they may be; else as late
        const auto used = std::make_shared<bool>(false);
        fake::enqueue(uploads, [used] { *used = true; });
        Options options = options_in(folder, "legacy", 1);
        options.profile = profile;  // steps are timed one by one
        options.accumulate = accumulate;
        Task task = task_for(set);
        task.planned_step = [](const Stage&, const Shape&) {};
        Small<T, Gpu> net(3);
        FrozenFront<Small<T, Gpu>> front(task.form);
        REQUIRE(run_training<Small<T, Gpu>>(net, task, front, options, [](auto&) { return Verdict{0.5, "0.5", ""}; }) == 0);
        CHECK(*used);  // the steps waited for that stream
        return log_of(folder);
    };
    for (const int accumulate : {1, 2}) {
        const scratch::Directory a, b, c;
        const std::string log = train(a.path(), false, accumulate, false);
        CHECK(log == train(b.path(), true, accumulate, false));
        CHECK(log == train(c.path(), false, accumulate, true));
        CHECK(scratch::bytes_of(a / "last.safetensors") == scratch::bytes_of(b / "last.safetensors"));
        CHECK(scratch::bytes_of(a / "last.safetensors") == scratch::bytes_of(c / "last.safetensors"));
    }
    fake::reset();
}

namespace {
/// Looks, when a step is asked for, at what the card has still to do once the step's images are there, and, when the card
/// comes to the step, at how many copies were asked for since.
template <class T> struct Watched : Small<T, Gpu> {
    using Small<T, Gpu>::Small;
    Variable<float, Gpu> operator()(const Variable<T, Gpu>& x, Mode mode) {
        auto& context = default_context<Gpu>();
        REQUIRE(cudaStreamSynchronize(context.upload_stream()) == cudaSuccess);
        waiting.push_back(fake::counts().waiting);
        fake::enqueue(context.stream(), [this, before = fake::counts().copies] {
            copies.push_back(fake::counts().copies - before);
        });
        return Small<T, Gpu>::operator()(x, mode);
    }
    std::vector<std::int64_t> waiting, copies;
};

/// An epoch of four steps, one call after the other.
template <class T> void watch(Watched<T>& net) {
    fake::reset();
    const Quiet quiet;
    const SampleSet set = samples();
    const scratch::Directory folder;
    Interrupt::install();
    Options options = options_in(folder.path(), "legacy", 1);
    options.graph = false;  // so that each step calls the network
    Task task = task_for(set);
    task.stages = {{"all", {}, "", 1e-3, 0, 1}};
    FrozenFront<Watched<T>> front(task.form);
    REQUIRE(run_training<Watched<T>>(net, task, front, options, [](auto&) { return Verdict{0.5, "0.5", ""}; }) == 0);
    REQUIRE(net.waiting.size() == 4);
    REQUIRE(net.copies.size() == 4);
}
}  // namespace

TEST_CASE("a batch is uploaded on a stream of its own, while the step before is still under way", "[train]") {
    Watched<float> net(3);
    watch(net);
    for (std::size_t step = 1; step < 4; ++step) CHECK(net.waiting[step] > net.waiting[0] + 30);
}

TEST_CASE("where each step is waited for, because of loss scaling, the next batch is on its way before", "[train]") {
    Watched<float16> net(3);
    watch(net);
    for (std::size_t step = 0; step < 3; ++step) CHECK(net.copies[step] >= net.copies[3] + 2);  // after the last comes none
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
