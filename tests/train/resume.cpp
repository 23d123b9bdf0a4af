// The training loop: stopped anywhere and gone on with, it writes the bytes of a run that was never stopped; a loss
// that is not finite names the layer and leaves the last epoch's file alone.
#include "pipeline/models.hpp"
#include "support/catch.hpp"
#include "train/small.hpp"

using namespace holon;
using namespace holon::pipeline;
using namespace holon::test;

namespace {

template <class T> void stops_anywhere(const std::string& bn_mode, int accumulate, std::size_t step) {
    const Quiet quiet;
    const SampleSet set = samples();
    const scratch::Directory straight;
    Options options = options_in(straight.path(), bn_mode, accumulate);
    std::size_t looks = 0;
    REQUIRE(run<T, Cpu>(set, options, 0, looks) == 0);
    REQUIRE(looks == 4 * 7 + 4);
    const std::string last = scratch::bytes_of(straight / "last.safetensors"),
                      best = scratch::bytes_of(straight / "best.safetensors"), log = log_of(straight.path());
    for (std::size_t stop = 1; stop <= looks; stop += step) {
        CAPTURE(bn_mode, accumulate, stop);
        const scratch::Directory stopped;
        options.out = stopped.path();
        options.resume = false;
        std::size_t unused = 0;
        REQUIRE(run<T, Cpu>(set, options, stop, unused) == 130);
        options.resume = true;
        REQUIRE(run<T, Cpu>(set, options, 0, unused) == 0);
        CHECK(scratch::bytes_of(stopped / "last.safetensors") == last);
        CHECK(scratch::bytes_of(stopped / "best.safetensors") == best);
        CHECK(log_of(stopped.path()) == log);
    }
}

}  // namespace

TEST_CASE("a run stopped anywhere and resumed writes the same bytes: weights, moments, generators, order, log",
          "[train]") {
    stops_anywhere<float>("legacy", 1, 1);
    stops_anywhere<float>("frozen", 3, 3);
}

TEST_CASE("a run in bfloat16 stopped and resumed writes the same bytes", "[train]") {
    stops_anywhere<bfloat16>("legacy", 2, 5);
}

TEST_CASE("a run stopped twice, with other worker counts, writes the same bytes", "[train]") {
    const Quiet quiet;
    const SampleSet set = samples();
    const scratch::Directory straight, stopped;
    std::size_t looks = 0;
    REQUIRE(run<float, Cpu>(set, options_in(straight.path(), "legacy", 1), 0, looks) == 0);
    Options options = options_in(stopped.path(), "legacy", 1);
    options.workers = 3;
    REQUIRE(run<float, Cpu>(set, options, 9, looks) == 130);
    options.resume = true;
    options.workers = 2;
    REQUIRE(run<float, Cpu>(set, options, 13, looks) == 130);
    options.workers = 1;
    REQUIRE(run<float, Cpu>(set, options, 0, looks) == 0);
    CHECK(scratch::bytes_of(stopped / "last.safetensors") == scratch::bytes_of(straight / "last.safetensors"));
}

TEST_CASE("a loss that is not finite names the layer and keeps the last epoch's checkpoint", "[train]") {
    const Quiet quiet;
    const SampleSet set = samples();
    const scratch::Directory good;
    train_wildly<Cpu>(set, good.path(), 0);
    for (const auto& [wild, words] :
         {std::pair{1e37, "conv2d"}, {1e39, "the parameter conv1.weight is no longer finite"}}) {
        const double rate = wild;  // clang 14 captures no structured bindings
        const scratch::Directory folder;
        const std::string sentence = scratch::refusal<NumericError>([&] { train_wildly<Cpu>(set, folder.path(), rate); });
        CAPTURE(rate, sentence);
        CHECK_THAT(sentence, ContainsText(words));
        CHECK_THAT(sentence, ContainsText("conv1") && ContainsText("finite"));
        CHECK(scratch::bytes_of(folder / "last.safetensors") == scratch::bytes_of(good / "last.safetensors"));
        CHECK(scratch::bytes_of(folder / "best.safetensors") == scratch::bytes_of(good / "best.safetensors"));
    }
}

TEST_CASE("each stage trains with its own rate and decay, and the log tells them", "[train]") {
    const Quiet quiet;
    const SampleSet set = samples();
    const scratch::Directory folder;
    std::size_t looks = 0;
    REQUIRE(run<float, Cpu>(set, options_in(folder.path(), "legacy", 1), 0, looks) == 0);
    std::istringstream in(log_of(folder.path()));
    std::vector<std::string> rows;
    for (std::string line; std::getline(in, line);) rows.push_back(line);
    REQUIRE(rows.size() == 5);
    CHECK(rows[0] == "epoch,stage,rate,l2,loss,penalty,accuracy,score");
    CHECK(rows[1].starts_with("1,head,0.001,0.001,"));
    CHECK(rows[2].starts_with("2,top,0.001,0.001,"));
    CHECK(rows[3].starts_with("3,top,0.001,0.001,"));
    CHECK(rows[4].starts_with("4,all,0.0001,0.01,"));
}

TEST_CASE("--epochs, --rates and --l2 replace the paper's numbers; keeping the first l2 is what its program did",
          "[train]") {
    Options options;
    const auto stages = [&](bool scratch = false) { return stages_of(options, whole_image_stages(), scratch); };
    CHECK(stages()[0].l2 == 1e-3);
    CHECK(stages()[1].l2 == 1e-2);
    options.l2 = "0.001,0.001";
    CHECK(stages()[1].l2 == 1e-3);
    options.epochs = "5,0";
    options.rates = "1e-2,1e-3";
    CHECK(stages()[0].epochs == 5);
    CHECK(stages()[1].epochs == 0);
    CHECK(stages()[1].rate == 1e-3);
    options = {};
    CHECK(stages(true).size() == 1);
    CHECK(stages(true)[0].epochs == 50);
    CHECK(stages(true)[0].learns.empty());
    for (const auto& [epochs, words] : {std::pair{"1.5,1", "not a whole number"},
                                        {"1e12,1", "not a whole number"},
                                        {"0,0", "no epoch"},
                                        {"1", "1 given for 2 stages"},
                                        {"1,x", "not a number"},
                                        {"1,inf", "not a number"},
                                        {"1,-1", "not a number"}}) {
        options.epochs = epochs;
        CHECK_THAT(scratch::refusal([&] { stages(); }), ContainsText("--epochs") && ContainsText(words));
    }
}
