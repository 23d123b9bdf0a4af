// bare: what a training step costs at least on this processor: its convolutions called as oneDNN offers them, each by
// itself, warm, images in n h w c and in oneDNN's own blocks; and the other ops' traffic at the bandwidth of a copy.
// Prints one line of JSON.
#include <holon/model/whole_image.hpp>
#include <holon/op/cpu/conv2d.hpp>
#include <holon/optim/adam.hpp>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstring>
#include <iomanip>
#include <iostream>
#include <map>

#include "convolutions.hpp"
#include "pipeline/device.hpp"
#include "pipeline/roof.hpp"

namespace {

using namespace holon;
using op::Direction;
namespace cpu = op::cpu;

/// The convolutions of a step, each with how often it is done, and the bytes that all other ops move.
struct Work {
    std::map<bench::Query, int> convolutions;
    double flops = 0, other_bytes = 0;
};

template <class T> Work work_of(const pipeline::Options& o, int classes) {
    auto& ledger = default_context<Plan>().state<op::plan::Ledger>();
    ledger.on_gpu = false;
    Work work;
    ledger.choose = [&](std::string_view, Direction direction, const Shape& x, const Conv2dOptions& options, bool) {
        ++work.convolutions[{direction, x, options, false}];
        return op::plan::Choice{};
    };
    PatchClassifier<T, Plan> net(o.network, classes, 0.0, 1);
    auto adam = make_adam(net, {});
    const pipeline::ImageSize size = o.image_size();
    const std::vector<int> labels(std::size_t(o.batch), 0);
    ledger.entries.clear();
    const Variable<T, Plan> x(Tensor<T, Plan>({o.batch, size.rows, size.columns, 3}));
    cross_entropy(net(x, Mode::train), std::span<const int>(labels)).backward();
    adam.step(net);
    for (const auto& e : ledger.entries)
        if (e.op.starts_with("conv2d"))
            work.flops += e.flops;
        else
            work.other_bytes += e.bytes;
    ledger.choose = nullptr;
    return work;
}

/// Seconds of one call, the median of `runs` after one that does not count.
template <class T> double time_convolution(const bench::Query& q, dnnl_format_tag_t images, int runs) {
    static cpu::Engine engine;
    constexpr auto type = cpu::dnnl_type<T>();
    const auto& o = q.options;
    const Shape x = q.image, y = op::conv2d_shape(x, o), f = op::filter_shape(o);
    cpu::ConvolutionSetup s{{{x.n, x.c, x.h, x.w}, type, images},
                            {{f.n, f.c, f.h, f.w}, type, dnnl_format_tag_any},
                            {{f.n}, dnnl_f32, dnnl_x},
                            {{y.n, y.c, y.h, y.w}, type, images},
                            o.bias && q.direction == Direction::forward,
                            {o.stride.h, o.stride.w},
                            {o.dilation.h - 1, o.dilation.w - 1},
                            {o.padding.top, o.padding.left},
                            {o.padding.bottom, o.padding.right}};
    auto how = cpu::convolution_descriptor(engine.get(), Direction::forward, s, {});
    if (q.direction != Direction::forward) how = cpu::convolution_descriptor(engine.get(), q.direction, s, {}, how);
    const cpu::Primitive primitive = cpu::primitive(how);
    struct Operand {
        int argument;
        dnnl_query_t query;
    };
    std::vector<Operand> operands;
    if (q.direction == Direction::forward)
        operands = {{DNNL_ARG_SRC, dnnl_query_src_md},
                    {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
                    {DNNL_ARG_DST, dnnl_query_dst_md}};
    else if (q.direction == Direction::to_input)
        operands = {{DNNL_ARG_DIFF_SRC, dnnl_query_diff_src_md},
                    {DNNL_ARG_WEIGHTS, dnnl_query_weights_md},
                    {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md}};
    else
        operands = {{DNNL_ARG_SRC, dnnl_query_src_md},
                    {DNNL_ARG_DIFF_WEIGHTS, dnnl_query_diff_weights_md},
                    {DNNL_ARG_DIFF_DST, dnnl_query_diff_dst_md}};
    std::vector<cpu::Layout> layouts;
    std::vector<Tensor<std::uint8_t, Cpu>> memory;
    const auto room = [&](cpu::Layout layout) {
        Tensor<std::uint8_t, Cpu>& bytes = memory.emplace_back(Shape{1, 1, 1, std::int64_t(layout.bytes())});
        std::memset(bytes.data(), 0x3f, layout.bytes());  // 0.75, in float and in bfloat16
        layouts.push_back(std::move(layout));
        return bytes.data();
    };
    std::array<const void*, 4> at{};
    for (std::size_t i = 0; i < operands.size(); ++i) at[i] = room(cpu::chosen_layout(how, operands[i].query));
    if (s.biased) at[3] = room(std::move(s.bias));
    std::vector<double> seconds;
    for (int i = 0; i <= runs; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        engine.run(primitive, {{operands[0].argument, layouts[0], at[0]},
                               {operands[1].argument, layouts[1], at[1]},
                               {operands[2].argument, layouts[2], at[2]},
                               {s.biased ? DNNL_ARG_BIAS : 0, layouts.back(), at[3]}});
        const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        if (i > 0) seconds.push_back(took);
    }
    std::nth_element(seconds.begin(), seconds.begin() + runs / 2, seconds.end());
    return seconds[std::size_t(runs / 2)];
}

/// The exit status where oneDNN has no convolutions of this precision; other failures are 1 or 2.
constexpr int no_such_convolutions = 3;

template <class T> int measure(const pipeline::Options& o, int classes, int runs, bool table) {
    if (std::same_as<T, bfloat16> && !cpu::native_bfloat16()) {
        std::cerr << "--precision bf16: " << cpu::bfloat16_means() << ", so there is none to time by itself; use fp32\n";
        return no_such_convolutions;
    }
    const Work work = work_of<T>(o, classes);
    double nhwc = 0, blocked = 0;
    if (table) std::cout << "times  nhwc ms  blocked ms  GFLOP  convolution\n";
    for (const auto& [query, count] : work.convolutions) {
        const double here = time_convolution<T>(query, dnnl_nhwc, runs),
                     there = time_convolution<T>(query, dnnl_format_tag_any, runs);
        nhwc += count * here;
        blocked += count * there;
        if (!table) continue;
        const Shape f = op::filter_shape(query.options), y = op::conv2d_shape(query.image, query.options);
        std::cout << std::fixed << std::setprecision(2) << std::setw(5) << count << std::setw(9) << here * 1e3
                  << std::setw(12) << there * 1e3 << std::setw(7) << 2e-9 * double(y.rows() * f.size()) << "  "
                  << op::direction_name(query.direction) << ' ' << query.image << " by " << f << ", stride "
                  << query.options.stride << '\n'
                  << std::defaultfloat << std::setprecision(6);
    }
    const double least = std::min(nhwc, blocked), bandwidth = pipeline::measure_roof<T, Cpu>().bandwidth;
    std::cout << "{\"library\": \"oneDNN " << cpu::dnnl_version_text() << "\", \"network\": \"" << o.network
              << "\", \"size\": \"" << o.size << "\", \"batch\": " << o.batch << ", \"precision\": \"" << o.precision
              << "\", \"convolutions\": " << work.convolutions.size() << ", \"nhwc_seconds\": " << nhwc
              << ", \"blocked_seconds\": " << blocked << ", \"flops_per_second\": " << work.flops / least
              << ", \"other_bytes\": " << work.other_bytes << ", \"copy_bytes_per_second\": " << bandwidth
              << ", \"least_step_seconds\": " << least + work.other_bytes / bandwidth << "}" << std::endl;
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Times a training step's convolutions as oneDNN offers them, and says what a step takes at least."};
    pipeline::Options o;
    o.batch = 32;
    o.size = "224x224";
    int classes = 1000, runs = 3;
    bool table = false;
    app.add_option("--network", o.network, "resnet50 | resnet50-keras | resnet14 | vgg16")->capture_default_str();
    app.add_option("--size", o.size, "rows x columns")->capture_default_str();
    app.add_option("--batch", o.batch, "images a step")->check(CLI::Range(1, 65536))->capture_default_str();
    app.add_option("--classes", classes, "of the patch classifier")->check(CLI::Range(1, 65536))->capture_default_str();
    app.add_option("--precision", o.precision, "fp32 | bf16")
        ->check(CLI::IsMember({"fp32", "bf16"}))
        ->capture_default_str();
    app.add_flag("--table", table, "every convolution, before the line");
    app.add_option("--runs", runs, "calls timed of each convolution")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    try {
        return o.precision == "bf16" ? measure<bfloat16>(o, classes, runs, table) : measure<float>(o, classes, runs, table);
    } catch (const std::exception& error) {
        std::cerr << "error: " << error.what() << '\n';
        return 2;
    }
}
