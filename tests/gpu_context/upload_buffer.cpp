// Uploads that do not wait for kernels, on the fake runtime: on a second stream, in the order of the calls whichever of
// the two streams is ahead, by way of memory that the pool gets back when nothing is on its way there.
#include <holon/op/op.hpp>
#include <holon/tensor/transfer.hpp>

#include "gpu_context/machine.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

using namespace holon;
using namespace holon::test;

namespace {

constexpr auto several_buffers = std::int64_t(gpu::Staging::buffer_bytes) * 5 / 8;  // floats that fill two and a half

/// Kernels of the context's stream that have run.
struct Steps {
    explicit Steps(Context<Gpu>& on) : context(on) {}
    void step() {
        fake::enqueue(context.stream(), [this] { ++done; });
    }
    Context<Gpu>& context;
    int done = 0;
};

}  // namespace

TEST_CASE("an upload on the second stream does not wait for the step under way", "[gpu]") {
    Machine machine;
    Context<Gpu> context(0);
    const auto streams = fake::counts().streams;
    Tensor<float, Gpu> x(vector_shape(1000), context);
    DeviceCopies<Gpu> copies(context);
    CHECK(fake::counts().streams == streams);  // it is made on first use
    auto first = random_tensor<float>(x.shape(), 1), second = random_tensor<float>(x.shape(), 2);
    const auto sent = first.clone();
    Steps steps(context);
    steps.step();
    copies.copy(x, first);
    CHECK(fake::counts().streams == streams + 1);
    REQUIRE(context.upload_stream() != context.stream());
    CHECK(steps.done == 0);
    for (float& v : first.elements()) v = -1;  // the caller's buffer is his again
    const auto as_first = x.clone();
    steps.step();
    const auto copied = fake::counts().copies;
    copies.copy(x, second);
    CHECK(fake::counts().copies == copied + 2);  // to the card, and within it
    CHECK(steps.done == 0);
    REQUIRE(cudaStreamSynchronize(context.upload_stream()) == cudaSuccess);
    CHECK(steps.done == 1);  // the memory of the first upload came behind the first step, that of the second was there
    CHECK(distance(to_host(as_first), sent) == 0);
    CHECK(distance(to_host(x), second) == 0);
    CHECK(steps.done == 2);
}

TEST_CASE("uploads on the second stream keep the order of the calls, whichever stream is ahead", "[gpu]") {
    Machine machine;
    Context<Gpu> context(0);
    const bool eager = GENERATE(false, true);
    CAPTURE(eager);
    if (eager) fake::make_eager(context.upload_stream());
    {
        Tensor<float, Gpu> x(vector_shape(several_buffers), context);
        DeviceCopies<Gpu> copies(context);
        std::vector<Tensor<float, Gpu>> taken;
        std::vector<Tensor<float, Cpu>> sent;
        for (const std::uint64_t step : {1, 2, 3, 4, 5}) {
            sent.push_back(random_tensor<float>(x.shape(), step));
            copies.copy(x, sent.back());
            taken.push_back(op::add(context, x, x));  // a step that reads its input
        }
        for (std::size_t step = 0; step < sent.size(); ++step) {
            CAPTURE(step);
            CHECK(distance(to_host(taken[step]), op::add(default_context<Cpu>(), sent[step], sent[step])) == 0);
        }
    }
    SECTION("sizes that change, in memory that was something else's a moment ago") {
        DeviceCopies<Gpu> copies(context);
        std::vector<Tensor<float, Gpu>> taken;
        std::vector<Tensor<float, Cpu>> sent;
        for (const std::int64_t count : {3, 100000, 7, 200000, 1, 200000}) {
            const auto before = zeros<float, Gpu>(vector_shape(count), context);
            const auto used = op::add(context, before, before);
            sent.push_back(random_tensor<float>(vector_shape(count), std::uint64_t(count)));
            taken.emplace_back(vector_shape(count), context);
            copies.copy(taken.back(), sent.back());
        }
        for (std::size_t k = 0; k < sent.size(); ++k) CHECK(distance(to_host(taken[k]), sent[k]) == 0);
        Tensor<float, Gpu> none({0, 1, 1, 1}, context);
        copies.copy(none, Tensor<float, Cpu>({0, 1, 1, 1}));
    }
}

TEST_CASE("uploads on the second stream take memory once, and give everything back with work under way", "[gpu]") {
    Machine machine;
    const bool eager = GENERATE(false, true);
    CAPTURE(eager);
    const auto before = fake::counts();
    {
        Context<Gpu> context(0);
        if (eager) fake::make_eager(context.upload_stream());
        Tensor<float, Gpu> x(vector_shape(several_buffers), context);
        const auto host = random_tensor<float>(x.shape(), 1);
        const std::size_t in_use = context.memory().use().current;
        {
            DeviceCopies<Gpu> copies(context);
            std::int64_t calls = 0;
            for (int i = 0; i < 6; ++i) {
                copies.copy(x, host);
                context.wait();
                CHECK(context.memory().use().current == in_use + several_buffers * sizeof(float));
                if (i == 2) calls = fake::counts().allocation_calls;
            }
            CHECK(fake::counts().allocation_calls == calls);  // pinned buffers too are used again
        }
        CHECK(context.memory().use().current == in_use);
        const auto other = full<float, Gpu>(x.shape(), 7.f, context);  // where the bytes landed
        CHECK(distance(to_host(x), host) == 0);
        CHECK(distance(to_host(other), full<float>(x.shape(), 7.f)) == 0);
        DeviceCopies<Gpu> again(context);
        again.copy(x, host);
    }
    check_nothing_is_left_since(before);
}

TEST_CASE("a second stream's errors say what failed", "[gpu]") {
    Machine machine;
    Context<Gpu> context(0);
    Tensor<float, Gpu> x(vector_shape(1000), context);
    const auto host = random_tensor<float>(x.shape(), 1);
    DeviceCopies<Gpu> copies(context);
    CHECK_THROWS_WITH(copies.copy(x, zeros<float>(vector_shape(999))), ContainsText("999") && ContainsText("1000"));
    {
        Context<Gpu> other(0);
        Tensor<float, Gpu> elsewhere(x.shape(), other);
        CHECK_THROWS_WITH(copies.copy(elsewhere, host), ContainsText("another context"));
    }
    const auto fill = [&] { copies.copy(x, host); };
    CHECK_THROWS_WITH(context.record(context.rehearse([] {}), fill), ContainsText("while a step is recorded"));
    fake::settings().pinned_memory = std::size_t(fake::counts().pinned_bytes);
    CHECK_THROWS_WITH(fill(), ContainsText("pinning host memory") && ContainsText("cudaErrorMemoryAllocation"));
    fake::settings().pinned_memory = fake::no_limit;
    {  // of an upload that stops half way some bytes are on theirs to memory that is given back
        Tensor<float, Gpu> large(vector_shape(several_buffers), context);
        DeviceCopies<Gpu> halved(context);
        fake::settings().pinned_memory = std::size_t(fake::counts().pinned_bytes) + gpu::Staging::buffer_bytes;
        CHECK_THROWS_WITH(halved.copy(large, zeros<float>(large.shape())), ContainsText("pinning host memory"));
        fake::settings().pinned_memory = fake::no_limit;
    }
    context.wait();
    context.memory().set_limit(context.memory().use().current);
    {
        DeviceCopies<Gpu> fresh(context);
        CHECK_THROWS_AS(fresh.copy(x, host), OutOfMemory);
        context.memory().set_limit(no_limit);
        fresh.copy(x, host);
        CHECK(distance(to_host(x), host) == 0);
    }
    fill();
    CHECK(distance(to_host(x), host) == 0);
    // A copy that fails when the card comes to it shows where the card is waited for, and from then on in every call.
    fake::enqueue(context.upload_stream(), [] { throw std::runtime_error("the bus fell off"); });
    fill();
    CHECK_THROWS_WITH(to_host(x), ContainsText("copying from the card") && ContainsText("cudaErrorLaunchFailure"));
    CHECK_THROWS_AS(fill(), DeviceError);
    CHECK_THROWS_WITH(fill(), ContainsText("copies to the card wait") && ContainsText("cudaErrorLaunchFailure"));
}
