// The training loop on the fake card: stopped, and gone on with by what might be another process, it takes the engines
// of its convolutions out of the checkpoint and writes the bytes of a run that was never stopped.
#include "fake/fake.hpp"
#include "support/catch.hpp"
#include "train/small.hpp"

using namespace holon;
using namespace holon::pipeline;
using namespace holon::test;

namespace {

/// TF32 allowed, so that engines give different bits; everything as before when it goes.
struct Machine {
    Machine() {
        fake::reset();
        settings().numerics.tf32 = true;
        forget_engines();
    }
    ~Machine() {
        settings() = {};
        forget_engines();
        fake::reset();
    }
    static gpu::Settings& settings() { return default_context<Gpu>().state<gpu::Settings>(); }
    static gpu::PlanCache& cache() { return default_context<Gpu>().state<gpu::PlanCache>(); }
    /// As in a new process.
    static void forget_engines() { take({}); }
    static void take(const std::string& lines) {
        const std::string now = cache().choices(), for_what = now.substr(0, now.find('\n'));
        REQUIRE(cache().remember(lines.empty() ? for_what : lines).empty());
        cache().remembered = cache().misses = 0;
    }
};

/// Every convolution on the engine that heuristics offer last, as if that had been the fastest.
std::string on_fallback(const std::string& choices) {
    std::istringstream in(choices);
    std::ostringstream out;
    std::string line;
    std::getline(in, line);
    out << line;
    while (std::getline(in, line)) out << '\n' << line.substr(0, line.find(':')) << ':' << std::int64_t(fake::fallback);
    return out.str();
}

std::string metadata_of(const std::string& path, const std::string& key) {
    const SafetensorsFile file(path);
    return file.metadata().at(key);
}

}  // namespace

TEMPLATE_TEST_CASE("a run on a card, resumed by another process, keeps its engines and writes the same bytes",
                   "[train]", float, float16) {
    using T = TestType;
    const Quiet quiet;
    Machine machine;
    const SampleSet set = samples();
    const scratch::Directory chosen_anew, straight;
    std::size_t looks = 0;
    REQUIRE(run<T, Gpu>(set, options_in(chosen_anew.path(), "legacy", 1), 0, looks) == 0);
    const std::string engines = on_fallback(machine.cache().choices());
    CHECK(std::count(engines.begin(), engines.end(), '\n') >= 2 * 5);  // two sizes of batch, five convolutions a step

    machine.take(engines);
    Options options = options_in(straight.path(), "legacy", 1);
    REQUIRE(run<T, Gpu>(set, options, 0, looks) == 0);
    REQUIRE(looks == 4 * 7 + 4);
    const std::string last = scratch::bytes_of(straight / "last.safetensors"), log = log_of(straight.path());
    CHECK(metadata_of(straight / "last.safetensors", engines_key) == engines);
    if (std::same_as<T, float>)  // the engines matter: others, other bits
        CHECK(log != log_of(chosen_anew.path()));

    for (std::size_t stop = 2; stop <= looks; stop += 5) {
        CAPTURE(stop);
        const scratch::Directory stopped;
        options.out = stopped.path();
        options.resume = false;
        machine.take(engines);
        std::size_t unused = 0;
        REQUIRE(run<T, Gpu>(set, options, stop, unused) == 130);
        machine.forget_engines();
        options.resume = true;
        REQUIRE(run<T, Gpu>(set, options, 0, unused) == 0);
        CHECK(machine.cache().remembered == machine.cache().misses);  // none was chosen
        CHECK(scratch::bytes_of(stopped / "last.safetensors") == last);
        CHECK(log_of(stopped.path()) == log);
    }
}

TEST_CASE("a run resumed under another cuDNN chooses engines anew, and says so", "[train]") {
    Machine machine;
    const SampleSet set = samples();
    const scratch::Directory folder;
    Options options = options_in(folder.path(), "legacy", 1);
    std::size_t looks = 0;
    const Quiet quiet;
    REQUIRE(run<float, Gpu>(set, options, 9, looks) == 130);
    fake::settings().cudnn_version = CUDNN_VERSION + 100;
    machine.forget_engines();
    options.resume = true;
    REQUIRE(run<float, Gpu>(set, options, 0, looks) == 0);
    CHECK_THAT(quiet.printed(), ContainsText("chosen anew") && ContainsText(gpu::cudnn_version_text()));
    CHECK(machine.cache().remembered == 0);
}
