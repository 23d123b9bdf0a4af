// The context of a card, on the fake runtime: what it refuses and in which words, its memory with limit and accounts, and
// that transfers keep the order of a stream whose work waits.
#include <holon/op/op.hpp>
#include <holon/tensor/transfer.hpp>

#include "gpu_context/machine.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

using namespace holon;
using namespace holon::test;

namespace {
/// Settings of the fake machine for one test.
}  // namespace

TEST_CASE("what cannot be used is refused in one sentence, with versions and what to do", "[gpu]") {
    Machine machine;
    (*machine).devices = 0;
    CHECK_THROWS_WITH(gpu::count_devices(), ContainsText("no GPU") && ContainsText("shows no card") &&
                                                ContainsText("CUDA_VISIBLE_DEVICES"));
    (*machine).devices = 1;
    (*machine).driver_version = 0;
    CHECK_THROWS_WITH(gpu::count_devices(), ContainsText("no NVIDIA driver") &&
                                                ContainsText(gpu::cuda_version_text(CUDART_VERSION)));
    (*machine).driver_version = 11080;
    CHECK_THROWS_WITH(gpu::count_devices(), ContainsText("driver is for CUDA 11.8") &&
                                                ContainsText(gpu::cuda_version_text(CUDART_VERSION)) &&
                                                ContainsText("update the driver"));
    (*machine).driver_version = -1;
    (*machine).compute_capability = 700;
    CHECK_THROWS_WITH(Context<Gpu>(0), ContainsText("compute capability 7.0") && ContainsText("7.5"));
    (*machine).compute_capability = 890;
    (*machine).devices = 2;
    CHECK_THROWS_WITH(Context<Gpu>(2), ContainsText("gpu:2") && ContainsText("there are 2"));
    CHECK_THROWS_WITH(gpu::choose_device(-1), ContainsText("gpu:-1"));
    (*machine).cudnn_version = 90900;
    Context<Gpu> context(1);
    CHECK(context.card().number == 1);
    CHECK_THROWS_WITH(context.state<gpu::PlanCache>(), ContainsText("cuDNN 9.9.0 runs") &&
                                                           ContainsText(text(CUDNN_MAJOR, '.', CUDNN_MINOR)) &&
                                                           ContainsText("LD_LIBRARY_PATH"));
}

TEST_CASE("a card's memory is counted, bounded, and given back", "[gpu]") {
    Machine machine;
    const auto before = fake::counts();
    {
        Context<Gpu> context(0);
        auto& memory = context.memory();
        {
            const Tensor<float, Gpu> a({1, 1, 1, 1000}, context), b({1, 1, 1, 1}, context);
            CHECK(memory.use().current == 4032 + 64);
            CHECK(memory.use().growths >= 1);
        }
        CHECK(memory.use().current == 0);
        CHECK(memory.use().peak == 4032 + 64);
        // What was released is taken again without asking the system.
        const auto growths = memory.use().growths;
        for (int i = 0; i < 10; ++i) const Tensor<float, Gpu> again({1, 1, 1, 1000}, context);
        CHECK(memory.use().growths == growths);

        memory.set_limit(std::size_t(64) << 20);
        const Tensor<float, Gpu> most({1, 1, 1, 8 << 20}, context);  // 32 MiB
        const std::string layer = "layer3.0.conv1";
        const Scope scope(layer);
        CHECK_THROWS_WITH((Tensor<float, Gpu>({1, 1, 1, 16 << 20}, context)),
                          ContainsText("out of memory of Fake GPU") && ContainsText("67108864 bytes asked for") &&
                              ContainsText("layer3.0.conv1") && ContainsText("limit 67108864"));
        CHECK_NOTHROW(Tensor<float, Gpu>({1, 1, 1, 4 << 20}, context));  // 16 MiB still fit
        memory.set_limit(no_limit);
        CHECK_THROWS_AS((Tensor<float, Gpu>({1, 1, 1, std::int64_t(1) << 30}, context)), OutOfMemory);  // 4 GiB of 2
        CHECK_NOTHROW(Tensor<float, Gpu>({1, 1, 1, 100}, context));
    }
    check_nothing_is_left_since(before);
}

TEST_CASE("bytes arrive as they were when they were sent, over more than one buffer", "[gpu]") {
    Machine machine;
    Context<Gpu> context(0);
    const std::int64_t count = 3 * std::int64_t(gpu::Staging::buffer_bytes) / 4 + 12345;
    auto host = random_tensor<float>(vector_shape(count), 1);
    const auto sent = host.clone();
    Tensor<float, Gpu> there(vector_shape(count), context);
    context.upload(there.data(), std::as_const(host).data(), std::size_t(count) * sizeof(float));
    for (float& v : host.elements()) v = -1;  // the caller's buffer is his again
    CHECK(fake::counts().waiting > 0);        // and nothing was waited for
    auto copy = there.clone();
    there = zeros<float, Gpu>(vector_shape(count), context);
    CHECK(distance(to_host(copy), sent) == 0);
    CHECK(distance(to_host(there), zeros<float>(vector_shape(count))) == 0);
    CHECK(to_host(Tensor<float, Gpu>({0, 1, 1, 1}, context)).size() == 0);
}

TEST_CASE("a batch of many buffers is taken without waiting for the card, and its pinned memory is used again", "[gpu]") {
    Machine machine;
    Context<Gpu> context(0);
    const std::int64_t count = 5 * std::int64_t(gpu::Staging::buffer_bytes) / 4 + 999;
    auto pinned = fake::counts().pinned_bytes;
    for (const std::uint64_t round : {1, 2, 3, 4}) {
        const auto host = random_tensor<float>(vector_shape(count), round);
        Tensor<float, Gpu> there(vector_shape(count), context);
        context.upload(there.data(), host.data(), std::size_t(count) * sizeof(float));
        if (round == 1) CHECK(fake::counts().pinned_bytes - pinned >= 4 * std::int64_t(gpu::Staging::buffer_bytes));
        CHECK(distance(to_host(there), host) == 0);
        if (round > 2) CHECK(fake::counts().pinned_bytes == pinned);  // all of the rounds before have arrived
        pinned = fake::counts().pinned_bytes;
    }
}

TEST_CASE("tensors on their way to the host arrive as they were when they were sent", "[gpu]") {
    Machine machine;
    Context<Gpu> context(0);
    HostCopies<Gpu, float, float> copies(context);
    for (const std::int64_t count : {7, 100000, 3}) {
        const auto a = random_tensor<float>(vector_shape(count), 1), b = random_tensor<float>(vector_shape(2), 2);
        auto x = to_device<Gpu>(a, context), y = to_device<Gpu>(b, context);
        copies.start(x, y);
        CHECK(fake::counts().waiting > 0);
        context.clear(x.data(), std::size_t(count) * sizeof(float));
        const auto& [first, second] = copies.finish();
        CHECK(distance(first, a) == 0);
        CHECK(distance(second, b) == 0);
    }
    const Tensor<float, Gpu> none;
    const auto one = to_device<Gpu>(random_tensor<float>(vector_shape(1), 3), context);
    copies.start(none, one);
    CHECK(std::get<0>(copies.finish()).size() == 0);
}

TEST_CASE("a convolution without an engine says for what, where, and what to change", "[gpu]") {
    Machine machine;
    (*machine).no_engines = true;
    Context<Gpu> context(0);
    const Conv2dOptions o{.in = 3, .out = 5, .kernel = 3, .padding = 1};
    const auto x = zeros<float, Gpu>({1, 8, 9, 3}, context), w = zeros<float, Gpu>(op::filter_shape(o), context);
    const Tensor<float, Gpu>* none = nullptr;
    CHECK_THROWS_WITH(op::conv2d(context, x, w, none, o),
                      ContainsText("no cuDNN engine") && ContainsText("forward") && ContainsText("1x8x9x3") &&
                          ContainsText("5x3x3x3") && ContainsText("float32") && ContainsText("Fake GPU") &&
                          ContainsText(gpu::cudnn_version_text()) && ContainsText("workspace"));
}

TEST_CASE("an engine that does not use tensor cores is not taken in silence", "[gpu]") {
    Machine machine;
    (*machine).tensor_core_workspace = (std::size_t(300) << 20) + 1;
    Context<Gpu> context(0);
    std::vector<std::string> said;
    context.state<gpu::PlanCache>().say = [&](const std::string& sentence) { said.push_back(sentence); };
    auto& settings = context.state<gpu::Settings>();
    const Conv2dOptions o{.in = 8, .out = 16, .kernel = 3, .padding = 1};
    const auto runs = [&]<class T>(T) { return op::conv2d_implementation<T>(context, {1, 8, 9, 8}, o, op::Direction::forward); };
    const auto on_tensor_cores = ContainsText(text("engine ", std::int64_t(fake::tensor_core), ","));
    runs(bfloat16{});
    REQUIRE(said.size() == 1);
    CHECK_THAT(said[0], ContainsText("forward") && ContainsText("bfloat16") && ContainsText("1x8x9x8") &&
                            ContainsText("does not use tensor cores") && ContainsText("301 MiB") && ContainsText("256 MiB are allowed"));
    runs(bfloat16{});  // once for each convolution
    runs(float{});     // float has nothing to lose
    CHECK(said.size() == 1);
    settings.numerics.tf32 = true;
    runs(float{});
    CHECK(said.size() == 2);
    settings.workspace_budget = std::int64_t(512) << 20;
    CHECK_THAT(runs(float16{}), on_tensor_cores);
    CHECK_THAT(runs(bfloat16{}), on_tensor_cores);
    CHECK(said.size() == 2);
}

TEST_CASE("engines that sum in less than float, or transform large tiles, are passed over", "[gpu]") {
    Machine machine;
    Context<Gpu> context(0);
    const auto runs = [&](int out) {  // each number of filters a convolution of its own
        return op::conv2d_implementation<float16>(context, {1, 8, 8, 8}, {.in = 8, .out = out, .kernel = 3, .padding = 1},
                                                  op::Direction::forward);
    };
    const auto on_tensor_cores = ContainsText(text("engine ", std::int64_t(fake::tensor_core), ","));
    CHECK_THAT(runs(8), on_tensor_cores);
    int out = 16;
    for (const auto note : {CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION, CUDNN_NUMERICAL_NOTE_FFT,
                            CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13}) {
        (*machine).tensor_core_notes = {note};
        CHECK_THAT(runs(out += 8), !on_tensor_cores);
    }
    (*machine).tensor_core_notes = {CUDNN_NUMERICAL_NOTE_WINOGRAD, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4};
    CHECK_THAT(runs(out += 8), on_tensor_cores);
}

TEST_CASE("engines are passed over by workspace, TF32 and determinism, as the settings say", "[gpu]") {
    Machine machine;
    Context<Gpu> context(0);
    const Conv2dOptions o{.in = 8, .out = 16, .kernel = 3, .padding = 1};
    const Shape image{1, 8, 8, 8};
    auto& settings = context.state<gpu::Settings>();
    const auto runs = [&](op::Direction direction) {
        return op::conv2d_implementation<float>(context, image, o, direction);
    };
    const auto number = [](fake::Engine engine) { return ContainsText(text("engine ", std::int64_t(engine), ",")); };
    CHECK_THAT(runs(op::Direction::forward), number(fake::plain));
    CHECK_THAT(runs(op::Direction::to_input), number(fake::plain));
    settings.numerics.tf32 = true;
    CHECK_THAT(runs(op::Direction::forward), number(fake::tensor_core));
    settings.numerics = {.tf32 = false, .deterministic = false};
    CHECK_THAT(runs(op::Direction::to_input), number(fake::nondeterministic));
    settings.numerics.deterministic = true;
    settings.workspace_budget = std::int64_t(2) << 30;
    CHECK_THAT(runs(op::Direction::forward), number(fake::large));
    settings.workspace_budget = 0;
    CHECK_THAT(runs(op::Direction::forward), number(fake::fallback));
    settings.workspace_budget = std::int64_t(256) << 20;
    settings.timed_engines = 8;
    const auto before = fake::counts().plans_executed;
    runs(op::Direction::forward);
    CHECK(fake::counts().plans_executed > before + 4);  // several engines ran before one was kept
}

TEST_CASE("plans are kept by what they compute, and those of ever new sizes do not pile up", "[gpu]") {
    Machine machine;
    Context<Gpu> context(0);
    auto& cache = context.state<gpu::PlanCache>();
    const Conv2dOptions o{.in = 1, .out = 1, .kernel = 1};
    const auto w = full<float, Gpu>(op::filter_shape(o), 1.0f, context);
    const Tensor<float, Gpu>* none = nullptr;
    const int sizes = int(gpu::PlanCache::capacity) + 20;
    for (int h = 1; h <= sizes; ++h) op::conv2d(context, zeros<float, Gpu>({1, h, 1, 1}, context), w, none, o);
    CHECK(cache.size() == gpu::PlanCache::capacity);
    CHECK(cache.misses == std::uint64_t(sizes));
    CHECK(cache.evictions == 20);
    op::conv2d(context, zeros<float, Gpu>({1, sizes, 1, 1}, context), w, none, o);
    CHECK(cache.hits == 1);
    op::conv2d(context, zeros<float, Gpu>({1, 1, 1, 1}, context), w, none, o);  // the oldest went
    CHECK(cache.misses == std::uint64_t(sizes) + 1);
}

TEST_CASE("a training loop asks the system for nothing after its first step, and sends the parameters' table once", "[gpu]") {
    Machine machine;
    auto& context = default_context<Gpu>();
    Tensor<float, Gpu> w = full<float, Gpu>(vector_shape(5000), 1.0f), m = zeros<float, Gpu>(vector_shape(5000)),
                       v = zeros<float, Gpu>(vector_shape(5000));
    const auto g = full<float, Gpu>(vector_shape(5000), 0.5f);
    std::uint64_t growths = 0;
    std::int64_t copies = 0;
    for (int step = 1; step <= 4; ++step) {
        const op::AdamOperand<float, Gpu> operand{&g, &w, &m, &v, 1e-3};
        op::adam(context, std::span<const op::AdamOperand<float, Gpu>>(&operand, 1), {.step = step});
        if (step == 2) growths = context.memory().use().growths, copies = fake::counts().copies;
    }
    CHECK(context.memory().use().growths == growths);
    CHECK(fake::counts().copies == copies + 2);  // a step's own numbers
}
