// conv: micro-benchmarks of convolutions: every one of ResNet50's and VGG16's training steps, or any shape, in all
// three directions, on the CPU or a GPU. Rates are set beside what the same run measured of a matrix product and a
// copy.
#include <holon/op/cpu/conv2d.hpp>
#include <holon/op/op.hpp>

#include <benchmark/benchmark.h>
#include <CLI/CLI.hpp>
#include <iostream>
#include <sstream>

#include "convolutions.hpp"
#include "pipeline/device.hpp"
#include "pipeline/roof.hpp"

namespace {

using namespace holon;
using namespace pipeline;
using op::Direction;

struct Choices {
    Options common;
    std::vector<std::string> shapes;
    std::string size = "all", direction = "all";
    int engines = 0;
};

/// One direction of one convolution over random numbers.
template <class T, class D> struct Run {
    using A = Accumulate<T>;
    Context<D>& context = default_context<D>();
    bench::Query query;
    Tensor<T, D> x, y;
    Tensor<A, D> filter;

    explicit Run(const bench::Query& q)
        : query(q),
          x(random_on<T, D>(q.image, 1)),
          y(random_on<T, D>(op::conv2d_shape(q.image, q.options), 2)),
          filter(random_on<A, D>(op::filter_shape(q.options), 3)) {}

    double flops() const {
        const Shape f = filter.shape();
        return 2.0 * double(y.size()) * double(f.h * f.w * f.c);
    }
    double bytes() const { return double(x.size() + y.size() + filter.size()) * sizeof(T); }

    void operator()() {
        const Gradient mode = query.add ? Gradient::add : Gradient::assign;
        const Tensor<A, D>* none = nullptr;
        if (query.direction == Direction::forward)
            benchmark::DoNotOptimize(op::conv2d(context, x, filter, none, query.options));
        else if (query.direction == Direction::to_input)
            op::conv2d_backward_input(context, y, filter, query.options, x, mode);
        else
            op::conv2d_backward_filter(context, x, y, query.options, filter, mode);
    }
};

template <class D> void report(benchmark::State& state, const Roof& roof, double flops, double bytes, double least) {
    const double floor = std::max(flops / roof.rate, bytes / roof.bandwidth);
    state.counters["GFLOP/s"] = flops / least * 1e-9;
    state.counters["GB/s"] = bytes / least * 1e-9;
    state.counters["share_of_peak"] = flops / least / roof.rate;
    state.counters["share_of_roof"] = floor / least;  // of arithmetic or traffic, whichever takes longer
}

template <class T, class D> void bench_query(benchmark::State& state, const bench::Query& query, const Roof& roof) {
    try {
        Run<T, D> run(query);
        Watch<D> watch(run.context);
        run();
        double least = 1e30;
        for (auto _ : state) {
            watch.start();
            run();
            const double took = watch.stop();
            state.SetIterationTime(took);
            least = std::min(least, took);
        }
        report<D>(state, roof, run.flops(), run.bytes(), least);
#ifdef HOLON_CUDA
        if constexpr (std::same_as<D, Gpu>) {
            const auto plan =
                op::gpu_detail::plan_of<T>(run.context, query.direction, query.image, query.options, query.add);
            state.SetLabel(plan->engine);
            state.counters["workspace"] = double(plan->workspace);
        }
#endif
        if constexpr (std::same_as<D, Cpu>)
            state.SetLabel(op::conv2d_implementation<T>(run.context, query.image, query.options, query.direction));
    } catch (const Error& error) {
        state.SkipWithError(error.what());
    }
}

#ifdef HOLON_CUDA
/// The engine that cuDNN's heuristics offer at place `number`.
template <class T>
void bench_engine(benchmark::State& state, const bench::Query& query, const Roof& roof, std::size_t number) {
    try {
        Run<T, Gpu> run(query);
        const auto& settings = run.context.template state<gpu::Settings>();
        const auto plans = gpu::plan_convolutions(
            run.context.template state<gpu::PlanCache>().target(),
            {query.direction, gpu::cudnn_type<T>(), query.image, query.options, query.add, settings.numerics},
            settings.workspace_budget, number + 1);
        if (plans.size() <= number) return state.SkipWithError("cuDNN offers no more engines");
        const auto filter = op::template convert<T>(run.context, run.filter);
        const op::gpu_detail::PlanRun run_plan(run.context, plans[number], run.x.data(), filter.data(), run.y.data());
        gpu::Stopwatch watch(run.context.stream());
        double least = 1e30;
        for (auto _ : state) {
            watch.start();
            run_plan();
            const double took = watch.stop();
            state.SetIterationTime(took);
            least = std::min(least, took);
        }
        report<Gpu>(state, roof, run.flops(), run.bytes(), least);
        state.SetLabel(plans[number].engine);
        state.counters["workspace"] = double(plans[number].workspace);
    } catch (const Error& error) {
        state.SkipWithError(error.what());
    }
}
#endif

/// "n,c,h,w,k,r,s" with "same" padding and stride 1, or with ",stride" after it.
bench::Query parse_shape(const std::string& shape) {
    std::vector<int> v;
    std::istringstream in(shape);
    for (std::string part; std::getline(in, part, ',');) v.push_back(std::atoi(part.c_str()));
    const bool positive = std::all_of(v.begin(), v.end(), [](int number) { return number > 0; });
    expects<DataError>((v.size() == 7 || v.size() == 8) && positive, "--shape ", shape,
                       ": n,c,h,w,k,r,s or n,c,h,w,k,r,s,stride is needed, all above 0");
    Conv2dOptions o{.in = v[1], .out = v[4], .kernel = {v[5], v[6]}, .stride = v.size() == 8 ? v[7] : 1};
    o.padding = {(v[5] - 1) / 2, v[5] / 2, (v[6] - 1) / 2, v[6] / 2};
    return {Direction::forward, {v[0], v[2], v[3], v[1]}, o};
}

template <class T, class D> std::vector<bench::Query> queries(const Choices& choices) {
    std::vector<bench::Query> all;
    for (const std::string& shape : choices.shapes)
        for (const auto direction : {Direction::forward, Direction::to_input, Direction::to_filter}) {
            all.push_back(parse_shape(shape));
            all.back().direction = direction;
        }
    if (choices.shapes.empty()) {
        std::vector<Shape> images;
        const std::int64_t batch = choices.common.batch;
        if (choices.size != "1152x896") images.push_back({batch ? batch : 32, 224, 224, 3});
        if (choices.size != "224x224") images.push_back({batch ? batch : 2, 1152, 896, 3});
        const char* const network = choices.common.network.c_str();
        for (const auto& [query, where] :
             bench::convolutions<T>({network}, {"256x1,128x1"}, images, std::same_as<D, Gpu>))
            all.push_back(query);
    }
    std::erase_if(all, [&](const bench::Query& q) {
        return choices.direction != "all" && choices.direction != op::direction_name(q.direction);
    });
    return all;
}

template <class T, class D> int bench_all(const Choices& choices) {
    const Roof roof = measure_roof<T, D>();
    benchmark::AddCustomContext("element", std::string(element_name<T>()));
    if constexpr (std::same_as<D, Cpu>) benchmark::AddCustomContext("oneDNN", op::cpu::dnnl_version_text());
    benchmark::AddCustomContext("matrix product, FLOP/s", text(roof.rate));
    benchmark::AddCustomContext("copy, bytes/s", text(roof.bandwidth));
    for (const bench::Query& q : queries<T, D>(choices)) {
        const std::string name = text(op::direction_name(q.direction), q.add ? " adding" : "", "/", q.image, "/",
                                      op::filter_shape(q.options), "/stride ", q.options.stride);
        const auto add = [](const std::string& called, auto run) {
            benchmark::RegisterBenchmark(called.c_str(), run)->UseManualTime()->Unit(benchmark::kMicrosecond);
        };
#ifdef HOLON_CUDA
        if constexpr (std::same_as<D, Gpu>)
            for (int e = 0; e < choices.engines; ++e)
                add(text(name, "/engine ", e),
                    [=](benchmark::State& s) { bench_engine<T>(s, q, roof, std::size_t(e)); });
#endif
        if (choices.engines == 0) add(name, [=](benchmark::State& s) { bench_query<T, D>(s, q, roof); });
    }
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);  // takes the --benchmark_* options
    CLI::App app{"Benchmarks convolutions. --benchmark_out=FILE writes JSON; --benchmark_filter=REGEX chooses."};
    Choices c;
    c.common.batch = 0;
    pipeline::add_device_options(app, c.common);
    app.add_option("--network", c.common.network, "whose convolutions: resnet50 | resnet50-keras | resnet14 | vgg16")
        ->capture_default_str();
    app.add_option("--size", c.size, "224x224 | 1152x896 | all")
        ->check(CLI::IsMember({"224x224", "1152x896", "all"}))
        ->capture_default_str();
    app.add_option("--batch", c.common.batch, "images (default: 32 of 224x224, 2 of 1152x896)")
        ->check(CLI::Range(1, 65536));
    app.add_option("--shape", c.shapes,
                   "n,c,h,w,k,r,s[,stride] instead of a network's, padded to \"same\"; may be repeated");
    app.add_option("--direction", c.direction, "forward | to input | to filter | all")->capture_default_str();
    app.add_option("--engines", c.engines, "GPU: each of cuDNN's first so many engines by itself")
        ->check(CLI::Range(0, 64));
    CLI11_PARSE(app, argc, argv);
    try {
        return with_device(c.common, [&]<class T, class D>() { return bench_all<T, D>(c); });
    } catch (const Error& error) {
        std::cerr << "error: " << error.what() << '\n';
        return 2;
    }
}
