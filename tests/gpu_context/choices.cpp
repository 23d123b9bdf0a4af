// Engines of convolutions that a checkpoint keeps, on the fake cuDNN: taken again without choosing or timing, and left
// alone where card or cuDNN are others.
#include <holon/checkpoint/engines.hpp>
#include <holon/tensor/transfer.hpp>

#include <cstdio>
#include <filesystem>

#include "gpu_context/machine.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

using namespace holon;
using namespace holon::test;

namespace {

const Conv2dOptions options{.in = 3, .out = 5, .kernel = {3, 2}, .stride = 2, .padding = {1, 0, 2, 1}};
const Shape image{2, 9, 8, 3};

/// All three directions of a convolution, one of them adding.
std::vector<std::string> run(Context<Gpu>& context) {
    const auto host = random_tensor<float>(image, 1), filter = random_tensor<float>(op::filter_shape(options), 2);
    const auto x = to_device<Gpu>(host, context), w = to_device<Gpu>(filter, context);
    const auto y = op::conv2d(context, x, w, static_cast<const Tensor<float, Gpu>*>(nullptr), options);
    auto dx = zeros<float, Gpu>(image, context);
    auto dw = zeros<float, Gpu>(w.shape(), context);
    op::conv2d_backward_input(context, y, w, options, dx, Gradient::add);
    op::conv2d_backward_filter(context, x, y, options, dw, Gradient::assign);
    std::vector<std::string> engines;
    for (const auto direction : {op::Direction::forward, op::Direction::to_filter})
        engines.push_back(op::conv2d_implementation<float>(context, image, options, direction));
    return engines;
}

std::string chosen_elsewhere() {
    Context<Gpu> context(0);
    run(context);
    return context.state<gpu::PlanCache>().choices();
}

}  // namespace

TEST_CASE("engines that were stored are taken again, and nothing is chosen or timed", "[gpu]") {
    Machine machine;
    std::string stored;
    {
        Context<Gpu> context(0);
        context.state<gpu::Settings>().timed_engines = 8;
        run(context);
        stored = context.state<gpu::PlanCache>().choices();
        CHECK(context.state<gpu::PlanCache>().remembered == 0);
    }
    CHECK(std::count(stored.begin(), stored.end(), '\n') == 3);
    CHECK(stored.size() < 500);
    Context<Gpu> context(0);
    context.state<gpu::Settings>().timed_engines = 8;
    auto& cache = context.state<gpu::PlanCache>();
    CHECK(cache.remember(stored).empty());
    CHECK(cache.choices() == stored);  // also before any was asked for
    const auto before = fake::counts();
    for (const std::string& engine : run(context)) CHECK_THAT(engine, ContainsText("as before"));
    CHECK(cache.remembered == 3);
    CHECK(fake::counts().plans_built == before.plans_built + 3);
    CHECK(fake::counts().plans_executed == before.plans_executed + 3);
    CHECK(cache.choices() == stored);
}

TEST_CASE("an engine is taken with the knobs it had, not with those the heuristics would choose", "[gpu]") {
    Machine machine;
    std::string stored = chosen_elsewhere();
    const std::string usual = text(':', std::int64_t(fake::plain), ' ', int(CUDNN_KNOB_TYPE_TILE_SIZE), "=3 "),
                      other = text(':', std::int64_t(fake::plain), ' ', int(CUDNN_KNOB_TYPE_TILE_SIZE), "=2 ");
    for (auto at = stored.find(usual); at != stored.npos; at = stored.find(usual))
        stored.replace(at, usual.size(), other);
    REQUIRE(stored.find(other) != stored.npos);
    Context<Gpu> context(0);
    auto& cache = context.state<gpu::PlanCache>();
    REQUIRE(cache.remember(stored).empty());
    run(context);
    CHECK(cache.choices() == stored);
}

TEST_CASE("engines of another card or cuDNN are left alone, and that is said", "[gpu]") {
    Machine machine;
    const std::string stored = chosen_elsewhere();
    std::string differs;
    SECTION("card") { differs = (*machine).name = "Another GPU"; }
    SECTION("multiprocessors") {
        (*machine).multiprocessors = 48;
        differs = "48 multiprocessors";
    }
    SECTION("capability") {
        (*machine).compute_capability = 900;
        differs = "capability 9.0";
    }
    SECTION("cuDNN") {
        (*machine).cudnn_version = CUDNN_VERSION + 100;
        differs = gpu::cudnn_version_text();
    }
    Context<Gpu> context(0);
    auto& cache = context.state<gpu::PlanCache>();
    CHECK_THAT(cache.remember(stored),
               ContainsText("chosen anew") && ContainsText(differs) && ContainsText("Fake GPU"));
    run(context);
    CHECK(cache.remembered == 0);
}

TEST_CASE("an engine that cannot be had any more is chosen anew, aloud; other numerics ask for others", "[gpu]") {
    Machine machine;
    const std::string stored = chosen_elsewhere();
    Context<Gpu> context(0);
    auto& cache = context.state<gpu::PlanCache>();
    std::vector<std::string> said;
    cache.say = [&](const std::string& sentence) { said.push_back(sentence); };
    REQUIRE(cache.remember(stored).empty());
    auto& settings = context.state<gpu::Settings>();
    SECTION("workspace") {
        settings.workspace_budget = 0;
        for (const std::string& engine : run(context)) CHECK_THAT(engine, ContainsText("fallback"));
        REQUIRE(said.size() == 3);
        CHECK_THAT(said[0], ContainsText("chosen anew") && ContainsText("0 are allowed"));
    }
    SECTION("numerics") {
        settings.numerics.tf32 = true;
        run(context);
        CHECK(said.empty());
        CHECK(cache.remembered == 0);
        settings.numerics.tf32 = false;
        run(context);
        CHECK(cache.remembered == 3);
    }
}

TEST_CASE("text that is no list of engines is refused with its line", "[gpu]") {
    Machine machine;
    const std::string stored = chosen_elsewhere();
    Context<Gpu> context(0);
    auto& cache = context.state<gpu::PlanCache>();
    const std::size_t first = stored.find('\n') + 1, second = stored.find('\n', first) + 1;
    for (const std::string& bad :
         {stored + "\n", stored.substr(0, stored.size() - 1), stored + " 5", stored + "\n1 2 3",
          stored.substr(0, second) + "x" + stored.substr(second), stored + "\n" + std::string(3000, '9'),
          stored.substr(0, first) + "99999999999 " + stored.substr(first)}) {
        CAPTURE(bad);
        if (bad == stored + "\n") {
            CHECK(cache.remember(bad).empty());
            continue;
        }
        CHECK_THROWS_WITH(cache.remember(bad), ContainsText("line ") && ContainsText("is not one"));
    }
    run(context);
    CHECK(cache.choices() == stored);
}

TEST_CASE("a checkpoint carries the engines", "[gpu]") {
    Machine machine;
    const std::string path = (std::filesystem::temp_directory_path() / text("holon-engines-", getpid())).string();
    std::string stored;
    {
        Context<Gpu> context(0);
        run(context);
        Metadata metadata;
        add_engines(metadata, context);
        stored = metadata.at(engines_key);
        SafetensorsWriter file;
        for (const auto& [key, value] : metadata) file.metadata(key, value);
        file.write(path);
    }
    {
        const SafetensorsFile file(path);
        Context<Gpu> context(0);
        std::string said;
        const auto say = [&](const std::string& sentence) { said += sentence; };
        load_engines(file, context, say);
        run(context);
        CHECK(context.state<gpu::PlanCache>().remembered == 3);
        (*machine).name = "Another GPU";
        Context<Gpu> other(0);
        CHECK(said.empty());
        load_engines(file, default_context<Cpu>(), say);
        CHECK(said.empty());
        load_engines(file, other, say);
        CHECK_THAT(said, ContainsText(path) && ContainsText("Another GPU"));
    }
    SafetensorsWriter file;
    file.metadata(engines_key, stored + "\nnonsense");
    file.write(path);
    (*machine).name = "Fake GPU";
    Context<Gpu> context(0);
    CHECK_THROWS_WITH(load_engines(SafetensorsFile(path), context, [](const std::string&) {}),
                      ContainsText(path) && ContainsText("nonsense"));
    std::filesystem::remove(path);
}
