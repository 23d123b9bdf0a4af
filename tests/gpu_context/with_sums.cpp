// Convolutions that give the sums of their result's channels too, on the fake cuDNN: right, used only where engines are
// timed and that is faster, stored with the other choices, and the same bits however often they are made again.
#include <holon/layer/bottleneck.hpp>
#include <holon/tensor/transfer.hpp>

#include "gpu_context/machine.hpp"
#include "support/catch.hpp"
#include "support/numbers.hpp"

using namespace holon;
using namespace holon::test;

namespace {

const Conv2dOptions options{.in = 8, .out = 24, .kernel = 3, .stride = 2, .padding = 1};
const Shape image{2, 9, 7, 8};

/// An image of T and a filter, on a context's card.
template <class T> struct Operands {
    explicit Operands(Context<Gpu>& context)
        : x(op::convert<T>(context, to_device<Gpu>(random_tensor<float>(image, 1), context))),
          filter(to_device<Gpu>(random_tensor<float>(op::filter_shape(options), 2), context)) {}
    Tensor<T, Gpu> x;
    Tensor<float, Gpu> filter;
};

template <class T> auto with_sums(Context<Gpu>& context) {
    const Operands<T> o(context);
    return op::conv2d_with_sums(context, o.x, o.filter, options);
}

/// On the host, as float: exact.
template <class T> Tensor<float, Cpu> on_host(const Tensor<T, Gpu>& t) { return to_host(op::convert<float>(t.context(), t)); }

std::int64_t runs_with_sums() { return fake::counts().executions[fake::with_sums]; }

}  // namespace

TEST_CASE("sums that a convolution gives are those of its result, and so are the statistics made of them", "[gpu]") {
    Machine machine;
    Context<Gpu> context(0);
    context.state<gpu::Settings>().timed_engines = 4;
    const auto both = with_sums<float16>(context);
    REQUIRE(both);
    const Operands<float16> o(context);
    const auto y = on_host(op::conv2d(context, o.x, o.filter, static_cast<const Tensor<float, Gpu>*>(nullptr), options));
    const auto given = on_host(both->y);
    CHECK(std::memcmp(given.data(), y.data(), std::size_t(y.size()) * sizeof(float)) == 0);
    const auto sum = to_host(both->sums.sum), squares = to_host(both->sums.squares);
    const std::int64_t channels = options.out, count = y.size() / channels;
    for (std::int64_t k = 0; k < channels; ++k) {
        double first = 0, second = 0;
        for (std::int64_t i = k; i < y.size(); i += channels) {
            const double v = double(std::as_const(y).data()[i]);
            first += v, second += v * v;
        }
        CHECK(double(sum.data()[k]) == Approx(first).margin(1e-4));
        CHECK(double(squares.data()[k]) == Approx(second));
    }
    const Shape vector = vector_shape(channels);
    const auto shift = to_device<Gpu>(random_tensor<float>(vector, 3), context);
    const auto statistics = [&](bool from_sums) {
        auto mean = full<float, Gpu>(vector, 0.5f, context), variance = full<float, Gpu>(vector, 2.0f, context);
        const op::RunningStatistics<float, Gpu> running{&mean, &variance, 0.25, true, &shift};
        const auto out = from_sums ? op::batch_statistics(context, both->sums, count, 1e-3, running)
                                   : op::batch_statistics(context, both->y, 1e-3, running);
        return std::array{to_host(out.mean), to_host(out.inverse_deviation), to_host(mean), to_host(variance)};
    };
    const auto from_sums = statistics(true), from_image = statistics(false);
    for (std::size_t i = 0; i < from_sums.size(); ++i) CHECK(distance(from_sums[i], from_image[i]) < 1e-5);
}

TEST_CASE("sums come from the convolution only where engines are timed and that is faster", "[gpu]") {
    Machine machine;
    const auto stored = [&](Context<Gpu>& context) { return context.state<gpu::PlanCache>().choices(); };
    SECTION("not timed: nothing is planned or run") {
        Context<Gpu> context(0);
        const auto before = fake::counts().plans_built;
        CHECK_FALSE(with_sums<float16>(context));
        CHECK(fake::counts().plans_built == before);
        CHECK_THAT(stored(context), !ContainsText("\n3 "));
    }
    SECTION("another type has no such engine") {
        Context<Gpu> context(0);
        context.state<gpu::Settings>().timed_engines = 4;
        CHECK_FALSE(with_sums<bfloat16>(context));
        CHECK(runs_with_sums() == 0);
        CHECK_THAT(stored(context), ContainsText("\n3 ") && ContainsText(":-1"));
    }
    SECTION("slower: it is timed once and left alone, here and where the choice is taken along") {
        (*machine).sums_take_ms = 30;
        std::string lines;
        {
            Context<Gpu> context(0);
            context.state<gpu::Settings>().timed_engines = 4;
            CHECK_FALSE(with_sums<float16>(context));
            const auto timed = runs_with_sums();
            CHECK(timed > 0);
            CHECK_FALSE(with_sums<float16>(context));
            CHECK(runs_with_sums() == timed);
            lines = stored(context);
        }
        CHECK_THAT(lines, ContainsText("\n3 ") && ContainsText(":-1"));
        (*machine).sums_take_ms = 0;
        Context<Gpu> context(0);
        context.state<gpu::Settings>().timed_engines = 4;
        CHECK(context.state<gpu::PlanCache>().remember(lines).empty());
        const auto before = runs_with_sums();
        CHECK_FALSE(with_sums<float16>(context));
        CHECK(runs_with_sums() == before);
    }
    SECTION("faster: used, and taken along to where engines are not timed") {
        std::string lines;
        {
            Context<Gpu> context(0);
            context.state<gpu::Settings>().timed_engines = 4;
            const Operands<float16> o(context);
            op::conv2d(context, o.x, o.filter, static_cast<const Tensor<float, Gpu>*>(nullptr), options);  // may be told of
            context.state<gpu::PlanCache>().say = [](const std::string& words) { FAIL_CHECK(words); };
            CHECK(with_sums<float16>(context));
            lines = stored(context);
        }
        CHECK_THAT(lines, ContainsText("\n3 ") && !ContainsText(":-1"));
        Context<Gpu> context(0);
        context.state<gpu::PlanCache>().say = [](const std::string& words) { FAIL_CHECK(words); };
        CHECK(context.state<gpu::PlanCache>().remember(lines).empty());
        const auto before = runs_with_sums();
        CHECK(with_sums<float16>(context));
        CHECK(runs_with_sums() == before + 1);
    }
}

TEST_CASE("a block trains with sums from its convolutions as without, the same bits under every recomputation", "[gpu]") {
    using T = float16;
    Machine machine;
    auto& settings = default_context<Gpu>().state<gpu::Settings>();
    struct Trained {
        Tensor<float, Cpu> y, dx, filter, running;
    };
    const auto train = [&](int timed, Recompute policy, bool bias) {
        settings.timed_engines = timed;
        Random random(3);
        Bottleneck<T, Gpu> block({.in = 16, .reduce = 8, .middle = 8, .out = 32, .stride = 2, .bias = bias}, random);
        const Recomputing recomputing(policy);
        const Shape s{2, 10, 8, 16};
        const auto host = random_tensor<float>(s, 4), along = random_tensor<float>({2, 5, 4, 32}, 5);
        auto& context = default_context<Gpu>();
        const auto x = Variable<T, Gpu>::leaf(op::convert<T>(context, to_device<Gpu>(host)));
        const auto y = block(x, Mode::train);
        y.backward(op::convert<T>(context, to_device<Gpu>(along)));
        return Trained{on_host(y.value()), on_host(x.gradient()), to_host(block.conv1.weight.gradient()),
                       to_host(block.downsample->norm.running_var.value())};
    };
    const auto same = [](const auto& a, const auto& b) {
        return a.shape() == b.shape() && std::memcmp(a.data(), b.data(), std::size_t(a.size()) * sizeof(*a.data())) == 0;
    };
    for (const bool bias : {false, true}) {
        CAPTURE(bias);
        const auto apart = train(1, Recompute::nothing, bias);
        CHECK(runs_with_sums() == 0);
        const auto with = train(4, Recompute::nothing, bias);
        CHECK(runs_with_sums() >= 4);
        CHECK(distance(with.y, apart.y) < 2e-3);
        CHECK(distance(with.dx, apart.dx) < 2e-2);
        CHECK(distance(with.filter, apart.filter) < 2e-2);
        CHECK(distance(with.running, apart.running) < 1e-4);
        for (const Recompute policy : {Recompute::batch_norm, Recompute::expansion, Recompute::block}) {
            const auto again = train(4, policy, bias);
            CHECK(same(again.y, with.y));
            CHECK(same(again.dx, with.dx));
            CHECK(same(again.filter, with.filter));
            CHECK(same(again.running, with.running));
        }
        fake::reset();
    }
    settings.timed_engines = 1;
}
