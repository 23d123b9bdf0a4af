// Steps recorded as CUDA graphs, on the fake runtime: what a launch repeats, whose memory it works in, what cannot be
// recorded, and that nothing is left behind.
#include <holon/op/op.hpp>
#include <holon/tensor/transfer.hpp>

#include "gpu_context/machine.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

using namespace holon;
using namespace holon::test;

namespace {

/// total += input + number, by way of memory that the step takes for itself.
struct Summing {
    explicit Summing(Context<Gpu>& on)
        : context(on),
          input(zeros<float, Gpu>(vector_shape(1000), on)),
          total(zeros<float, Gpu>(vector_shape(1000), on)) {}
    void operator()() {
        const auto number = provided<float, Gpu>(
            vector_shape(1000), [this](std::span<float> to) { std::fill(to.begin(), to.end(), ++asked); }, context);
        const auto sum = op::add(context, input, number);
        op::accumulate(context, sum, total);
    }
    void set(float value) { copy_from_host(input, full<float>(input.shape(), value)); }
    float now() const { return to_host(total).data()[999]; }

    Context<Gpu>& context;
    Tensor<float, Gpu> input, total;
    float asked = 0;
};

}  // namespace

TEST_CASE("a recorded step does what the step does, with numbers asked for at each launch", "[gpu]") {
    Machine machine;
    Context<Gpu> context(0);
    Summing step(context);
    step.set(10);
    const auto need = context.rehearse([&] { step(); });
    CHECK(step.now() == 11);
    CHECK(need.provided >= 4000);
    CHECK(need.memory == 4096);  // the sum: numbers that are asked for come extra
    const auto before = context.memory().use();
    {
        const auto recording = context.record(need, [&] { step(); });
        CHECK(step.now() == 11);  // nothing of it ran
        CHECK(step.asked == 1);
        CHECK(context.memory().use().current >= before.current + recording->bytes());
        recording->launch();
        CHECK(step.now() == 23);
        step.set(100);
        recording->launch();
        recording->launch();  // nothing has to be waited for in between
        CHECK(step.now() == 23 + 103 + 104);

        // Neither the system nor the pool is asked for anything, and what others take lies elsewhere.
        const auto calls = fake::counts().allocation_calls;
        const auto growths = context.memory().use().growths;
        for (int i = 0; i < 3; ++i) recording->launch();
        CHECK(fake::counts().allocation_calls == calls);
        CHECK(context.memory().use().growths == growths);
        const auto other = full<float, Gpu>(vector_shape(1 << 20), 7.f, context);
        recording->launch();
        CHECK(distance(to_host(other), full<float>(other.shape(), 7.f)) == 0);
        CHECK(fake::counts().graph_launches == 7);
    }
    CHECK(context.memory().use().current == before.current);
    CHECK(fake::counts().graphs == 0);
}

TEST_CASE("a result of a recorded step outlives the recording", "[gpu]") {
    Machine machine;
    Context<Gpu> context(0);
    const auto ones = full<float, Gpu>(vector_shape(100), 1.f, context);
    const std::size_t before = context.memory().use().current;
    Tensor<float, Gpu> result;
    const auto step = [&] { result = op::add(context, ones, ones); };
    const auto need = context.rehearse(step);
    auto recording = context.record(need, step);
    recording->launch();
    recording.reset();
    const auto other = full<float, Gpu>(vector_shape(100), 5.f, context);
    CHECK(to_host(result).data()[99] == 2);
    result = {};
    CHECK(context.memory().use().current == before + 448);  // `other`
}

TEST_CASE("what a launch would not repeat is refused while recording, and the stream can be used on", "[gpu]") {
    Machine machine;
    Context<Gpu> context(0);
    Summing step(context);
    const auto need = context.rehearse([&] { step(); });
    const float before = step.now();
    const std::size_t in_use = context.memory().use().current;
    const auto refused = [&](const char* words, auto&& culprit) {
        CHECK_THROWS_WITH(context.record(need,
                                         [&] {
                                             step();
                                             culprit();
                                         }),
                          ContainsText(words));
        CHECK(context.recording() == nullptr);
        CHECK(context.memory().use().current == in_use);
        CHECK(fake::counts().graphs == 0);
        CHECK(step.now() == before);
        cudaStreamCaptureStatus status;
        REQUIRE(cudaStreamIsCapturing(context.stream(), &status) == cudaSuccess);
        CHECK(status == cudaStreamCaptureStatusNone);
    };
    refused("sent to the card", [&] { step.set(1); });
    refused("asked for", [&] { to_host(step.total); });
    refused("waited for", [&] { context.wait(); });
    refused("another is recorded", [&] { context.record(need, [] {}); });
    refused("not the one that was rehearsed", [&] { Tensor<float, Gpu>(vector_shape(1 << 20), context); });
    refused("than its rehearsal did", [&] {
        for (int i = 0; i < 2; ++i)
            provided<float, Gpu>(
                vector_shape(1000), [](std::span<float>) {}, context);
    });
    refused("recording a step", [&] { cudaStreamSynchronize(context.stream()); });  // behind the context's back
    refused("a mistake of the caller's", [&] { throw DataError("a mistake of the caller's"); });
    // A convolution that was never planned.
    context.state<gpu::PlanCache>();
    const Conv2dOptions o{.in = 1, .out = 1, .kernel = 1};
    const auto x = zeros<float, Gpu>({1, 4, 4, 1}, context), w = zeros<float, Gpu>(op::filter_shape(o), context);
    const std::size_t with_more = context.memory().use().current;
    CHECK_THROWS_WITH(
        context.record(need, [&] { op::conv2d(context, x, w, static_cast<const Tensor<float, Gpu>*>(nullptr), o); }),
        ContainsText("a convolution is planned"));
    CHECK(context.memory().use().current == with_more);

    const auto recording = context.record(need, [&] { step(); });
    recording->launch();
    CHECK(step.now() > before);
}

TEST_CASE("memory that is released while recording is not freed by the recording", "[gpu]") {
    Machine machine;
    Context<Gpu> context(0);
    auto old = std::make_unique<Tensor<float, Gpu>>(full<float, Gpu>(vector_shape(64), 3.f, context));
    Tensor<float, Gpu> copy(vector_shape(64), context);
    const auto step = [&] { context.copy(copy.data(), std::as_const(*old).data(), 256); };
    const auto need = context.rehearse(step);
    const std::size_t before = context.memory().use().current;
    auto recording = context.record(need, [&] {
        step();
        old.reset();
    });
    CHECK(context.memory().use().current == before - 256 + recording->bytes());
    recording.reset();
    CHECK(context.memory().use().current == before - 256);
}

TEST_CASE("a recording keeps within the limit, and what can be spared is spared before memory is refused", "[gpu]") {
    Machine machine;
    Context<Gpu> context(0);
    auto& memory = context.memory();
    const auto step = [&] {
        const auto a = zeros<float, Gpu>(vector_shape(4 << 20), context);  // 16 MiB
        const auto b = op::relu(context, a);
    };
    memory.set_limit(std::size_t(48) << 20);
    const auto need = context.rehearse(step);
    CHECK(need.memory == std::size_t(32) << 20);
    std::unique_ptr<gpu::Recording> recording = context.record(need, step);
    CHECK(memory.use().current >= need.memory);
    const int number = memory.ask_on_shortage([&] {
        const bool had = bool(recording);
        recording.reset();
        return had;
    });
    {
        const Tensor<float, Gpu> small(vector_shape(1 << 20), context);  // 4 MiB fit beside it
        CHECK(recording != nullptr);
        const Tensor<float, Gpu> large(vector_shape(8 << 20), context);  // 32 MiB do not
        CHECK(recording == nullptr);
        CHECK_THROWS_AS(context.record(need, step), OutOfMemory);
        CHECK_THROWS_AS((Tensor<float, Gpu>(vector_shape(8 << 20), context)), OutOfMemory);
    }
    memory.forget(number);
    CHECK(memory.use().current == 0);
    CHECK(memory.use().peak_reserved <= std::size_t(48) << 20);
}
