// ops: micro-benchmarks of every op but the convolutions, at each shape that it has in a network's training step, on
// the CPU or a GPU. Rates are set beside the copy bandwidth that the same run measured.
#include <holon/op/cpu/dnnl.hpp>

#include <benchmark/benchmark.h>
#include <CLI/CLI.hpp>
#include <iostream>

#include "op_cases.hpp"
#include "pipeline/device.hpp"

namespace {

using namespace holon;
using namespace holon::bench;

struct Choices {
    Options common;
    std::string size = "all";
};

template <class D> void bench_case(benchmark::State& state, const Case<D>& run, const Roof& roof) {
    try {
        auto& context = default_context<D>();
        const auto op = run.prepare(context);
        Watch<D> watch(context);
        op();
        double least = 1e30;
        for (auto _ : state) {
            watch.start();
            op();
            const double took = watch.stop();
            state.SetIterationTime(took);
            least = std::min(least, took);
        }
        state.counters["GB/s"] = run.bytes / least * 1e-9;
        state.counters["share_of_copy"] = run.bytes / least / roof.bandwidth;
        if (run.flops > 0) {
            state.counters["GFLOP/s"] = run.flops / least * 1e-9;
            state.counters["share_of_peak"] = run.flops / least / roof.rate;
        }
    } catch (const Error& error) {
        state.SkipWithError(error.what());
    }
}

template <class T, class D> int bench_all(const Choices& choices) {
    const Roof roof = measure_roof<T, D>();
    benchmark::AddCustomContext("element", std::string(element_name<T>()));
    if constexpr (std::same_as<D, Cpu>) benchmark::AddCustomContext("oneDNN", op::cpu::dnnl_version_text());
    benchmark::AddCustomContext("network", choices.common.network);
    benchmark::AddCustomContext("matrix product, FLOP/s", text(roof.rate));
    benchmark::AddCustomContext("copy, bytes/s", text(roof.bandwidth));
    const std::int64_t batch = choices.common.batch;
    std::vector<Shape> images;
    if (choices.size != "1152x896") images.push_back({batch ? batch : 32, 224, 224, 3});
    if (choices.size != "224x224") images.push_back({batch ? batch : 1, 1152, 896, 3});
    for (const Shape& image : images)
        for (const Case<D>& run : Cases<T, D>(choices.common.network, image).all)
            benchmark::RegisterBenchmark(run.name.c_str(),
                                         [run, roof](benchmark::State& s) { bench_case<D>(s, run, roof); })
                ->UseManualTime()
                ->Unit(benchmark::kMicrosecond);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);  // takes the --benchmark_* options
    CLI::App app{
        "Benchmarks every op but the convolutions. --benchmark_out=FILE writes JSON; --benchmark_filter=REGEX "
        "chooses."};
    Choices c;
    c.common.batch = 0;
    pipeline::add_device_options(app, c.common);
    app.add_option("--network", c.common.network, "whose shapes: resnet50 | resnet50-keras | resnet14 | vgg16")
        ->capture_default_str();
    app.add_option("--size", c.size, "224x224 | 1152x896 | all")
        ->check(CLI::IsMember({"224x224", "1152x896", "all"}))
        ->capture_default_str();
    app.add_option("--batch", c.common.batch, "images (default: 32 of 224x224, 1 of 1152x896)")
        ->check(CLI::Range(1, 65536));
    CLI11_PARSE(app, argc, argv);
    try {
        return with_device(c.common, [&]<class T, class D>() { return bench_all<T, D>(c); });
    } catch (const Error& error) {
        std::cerr << "error: " << error.what() << '\n';
        return 2;
    }
}
