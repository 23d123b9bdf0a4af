// What captured training steps take of a card and ask of the host, on the fake runtime: launches, waits, memory.
#include <holon/graph/softmax.hpp>
#include <holon/layer/activation.hpp>
#include <holon/layer/linear.hpp>
#include <holon/optim/adam.hpp>
#include <holon/optim/captured_step.hpp>

#include "gpu_context/machine.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

using namespace holon;
using namespace holon::test;

namespace {

struct Tiny {
    using element = float;
    using device = Gpu;

    explicit Tiny(Random random = Random(1, 1)) : dropout(0.25, 1, 2), fc(16, 3, random) { name_layers(*this); }
    Variable<float, Gpu> operator()(const Variable<float, Gpu>& x, Mode mode) { return fc(dropout(x, mode), mode); }
    void members(auto& visit) {
        visit("dropout", dropout);
        visit("fc", fc);
    }
    Dropout<float, Gpu> dropout;
    Linear<float, Gpu> fc;
};

using Result = Tensor<float, Gpu>;

/// A training whose steps also take `more` elements for themselves.
struct Training {
    explicit Training(std::int64_t more = 0) : extra(more), x({8, 1, 1, 16}), targets(3) {
        targets.set(std::vector<int>{0, 1, 2, 0, 1, 2, 0, 1});
        options.say = [this](const std::string& sentence) { said.push_back(sentence); };
        captured.emplace(net, options);
    }
    float step() {
        copy_from_host(x, random_tensor<float>(x.shape(), ++number));
        const auto& loss = captured->run(adam, std::tie(x, targets), [&] {
            const Tensor<float, Gpu> room(vector_shape(extra));
            const auto value = cross_entropy(net(Variable<float, Gpu>(x), Mode::train), targets);
            value.backward();
            adam.step(net, step_scale(net, value.value(), true, [] { return op::StepLimit{1, 0.1}; }));
            clear_gradients(net);
            return value.value();
        });
        return to_host(loss).data()[0];
    }

    std::int64_t extra;
    Tiny net;
    Adam<float, Gpu> adam{AdamOptions{}};
    Tensor<float, Gpu> x;
    op::Targets<Gpu> targets;
    std::uint64_t number = 0;
    std::vector<std::string> said;
    CapturedStepOptions options;
    std::optional<CapturedStep<Tiny, Result>> captured;
};

}  // namespace

TEST_CASE("a launched step is one launch and one wait, and takes no memory", "[gpu]") {
    Machine machine;
    Training training;
    for (int i = 0; i < 4; ++i) training.step();
    REQUIRE(training.captured->launches() == 2);
    const auto before = fake::counts();
    const MemoryUse use = default_context<Gpu>().memory().use();
    for (int i = 0; i < 5; ++i) training.step();
    const auto after = fake::counts();
    CHECK(after.graph_launches == before.graph_launches + 5);
    CHECK(after.kernels == before.kernels);
    CHECK(after.gemms == before.gemms);
    CHECK(after.synchronisations == before.synchronisations + 5);
    CHECK(after.copies == before.copies + 5 * 3);  // images there, numbers there, the loss back
    CHECK(after.allocation_calls == before.allocation_calls);
    CHECK(default_context<Gpu>().memory().use().current == use.current);
    CHECK(default_context<Gpu>().memory().use().growths == use.growths);
    CHECK(training.said.size() == 1);
}

TEST_CASE("recorded steps yield their memory to what needs it, and are recorded again", "[gpu]") {
    Machine machine;
    auto& memory = default_context<Gpu>().memory();
    memory.trim();
    const MemoryUse before = memory.use();
    std::vector<float> losses, plain;
    {
        Training training(8 << 20);  // 32 MiB
        memory.set_limit(before.current + (std::size_t(48) << 20));
        for (int i = 0; i < 3; ++i) losses.push_back(training.step());
        CHECK(training.captured->launches() == 1);
        CHECK(memory.use().current >= before.current + (std::size_t(32) << 20));
        {
            const Tensor<float, Gpu> large(vector_shape(8 << 20));
            CHECK(memory.use().current < before.current + (std::size_t(48) << 20));
        }
        REQUIRE(training.said.size() == 2);
        CHECK_THAT(training.said[1], ContainsText("gave their memory back"));
        for (int i = 0; i < 3; ++i) losses.push_back(training.step());
        CHECK(training.captured->recordings() == 2);
        CHECK(training.captured->launches() == 4);
        // While something large stays, there is no room for a recording, nor for the step itself.
        const Tensor<float, Gpu> large(vector_shape(8 << 20));
        CHECK_THROWS_AS(training.step(), OutOfMemory);
        memory.set_limit(no_limit);
    }
    memory.trim();
    CHECK(memory.use().current <= before.current + (std::size_t(5) << 20));  // cuBLAS keeps its workspace
    Training again(8 << 20);
    again.options.recorded = false;
    again.captured.emplace(again.net, again.options);
    for (int i = 0; i < 6; ++i) plain.push_back(again.step());
    CHECK(losses == plain);
    CHECK(again.captured->launches() == 0);
}
