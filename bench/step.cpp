// step: times whole training steps (forward, backward, Adam) of a network, on the CPU or a GPU. Prints one line of
// JSON.
#include <holon/holon.hpp>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>

#include "pipeline/device.hpp"

namespace {

using namespace holon;

struct Choices {
    pipeline::Options common;
    int steps = 10, warm_up = 3, classes = 1000;
    std::string freeze;
};

template <class D> void wait([[maybe_unused]] Context<D>& context) {
#ifdef HOLON_CUDA
    if constexpr (std::same_as<D, Gpu>) context.wait();
#endif
}

struct Times {
    std::vector<double> seconds;  ///< of each step, the first ones left out
    bool recorded = false;        ///< whether they were launches of a recording
};

template <class T, class D, class Net> Times time_steps(Net& net, const Choices& choices, int classes) {
    auto& context = default_context<D>();
    const pipeline::ImageSize size = choices.common.image_size();
    const Recomputing recomputing(choices.common.recompute == "batch_norm" ? Recompute::batch_norm
                                                                           : Recompute::nothing);
    if (!choices.freeze.empty()) freeze(net, choices.freeze, Statistics::fixed);
    auto adam = make_adam(net, {.rate = 1e-4});
    Random random(1);
    Tensor<float, Cpu> host({choices.common.batch, size.rows, size.columns, 3});
    for (float& v : host.elements()) v = float(random.uniform(-1, 1));
    std::vector<int> labels;
    for (int i = 0; i < choices.common.batch; ++i) labels.push_back(int(random.below(std::uint64_t(classes))));
    const auto there = to_device<D>(host);
    const Variable<T, D> x(op::template convert<T>(there.context(), there));
    op::Targets<D> targets(classes);
    targets.set(labels);
    using Loss = Tensor<Accumulate<T>, D>;
    CapturedStep<Net, Loss> captured(
        net, {.recorded = choices.common.graph, .say = [](const std::string& s) { std::cerr << "note: " << s << '\n'; }});
    Times times;
    for (int i = 0; i < choices.warm_up + choices.steps; ++i) {
        wait(context);
        const auto begin = std::chrono::steady_clock::now();
        captured.run(adam, std::tie(x.value(), targets), [&] {
            const auto loss = cross_entropy(net(x, Mode::train), targets);
            loss.backward();
            adam.step(net);
            clear_gradients(net);
            return loss.value();
        });
        wait(context);
        if (i >= choices.warm_up)
            times.seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
        if (i + 1 == choices.warm_up) context.memory().reset_peak();
    }
    times.recorded = captured.launches() >= std::uint64_t(choices.steps);
    return times;
}

template <class T, class D> int bench(const Choices& choices) {
    Times times;
    if (choices.common.top.empty()) {
        PatchClassifier<T, D> net(choices.common.network, choices.classes, 0.0, 1);
        times = time_steps<T, D>(net, choices, choices.classes);
    } else {
        auto net = to_whole_image(PatchClassifier<T, D>(choices.common.network, 1, 0.0, 1),
                                  parse_top(choices.common.top), 2, 1);
        times = time_steps<T, D>(net, choices, 2);
    }
    std::vector<double>& seconds = times.seconds;
    std::sort(seconds.begin(), seconds.end());
    const double median = seconds[seconds.size() / 2];
    const MemoryUse use = default_context<D>().memory().use();
    std::cout << "{\"library\": \"holon\", \"network\": \"" << choices.common.network << "\", \"top\": \""
              << choices.common.top << "\", \"size\": \"" << choices.common.size
              << "\", \"batch\": " << choices.common.batch << ", \"precision\": \"" << choices.common.precision
              << (choices.common.tf32 ? " tf32" : "") << "\", \"device\": \"" << choices.common.device
              << "\", \"freeze\": \"" << choices.freeze << "\", \"recompute\": \"" << choices.common.recompute
              << "\", \"graph\": " << (times.recorded ? "true" : "false") << ", \"steps\": " << seconds.size() << ", \"median_seconds\": " << median
              << ", \"least_seconds\": " << seconds.front()
              << ", \"images_per_second\": " << choices.common.batch / median << ", \"peak_bytes\": " << use.peak
              << ", \"reserved_bytes\": " << use.peak_reserved << "}" << std::endl;
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Times training steps."};
    Choices c;
    c.common.batch = 32;
    c.common.size = "224x224";
    c.common.top.clear();
    app.add_option("--network", c.common.network, "resnet50 | resnet50-keras | resnet14 | vgg16")
        ->capture_default_str();
    app.add_option("--top", c.common.top, "a whole-image classifier with these blocks; empty: the patch classifier");
    app.add_option("--classes", c.classes, "of the patch classifier")
        ->check(CLI::Range(1, 65536))
        ->capture_default_str();
    app.add_option("--size", c.common.size, "rows x columns")->capture_default_str();
    app.add_option("--batch", c.common.batch, "images a step")->check(CLI::Range(1, 65536))->capture_default_str();
    app.add_option("--precision", c.common.precision, "fp32 | bf16 | fp16 (GPU)")
        ->check(CLI::IsMember({"fp32", "bf16", "fp16"}))
        ->capture_default_str();
    app.add_option("--device", c.common.device, "cpu | gpu | gpu:N | auto")->capture_default_str();
    app.add_option("--memory", c.common.memory, "stay within what a device of this size has, like 8GiB");
    app.add_option("--recompute", c.common.recompute, "nothing | batch_norm")
        ->check(CLI::IsMember({"nothing", "batch_norm"}))
        ->capture_default_str();
    app.add_option("--freeze", c.freeze, "dotted name of the part to freeze");
    app.add_option("--steps", c.steps, "steps timed")->check(CLI::Range(1, 100000))->capture_default_str();
    app.add_option("--warm-up", c.warm_up, "steps before; the third is recorded")
        ->check(CLI::Range(1, 100000))->capture_default_str();
    app.add_flag("--tf32", c.common.tf32, "GPU, fp32: tensor cores may round inputs to 10 bits of fraction");
    app.add_flag("--nondeterministic", c.common.nondeterministic, "GPU: engines whose bits differ from run to run");
    app.add_flag("!--no-graph", c.common.graph, "GPU: run steps op by op instead of as one CUDA graph");
    CLI11_PARSE(app, argc, argv);
    try {
        return pipeline::with_device(c.common, [&]<class T, class D>() { return bench<T, D>(c); });
    } catch (const Error& error) {
        std::cerr << "error: " << error.what() << '\n';
        return 2;
    }
}
