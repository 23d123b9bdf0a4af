// pipeline/train.hpp: the loop that both trainers run: stages of epochs, batches in an order that any stop can go on from.
#pragma once
#include <cmath>
#include <cstdio>
#include <functional>
#include <iostream>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <holon/checkpoint/engines.hpp>
#include <holon/checkpoint/network.hpp>
#include <holon/graph/profile_table.hpp>
#include <holon/loss/balance.hpp>
#include <holon/model/input_form.hpp>
#include <holon/model/stage.hpp>
#include <holon/optim/captured_step.hpp>
#include <holon/optim/loss_scale.hpp>

#include "pipeline/augment.hpp"
#include "pipeline/image.hpp"
#include "pipeline/interrupt.hpp"
#include "pipeline/loader.hpp"
#include "pipeline/options.hpp"
#include "pipeline/output.hpp"
#include "pipeline/progress.hpp"

namespace holon::pipeline {

/// What a network is trained or judged on: grey images of one size, each with a class.
struct SampleSet {
    int rows = 0, columns = 0;
    std::vector<int> labels;
    std::vector<std::string> names;               ///< for messages
    std::function<Image(std::size_t)> image;      ///< safe to call from several threads
    std::size_t size() const { return labels.size(); }
};

/// One prepared image of a batch.
struct Sample {
    Image image;
    op::Warp warp;
};

/// Grey pixels 0..255 of a batch as n x h x w x 1.
inline Tensor<float, Cpu> grey_batch(const std::vector<Sample>& samples, int rows, int columns) {
    Tensor<float, Cpu> grey({std::int64_t(samples.size()), rows, columns, 1});
    float* to = grey.data();
    for (const Sample& sample : samples)
        for (const std::uint16_t pixel : sample.image.pixels) *to++ = grey255(pixel);
    return grey;
}

/// Batches of so many images, one after the other where the device reads them: a recorded step finds the next one in the
/// place of the last.
template <Device D> class BatchInput {
 public:
    BatchInput(std::int64_t images, int rows, int columns, std::int64_t classes = 1)
        : grey({images, rows, columns, 1}), targets(classes) {}

    /// Of as many samples as there are images.
    void set(const std::vector<Sample>& samples) {
        copy_from_host(grey, grey_batch(samples, int(grey.shape().h), int(grey.shape().w)));
        std::vector<op::Warp> list;
        for (const Sample& sample : samples) list.push_back(sample.warp);
        warps.set(list);
    }

    Tensor<float, D> grey;
    op::Warps<D> warps;
    op::Targets<D> targets;
};

/// The network's input: warped, copied to three channels, in the form its weights expect.
template <Element T, Device D>
Variable<T, D> network_input(const BatchInput<D>& batch, const InputForm& form, bool bilinear) {
    auto& context = batch.grey.context();
    return Variable<T, D>(op::template convert<T>(
        context, op::affine_warp(context, batch.grey, batch.warps, form.warp(bilinear))));
}
template <Element T, Device D>
Variable<T, D> network_input(const std::vector<Sample>& samples, int rows, int columns, const InputForm& form,
                             bool bilinear) {
    BatchInput<D> batch(std::int64_t(samples.size()), rows, columns);
    batch.set(samples);
    return network_input<T>(batch, form, bilinear);
}

/// Class shares of every sample of a set, n rows of `classes` numbers, in evaluation mode, batch after batch.
/// `flip` says which of the four flips to look at.
struct Flip {
    bool horizontal = false, vertical = false;
};
template <class Net>
std::vector<std::vector<double>> predict(Net& net, const SampleSet& set, const InputForm& form, int batch, int workers,
                                         Flip flip = {}, const std::string& title = "evaluating") {
    using T = typename Net::element;
    using D = typename Net::device;
    const NoGrad no_grad;
    std::vector<std::vector<double>> shares(set.size());
    Loader<Sample> loader(
        set.size(),
        [&](std::size_t i, Random&) {
            Sample sample{set.image(i), {}};
            sample.warp.flip_horizontal = flip.horizontal;
            sample.warp.flip_vertical = flip.vertical;
            return sample;
        },
        {.batch = std::size_t(batch), .threads = workers, .seed = 0, .shuffle = false},
        [&](std::size_t i) { return set.names[i]; });
    Progress progress(title, set.size());
    std::size_t done = 0;
    loader.start(0);
    while (auto next = loader.next()) {
        const auto x = network_input<T, D>(next->items, set.rows, set.columns, form, false);
        const auto logits = net(x, Mode::evaluate);
        const auto y = to_host(op::softmax(logits.context(), logits.value()));
        const std::size_t classes = std::size_t(y.shape().c);
        for (std::size_t k = 0; k < next->items.size(); ++k)
            shares[next->indices[k]].assign(y.data() + k * classes, y.data() + (k + 1) * classes);
        progress.update(done += next->items.size());
        if (Interrupt::received()) break;
    }
    return shares;
}

/// What a validation pass found; `score` decides which checkpoint is best (larger is better).
struct Verdict {
    double score = 0;
    std::string columns;  ///< for the log, matching `Task::columns`
    std::string line;     ///< for a person
};

/// What --bn-mode says that batch norms of frozen layers do.
inline Statistics frozen_statistics(const Options& options) {
    return options.bn_mode == "legacy" ? Statistics::follow : Statistics::fixed;
}

/// Everything that differs between the trainers.
struct Task {
    const SampleSet* train = nullptr;
    std::vector<Stage> stages;
    std::string columns;   ///< names of the validation columns in the log
    Metadata metadata;     ///< what a checkpoint has to tell besides weights
    InputForm form;
    /// One step of the same network on `Plan`, frozen where `stage` freezes it, for the profile's work.
    std::function<void(const Stage& stage, const Shape& images)> planned_step;
    Recompute recompute = Recompute::nothing;
};

namespace detail {

inline long metadata_count(const SafetensorsFile& file, const std::string& key) {
    const auto found = file.metadata().find(key);
    expects<DataError>(found != file.metadata().end(), file.path(), ": no ", key, "; it cannot be resumed from");
    return std::strtol(found->second.c_str(), nullptr, 10);
}
inline double metadata_number(const SafetensorsFile& file, const std::string& key) {
    const auto found = file.metadata().find(key);
    expects<DataError>(found != file.metadata().end(), file.path(), ": no ", key, "; it cannot be resumed from");
    return std::strtod(found->second.c_str(), nullptr);
}
/// A double that reads back as the same bits.
inline std::string exact(double value) {
    char buffer[64];
    std::snprintf(buffer, sizeof buffer, "%a", value);
    return buffer;
}

}  // namespace detail

/// Runs the forward pass of a batch again with every result checked, so that the error names the first layer that is not
/// finite; parameters are looked at first.
template <class Net, class T, Device D>
void explain_non_finite(Net& net, const Variable<T, D>& x, const std::vector<int>& labels) {
    VisitorFor<Net> visit;
    visit.on_parameter = [](const std::string& name, auto& p) {
        if (!op::all_finite(p.value().context(), p.value()))
            throw NumericError(text("the parameter ", name, " is no longer finite; a smaller --rates or --clip helps"));
    };
    visit(std::string_view(), net);
    const NoGrad no_grad;
    const CheckFinite check;
    const auto logits = net(x, Mode::train);
    cross_entropy(logits, std::span<const int>(labels));
}

/// What the trainers read of a step, with one wait.
template <class A, Device D> struct StepResult {
    Tensor<A, D> loss, logits;
    Tensor<A, D> scale;  ///< `step_scale`'s answer, where the step went as far as the optimizer
};

/// One step of `net`, which lives on `Plan`, in `stage`.
template <class Net> void plan_stage_step(Net net, const Stage& stage, Statistics frozen, const Shape& images) {
    using T = typename Net::element;
    enter_stage(net, stage, frozen);
    auto adam = make_adam(net, {});
    const std::vector<int> labels(std::size_t(images.n), 0);
    cross_entropy(net(Variable<T, Plan>(Tensor<T, Plan>(images)), Mode::train), std::span<const int>(labels)).backward();
    adam.step(net);
}

/// Prints where the time of the profiled steps went.
template <Device D>
void print_stage_profile(Profile<D>& profile, const Task& task, const Stage& stage, const Shape& images) {
    if (profile.steps() == 0) return;
    Profile<Plan> plan;
    plan.start();
    task.planned_step(stage, images);
    plan.stop();
    profile.take_work(plan);
    std::cout << "profile of stage " << stage.name << ", images " << images << ":\n";
    print_profile(std::cout, profile);
}

/// Runs the stages on `net`. After each epoch `validate(net)` is asked; the best so far is kept as best.safetensors, the
/// last with everything needed to go on as last.safetensors, the log as log.csv, all in `options.out`. Returns 0, or
/// 128 + signal after an interrupt, once the step under way is done and saved.
/// A loss that is not finite ends the run with a `NumericError` that names the first layer; last.safetensors stays as the
/// last good epoch left it.
template <class Net>
int run_training(Net& net, const Task& task, const Options& options,
                 const std::function<Verdict(Net&)>& validate) {
    using T = typename Net::element;
    using D = typename Net::device;
    const SampleSet& set = *task.train;
    const std::string last_path = options.out + "/last.safetensors", best_path = options.out + "/best.safetensors";
    const Statistics frozen = frozen_statistics(options);
    const Recomputing recomputing(task.recompute);

    Loader<Sample> loader(
        set.size(),
        [&](std::size_t i, Random& random) {
            Sample sample{set.image(i), {}};
            if (options.augment) sample.warp = draw_warp(set.rows, set.columns, random);
            return sample;
        },
        {.batch = std::size_t(options.batch), .threads = options.workers, .seed = options.seed, .shuffle = true},
        [&](std::size_t i) { return set.names[i]; });
    const std::size_t batches = (set.size() + std::size_t(options.batch) - 1) / std::size_t(options.batch);

    // Where the run stands; every field is in last.safetensors.
    std::size_t stage = 0, epoch_in_stage = 0, epoch = 0, batch = 0;
    double loss_sum = 0, best = -1;
    long samples_done = 0, correct = 0;
    auto adam = make_adam(net, {});
    constexpr bool scaled = std::same_as<T, half>;  // the other types reach as far down as float
    LossScale loss_scale;
    const auto scale_now = [&] { return scaled ? loss_scale.scale() : 1.0; };
    using A = Accumulate<T>;
    std::map<std::size_t, BatchInput<D>> inputs;  // by how many images: all batches but the last of an epoch have the same
    const auto note = [](const std::string& sentence) { std::cout << "note: " << sentence << '\n'; };
    CapturedStep<Net, StepResult<A, D>> captured(net, {.recorded = options.graph, .say = note});

    if (options.resume) {
        const SafetensorsFile file(last_path);
        load_network(file, net);
        load_optimizer(file, net, adam);
        stage = std::size_t(detail::metadata_count(file, "holon.stage"));
        epoch_in_stage = std::size_t(detail::metadata_count(file, "holon.stage.epoch"));
        epoch = std::size_t(detail::metadata_count(file, "holon.epoch"));
        batch = std::size_t(detail::metadata_count(file, "holon.epoch.batch"));
        loss_sum = detail::metadata_number(file, "holon.loss.sum");
        best = detail::metadata_number(file, "holon.best");
        samples_done = detail::metadata_count(file, "holon.samples");
        correct = detail::metadata_count(file, "holon.correct");
        if (scaled)
            loss_scale.restore(detail::metadata_number(file, "holon.loss.scale"),
                               int(detail::metadata_count(file, "holon.loss.scale.good")));
        for (const auto& [key, value] : task.metadata) {
            const auto found = file.metadata().find(key);
            expects<DataError>(found != file.metadata().end() && found->second == value, last_path, " was made with ", key,
                               " = ", found == file.metadata().end() ? "nothing" : found->second, ", this run has ", value,
                               "; resume with the options it was started with");
        }
        load_engines(file, default_context<D>(), note);
        std::cout << "resuming at epoch " << epoch + 1 << ", batch " << batch << '\n';
    }
    CsvLog log(options.out + "/log.csv",
               "epoch,stage,rate,l2,loss,penalty,accuracy," + task.columns + ",seconds,gib_peak",
               options.resume ? read_log_rows(options.out + "/log.csv", epoch) : std::vector<std::string>());

    const auto metadata = [&] {
        Metadata all = task.metadata;
        add_input_form(all, task.form);
        add_engines(all, default_context<D>());
        all["holon.stage"] = text(stage);
        all["holon.stage.epoch"] = text(epoch_in_stage);
        all["holon.epoch"] = text(epoch);
        all["holon.epoch.batch"] = text(batch);
        all["holon.loss.sum"] = detail::exact(loss_sum);
        all["holon.best"] = detail::exact(best);
        all["holon.samples"] = text(samples_done);
        all["holon.correct"] = text(correct);
        if (scaled) {
            all["holon.loss.scale"] = detail::exact(loss_scale.scale());
            all["holon.loss.scale.good"] = text(loss_scale.good());
        }
        return all;
    };

    for (; stage < task.stages.size(); ++stage, epoch_in_stage = 0) {
        const Stage& now = task.stages[stage];
        enter_stage(net, now, frozen);
        captured.forget();
        if (epoch_in_stage == 0 && batch == 0) adam = make_adam(net, {});
        adam.prepare(net);
        adam.options.rate = now.rate;
        adam.options.decay.l2 = now.l2;
        std::cout << "stage " << now.name << ": " << now.epochs << " epochs, rate " << now.rate << ", l2 " << now.l2
                  << ", learning " << count_parameters(net, true) << " of " << count_parameters(net) << '\n';
        for (; epoch_in_stage < std::size_t(now.epochs); ++epoch_in_stage) {
            Progress progress(text("epoch ", epoch + 1), batches);
            loader.start(epoch, batch);
            int pending = 0;
            std::optional<Profile<D>> profile;
            while (auto next = loader.next()) {
                // The first step makes what later ones find ready; a last one of fewer images would blur the mean.
                const bool profiled = profile && next->items.size() == std::size_t(options.batch);
                if (profiled) profile->start();
                std::vector<int> labels;
                for (const std::size_t i : next->indices) labels.push_back(set.labels[i]);
                const std::vector<float> weights = options.balance ? balanced_weights(labels) : std::vector<float>();
                BatchInput<D>& input =
                    inputs.try_emplace(labels.size(), std::int64_t(labels.size()), set.rows, set.columns,
                                       net.fc.weight.shape().n)
                        .first->second;
                input.set(next->items);
                input.targets.set(labels, weights);
                ++batch;
                const bool steps = ++pending == options.accumulate || batch == batches;
                const auto& result = captured.run(adam, std::tie(input.grey, input.warps, input.targets, steps), [&] {
                    const auto x = network_input<T>(input, task.form, options.bilinear);
                    holon::detail::lap("input", Pass::forward);
                    const auto given = net(x, Mode::train);
                    const auto loss = cross_entropy(given, input.targets);
                    loss.backward(provided<A, D>({1, 1, 1, 1}, [&](std::span<A> to) {
                        to[0] = A(scale_now() / options.accumulate);
                    }));
                    StepResult<A, D> out{loss.value(), given.value(), {}};
                    if (steps) {
                        out.scale = step_scale(net, loss.value(), scaled || options.clip > 0,
                                               [&] { return op::StepLimit{1 / scale_now(), options.clip}; });
                        adam.step(net, out.scale);
                        clear_gradients(net);
                    }
                    return out;
                });
                const auto [loss, logits, scale] = to_host_together(result.loss, result.logits, result.scale);
                const double value = double(loss.data()[0]);
                if (!std::isfinite(value)) {  // the optimizer left such a step out: the parameters are those that led here
                    explain_non_finite(net, network_input<T>(input, task.form, options.bilinear), labels);
                    throw NumericError(text("the loss is not finite at epoch ", epoch + 1, ", batch ", batch,
                                            "; a smaller --rates or --clip helps; ", last_path, " is the last good epoch"));
                }
                if (steps) {
                    pending = 0;
                    const bool taken = scale.data()[1] != 0;
                    if (!taken && !scaled)
                        throw NumericError(text("the gradient is not finite at epoch ", epoch + 1, ", batch ", batch,
                                                "; smaller --rates help; ", last_path, " is the last good epoch"));
                    if (!taken) adam.take_back();
                    if (scaled) loss_scale.accept(taken ? double(scale.data()[2]) : std::numeric_limits<double>::infinity());
                }
                if (profiled) profile->stop();
                if (options.profile && epoch_in_stage == 0 && !profile) profile.emplace();
                loss_sum += value * double(labels.size());
                samples_done += long(labels.size());
                const auto classes = logits.shape().c;
                for (std::size_t k = 0; k < labels.size(); ++k) {
                    const auto* row = logits.data() + std::int64_t(k) * classes;
                    correct += std::max_element(row, row + classes) - row == labels[k];
                }
                progress.update(batch, text("loss ", loss_sum / double(samples_done)));
                if (Interrupt::received() && pending == 0) break;
            }
            if (Interrupt::received()) {
                save(last_path, net, adam, metadata());
                std::cerr << "interrupted: saved " << last_path << " at epoch " << epoch + 1 << ", batch " << batch << " of "
                          << batches << "; --resume goes on\n";
                return Interrupt::exit_code();
            }
            const double seconds = progress.seconds();
            if (profile) print_stage_profile(*profile, task, now, {options.batch, set.rows, set.columns, 3});
            profile.reset();
            const Verdict verdict = validate(net);
            forget_forms(net);  // filters as evaluation kept them: the next step has other uses for the memory
            if (Interrupt::received()) {  // the verdict is half: judge again after resuming
                save(last_path, net, adam, metadata());
                std::cerr << "interrupted: saved " << last_path << " before the validation of epoch " << epoch + 1 << '\n';
                return Interrupt::exit_code();
            }
            const double penalty = l2_penalty(net, now.l2);
            const MemoryUse memory = default_context<D>().memory().use();
            log.row(text(epoch + 1, ',', now.name, ',', now.rate, ',', now.l2, ',', loss_sum / double(samples_done), ',',
                         penalty, ',', double(correct) / double(samples_done), ',', verdict.columns, ',', seconds, ',',
                         double(memory.peak) / double(1 << 30)));
            std::cout << "epoch " << epoch + 1 << " (" << now.name << ")  loss " << loss_sum / double(samples_done)
                      << "  accuracy " << double(correct) / double(samples_done) << "  " << verdict.line << "  "
                      << seconds << " s" << std::endl;
            ++epoch;
            batch = 0, loss_sum = 0, samples_done = 0, correct = 0;
            const bool better = verdict.score > best;
            if (better) best = verdict.score;
            ++epoch_in_stage;  // the file says where to go on
            if (better) save(best_path, net, metadata());
            save(last_path, net, adam, metadata());
            --epoch_in_stage;
        }
    }
    return 0;
}

}  // namespace holon::pipeline
