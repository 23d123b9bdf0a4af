// train/small.hpp: a training run that takes moments, on any device, and can be stopped wherever it looks at something.
#pragma once
#include <atomic>
#include <csignal>
#include <sstream>

#include <holon/layer/activation.hpp>
#include <holon/layer/batch_norm2d.hpp>
#include <holon/layer/conv2d.hpp>
#include <holon/layer/linear.hpp>
#include <holon/layer/pool2d.hpp>

#include "checkpoint/scratch.hpp"
#include "pipeline/train.hpp"

namespace holon::test {

using namespace holon::pipeline;

/// What the loop prints stays out of the test's output.
class Quiet {
    std::ostringstream out_, err_;
    std::streambuf *before_ = std::cout.rdbuf(out_.rdbuf()), *errors_ = std::cerr.rdbuf(err_.rdbuf());

 public:
    ~Quiet() {
        std::cout.rdbuf(before_);
        std::cerr.rdbuf(errors_);
    }
    std::string said() const { return err_.str(); }
    std::string printed() const { return out_.str(); }
};

/// Everything that a run has to carry on with, and small: two convolutions, statistics, a generator, a head.
template <class T, class D> struct Small {
    using element = T;
    using device = D;
    using A = Accumulate<T>;

    explicit Small(std::uint64_t seed) : Small(Random(seed, 1), seed) {}
    Variable<A, D> operator()(const Variable<T, D>& x, Mode mode) {
        const auto y = bn2.relu(conv2(bn1.relu(conv1(x, mode), mode), mode), mode);
        return fc(dropout(convert<A>(global_average(y)), mode), mode);
    }
    void members(auto& visit) {
        visit("conv1", conv1);
        visit("bn1", bn1);
        visit("conv2", conv2);
        visit("bn2", bn2);
        visit("dropout", dropout);
        visit("fc", fc);
    }

    Conv2d<T, D> conv1;
    BatchNorm2d<T, D> bn1;
    Conv2d<T, D> conv2;
    BatchNorm2d<T, D> bn2;
    Dropout<A, D> dropout;
    Linear<A, D> fc;

 private:
    Small(Random random, std::uint64_t seed)
        : conv1({.in = 3, .out = 8, .kernel = 5, .stride = 2, .padding = 2}, random),
          bn1(8),
          conv2({.in = 8, .out = 12, .kernel = 3, .stride = 2, .padding = 1}, random),
          bn2(12),
          dropout(0.5, seed, 2),
          fc(12, 3, random) {
        fc.weight.decays = true;
        name_layers(*this);
    }
};

/// Noisy images of some classes, each lighter than the one before by `step` of 65535. Seven: four batches of two, the
/// last of one.
inline SampleSet samples(int count = 7, int side = 16, int classes = 3, int step = 8000) {
    SampleSet set;
    set.rows = set.columns = side;
    for (int i = 0; i < count; ++i) {
        set.labels.push_back(i % classes);
        set.names.push_back(text("sample ", i));
    }
    set.image = [=](std::size_t i) {
        Image image(side, side);
        Random random(5, i);
        for (auto& pixel : image.pixels)
            pixel = std::uint16_t(random.below(40000) + std::uint64_t(step) * (i % std::size_t(classes)));
        return image;
    };
    return set;
}

inline Task task_for(const SampleSet& set) {
    Task task;
    task.train = &set;
    task.form = input_form("paper", 100, 1 / 57.6f);
    task.columns = "score";
    task.stages = {
        {"head", {"fc"}, "", 1e-3, 1e-3, 1}, {"top", {"fc"}, "conv2", 1e-3, 1e-3, 2}, {"all", {}, "", 1e-4, 1e-2, 1}};
    task.metadata = {{"holon.kind", "patch"}, {"holon.seed", "3"}};
    return task;
}

inline Options options_in(const std::string& folder, const std::string& bn_mode, int accumulate) {
    Options options;
    options.out = folder;
    options.batch = 2;
    options.seed = 3;
    options.bn_mode = bn_mode;
    options.accumulate = accumulate;
    options.clip = 5;
    return options;
}

/// Runs from nothing or from last.safetensors; the `stop`-th time that anything is looked at (a batch prepared, a
/// validation) a signal comes; 0: never. Returns the exit code.
template <class T, class D>
int run(const SampleSet& set, const Options& options, std::size_t stop, std::size_t& looks) {
    Interrupt::install();
    Task task = task_for(set);
    SampleSet watched = set;
    std::atomic<std::size_t> met{0};
    const auto look = [&] {
        if (++met == stop) ::raise(SIGINT);
    };
    watched.image = [&](std::size_t i) {
        look();
        return set.image(i);
    };
    task.train = &watched;
    Small<T, D> net(options.resume ? 99 : options.seed);  // resumed, everything has to come from the file
    FrozenFront<Small<T, D>> front(task.form);
    const int code = run_training<Small<T, D>>(net, task, front, options, [&](Small<T, D>& now) {
        look();
        Verdict verdict;
        if (Interrupt::received()) return verdict;
        const NoGrad no_grad;
        const auto y = now(network_input<T, D>({Sample{set.image(0), {}}}, 16, 16, task.form, false), Mode::evaluate);
        verdict.score = double(to_host(y.value()).data()[0]);
        verdict.columns = text(verdict.score);
        return verdict;
    });
    looks = met;
    return code;
}

/// A stage of one epoch, and, unless `second_rate` is 0, another at that rate: by 1e37 Adam's steps leave weights whose sums are
/// too large for float, by 1e39 weights of infinity.
template <class D> void train_wildly(const SampleSet& set, const std::string& folder, double second_rate) {
    Interrupt::install();
    Task task = task_for(set);
    task.stages = {{"all", {}, "", 1e-3, 0, 1}};
    if (second_rate > 0) task.stages.push_back({"wild", {}, "", second_rate, 0, 1});
    Small<float, D> net(3);
    FrozenFront<Small<float, D>> front(task.form);
    run_training<Small<float, D>>(net, task, front, options_in(folder, "legacy", 1), [](auto&) {
        return Verdict{0.5, "0.5", ""};
    });
}

/// log.csv without the columns that measure time and memory.
inline std::string log_of(const std::string& folder) {
    std::istringstream in(scratch::bytes_of(folder + "/log.csv"));
    std::string out;
    for (std::string line; std::getline(in, line);) {
        line.erase(line.rfind(',', line.rfind(',') - 1));
        out += line + '\n';
    }
    return out;
}

}  // namespace holon::test
