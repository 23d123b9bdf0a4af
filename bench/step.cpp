// step: times whole training steps (forward, backward, Adam) of a network, on the CPU or a GPU. Prints one line of
// JSON.
#include <holon/graph/profile_table.hpp>
#include <holon/holon.hpp>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <iostream>

#include "pipeline/device.hpp"
#include "pipeline/recompute.hpp"
#include "pipeline/roof.hpp"

namespace {

using namespace holon;

struct Choices {
    pipeline::Options common;
    int steps = 10, warm_up = 3, classes = 1000;
    std::vector<std::string> frozen;
};

template <class D> void wait([[maybe_unused]] Context<D>& context) {
#ifdef HOLON_CUDA
    if constexpr (std::same_as<D, Gpu>) context.wait();
#endif
}

/// The card's name; of other devices none.
template <class D> std::string name_of([[maybe_unused]] Context<D>& context) {
#ifdef HOLON_CUDA
    if constexpr (std::same_as<D, Gpu>) return context.card().name;
#endif
    return {};
}

/// A network, its optimizer and a batch.
template <class T, class D, class Net> class Stepper {
 public:
    Stepper(Net made, const Choices& choices, int classes)
        : net_(std::move(made)),
          adam_(make_adam(net_, {.rate = 1e-4})),
          targets_(classes),
          captured_(net_, {.recorded = choices.common.graph,
                           .say = [](const std::string& sentence) { std::cerr << "note: " << sentence << '\n'; }}) {
        for (const std::string& name : choices.frozen) freeze(net_, name, Statistics::fixed);
        const pipeline::ImageSize size = choices.common.image_size();
        const Shape shape{choices.common.batch, size.rows, size.columns, 3};
        if constexpr (std::same_as<D, Plan>)
            x_ = Variable<T, D>(Tensor<T, D>(shape));
        else
            x_ = Variable<T, D>(pipeline::random_on<T, D>(shape, 1));
        Random random(1);
        std::vector<int> labels;
        for (int i = 0; i < choices.common.batch; ++i) labels.push_back(int(random.below(std::uint64_t(classes))));
        targets_.set(labels);
    }
    Stepper(const Stepper&) = delete;
    Stepper& operator=(const Stepper&) = delete;

    void operator()() {
        captured_.run(adam_, std::tie(x_.value(), targets_), [&] {
            const auto loss = cross_entropy(net_(x_, Mode::train), targets_);
            loss.backward();
            adam_.step(net_);
            clear_gradients(net_);
            return loss.value();
        });
    }
    /// Steps that were launches of a recording.
    std::uint64_t launches() const { return captured_.launches(); }
    /// Kernels, copies and fills of a launch.
    std::uint64_t nodes() const { return captured_.nodes(); }

 private:
    Net net_;
    decltype(make_adam(std::declval<Net&>(), {})) adam_;
    Variable<T, D> x_;
    op::Targets<D> targets_;
    CapturedStep<Net, Tensor<Accumulate<T>, D>> captured_;
};

/// What is to be trained, ready to step.
template <class T, class D, class Body> auto with_stepper(const Choices& c, const Body& body) {
    PatchClassifier<T, D> patch(c.common.network, c.common.top.empty() ? c.classes : 1, 0.0, 1);
    if (c.common.top.empty()) {
        Stepper<T, D, PatchClassifier<T, D>> step(std::move(patch), c, c.classes);
        return body(step);
    }
    Stepper<T, D, WholeImage<T, D>> step(to_whole_image(std::move(patch), parse_top(c.common.top), 2, 1), c, 2);
    return body(step);
}

/// Where the time of as many steps again goes, with the work that a plan of the same step counts.
template <class T, class D> void print_profiled(auto& step, const Choices& choices) {
    const pipeline::Roof roof = pipeline::measure_roof<T, D>();
    Profile<D> profile;
    for (int i = 0; i < choices.steps; ++i) {
        profile.start();
        step();
        profile.stop();
    }
    with_stepper<T, Plan>(choices, [&](auto& twin) {
        Profile<Plan> plan;
        plan.start();
        twin();
        plan.stop();
        profile.take_work(plan);
        return 0;
    });
    print_profile(std::cout, profile);
    std::cout << "measured here: a copy " << roof.bandwidth * 1e-9 << " GB/s, a matrix product " << roof.rate * 1e-9
              << " GFLOP/s\n";
}

template <class T, class D> int bench(const Choices& choices) {
    const Recomputing recomputing(pipeline::parse_recompute(choices.common.recompute));
    auto& context = default_context<D>();
    return with_stepper<T, D>(choices, [&](auto& step) {
        for (int i = 0; i < choices.warm_up; ++i) step();
        wait(context);
        context.memory().reset_peak();
        std::vector<double> seconds;
        for (int i = 0; i < choices.steps; ++i) {
            const auto begin = std::chrono::steady_clock::now();
            step();
            wait(context);
            seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
        }
        std::uint64_t steps = std::uint64_t(choices.steps);
        std::string unwaited;
#ifdef HOLON_CUDA
        if constexpr (std::same_as<D, Gpu>) {  // as a training loop runs that waits for nothing
            const auto begin = std::chrono::steady_clock::now();
            for (int i = 0; i < choices.steps; ++i) step();
            wait(context);
            const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
            unwaited = text(", \"unwaited_seconds\": ", took / choices.steps);
            steps *= 2;
        }
#endif
        const MemoryUse use = context.memory().use();
        const bool recorded = step.launches() >= steps;
        if (choices.common.profile) print_profiled<T, D>(step, choices);

        std::sort(seconds.begin(), seconds.end());
        const double median = seconds[seconds.size() / 2];
        std::string frozen;
        for (const std::string& name : choices.frozen) frozen += (frozen.empty() ? "" : ",") + name;
        const auto& c = choices.common;
        std::cout << "{\"library\": \"holon\", \"network\": \"" << c.network << "\", \"top\": \"" << c.top
                  << "\", \"size\": \"" << c.size << "\", \"batch\": " << c.batch << ", \"precision\": \""
                  << c.precision << (c.tf32 ? " tf32" : "") << "\", \"device\": \"" << c.device << "\", \"card\": \""
                  << name_of(context) << "\", \"workspace_mib\": " << c.workspace_mib << ", \"timed_engines\": "
                  << c.timed_engines << ", \"freeze\": \""
                  << frozen << "\", \"recompute\": \"" << c.recompute
                  << "\", \"graph\": " << (recorded ? "true" : "false")
                  << (recorded ? text(", \"graph_nodes\": ", step.nodes()) : std::string()) << ", \"steps\": " << seconds.size()
                  << ", \"median_seconds\": " << median << ", \"least_seconds\": " << seconds.front()
                  << unwaited
                  << ", \"images_per_second\": " << c.batch / median << ", \"peak_bytes\": " << use.peak
                  << ", \"reserved_bytes\": " << use.peak_reserved << "}" << std::endl;
        return 0;
    });
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
    pipeline::add_device_options(app, c.common);
    app.add_option("--recompute", c.common.recompute, "nothing | batch_norm | expansion | block")
        ->check(CLI::IsMember({"nothing", "batch_norm", "expansion", "block"}))
        ->capture_default_str();
    app.add_option("--freeze", c.frozen, "dotted names of what to freeze, separated by commas")->delimiter(',');
    app.add_flag("--profile", c.common.profile,
                 "a table of where as many steps again spend their time, before the line");
    app.add_option("--steps", c.steps, "steps timed")->check(CLI::Range(1, 100000))->capture_default_str();
    app.add_option("--warm-up", c.warm_up, "steps before; the third is recorded")
        ->check(CLI::Range(1, 100000))
        ->capture_default_str();
    app.add_flag("!--no-graph", c.common.graph, "GPU: run steps op by op instead of as one CUDA graph");
    CLI11_PARSE(app, argc, argv);
    try {
        return pipeline::with_device(c.common, [&]<class T, class D>() { return bench<T, D>(c); });
    } catch (const Error& error) {
        std::cerr << "error: " << error.what() << '\n';
        return 2;
    }
}
