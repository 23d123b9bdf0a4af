// pipeline/train.hpp: the loop that both trainers run: stages of epochs, batches in an order that any stop can go on from.
#pragma once
#include <array>
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
#include <holon/loss/balance.hpp>
#include <holon/model/stage.hpp>
#include <holon/optim/captured_step.hpp>
#include <holon/optim/loss_scale.hpp>

#include "pipeline/augment.hpp"
#include "pipeline/frozen_front.hpp"
#include "pipeline/interrupt.hpp"
#include "pipeline/loader.hpp"
#include "pipeline/options.hpp"
#include "pipeline/output.hpp"
#include "pipeline/predict.hpp"
#include "pipeline/progress.hpp"
#include "pipeline/stage_profile.hpp"

namespace holon::pipeline {

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
    PlannedStep planned_step;
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
template <class Net, class Answer>
void explain_non_finite(Net& net, const Answer& answer, const std::vector<int>& labels) {
    VisitorFor<Net> visit;
    visit.on_parameter = [](const std::string& name, auto& p) {
        if (!op::all_finite(p.value().context(), p.value()))
            throw NumericError(text("the parameter ", name, " is no longer finite; a smaller --rates or --clip helps"));
    };
    visit(std::string_view(), net);
    const NoGrad no_grad;
    const CheckFinite check;
    const auto logits = answer();
    cross_entropy(logits, std::span<const int>(labels));
}

/// What the trainers read of a step, with one wait.
template <class A, Device D> struct StepResult {
    Tensor<A, D> loss, logits;
    Tensor<A, D> scale;  ///< `step_scale`'s answer, where the step went as far as the optimizer
};

/// A batch whose input was filled.
template <Element T, Device D> struct FilledBatch {
    std::vector<int> labels;
    std::vector<Sample> items;
    BatchInput<T, D>* input;
};

/// A step whose results are on their way.
template <Element T, Device D> struct StepTaken {
    FilledBatch<T, D> of;
    std::size_t batch;
    bool steps;  ///< the optimizer's turn
};

/// Runs the stages on `net`, its images through `front`. After each epoch `validate(net)` is asked; the best so far is kept as best.safetensors, the
/// last with everything needed to go on as last.safetensors, the log as log.csv, all in `options.out`. Returns 0, or
/// 128 + signal after an interrupt, once the step under way is done and saved.
/// A loss that is not finite ends the run with a `NumericError` that names the first layer; last.safetensors stays as the
/// last good epoch left it.
template <class Net>
int run_training(Net& net, const Task& task, FrozenFront<Net>& front, const Options& options,
                 const std::function<Verdict(Net&)>& validate) {
    using T = typename Net::element;
    using D = typename Net::device;
    const SampleSet& set = *task.train;
    const std::string last_path = options.out + "/last.safetensors", best_path = options.out + "/best.safetensors";
    const Statistics frozen = frozen_statistics(options);
    const Recomputing recomputing(task.recompute);
    const Augmentation augmentation = parse_augmentation(options.augment);

    Loader<Sample> loader(
        set.size(),
        [&](std::size_t i, Random& random) {
            return front.prepare(set.image(i), draw_warp(augmentation, set.rows, set.columns, random));
        },
        {.batch = std::size_t(options.batch), .threads = options.workers, .seed = options.seed, .shuffle = true},
        [&](std::size_t i) { return set.names[i]; });
    const std::size_t batches = (set.size() + std::size_t(options.batch) - 1) / std::size_t(options.batch);

    // Where the run stands; every field is in last.safetensors.
    std::size_t stage = 0, epoch_in_stage = 0, epoch = 0, batch = 0;
    double loss_sum = 0, best = -1;
    long samples_done = 0, correct = 0;
    auto adam = make_adam(net, {});
    constexpr bool scaled = std::same_as<T, float16>;  // the other types reach as far down as float
    LossScale loss_scale;
    const auto scale_now = [&] { return scaled ? loss_scale.scale() : 1.0; };
    using A = Accumulate<T>;
    DeviceCopies<D> copies;
    std::map<std::size_t, BatchInput<T, D>> inputs;  // by how many images: all batches but the last of an epoch have the same
    const auto note = [](const std::string& sentence) { std::cout << "note: " << sentence << '\n'; };
    CapturedStep<Net, StepResult<A, D>> captured(net, {.recorded = options.graph, .say = note});
    std::array<HostCopies<D, A, A, A>, 2> reads;  // of this step and the one before it

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
        front.enter(net);
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
            bool profiled = false;  // the step is
            // What a step gave is read a step late, so that the card has the next one before this machine looks at it. Not
            // where the next step depends on it (loss scaling), nor where steps are timed one by one.
            const bool late = std::same_as<D, Gpu> && !scaled && !options.profile;
            // The next batch is on its way to the card before this machine waits for a step. Not where steps are timed.
            const bool ahead = std::same_as<D, Gpu> && !options.profile;
            const auto fill_next = [&]() -> std::optional<FilledBatch<T, D>> {
                auto next = loader.next();
                if (!next) return std::nullopt;
                // The first step makes what later ones find ready; a last one of fewer images would blur the mean.
                profiled = profile && next->items.size() == std::size_t(options.batch);
                if (profiled) profile->start();
                std::vector<int> labels;
                for (const std::size_t i : next->indices) labels.push_back(set.labels[i]);
                const std::vector<float> weights = options.balance ? balanced_weights(labels) : std::vector<float>();
                BatchInput<T, D>& input =
                    inputs.try_emplace(labels.size(), std::int64_t(labels.size()), set.rows, set.columns,
                                       net.fc.weight.shape().n, &copies)
                        .first->second;
                front.fill(net, input, next->items, Mode::train);
                input.targets.set(labels, weights);
                return FilledBatch<T, D>{std::move(labels), std::move(next->items), &input};
            };
            std::optional<StepTaken<T, D>> under_way;
            const auto settle = [&](StepTaken<T, D>& step) {
                const auto& [loss, logits, scale] = reads[step.batch % 2].finish();
                const double value = double(loss.data()[0]);
                if (!std::isfinite(value)) {  // the optimizer left such a step out: the parameters are those that led here
                    if (ahead) front.fill(net, *step.of.input, step.of.items, Mode::train);  // it may hold a later batch
                    explain_non_finite(net, [&] { return front.answer(net, *step.of.input, options.bilinear, Mode::train); },
                                       step.of.labels);
                    throw NumericError(text("the loss is not finite at epoch ", epoch + 1, ", batch ", step.batch,
                                            "; a smaller --rates or --clip helps; ", last_path, " is the last good epoch"));
                }
                if (step.steps) {
                    const bool taken = scale.data()[1] != 0;
                    if (!taken && !scaled)
                        throw NumericError(text("the gradient is not finite at epoch ", epoch + 1, ", batch ", step.batch,
                                                "; smaller --rates help; ", last_path, " is the last good epoch"));
                    if (!taken) adam.take_back();
                    if (scaled) loss_scale.accept(taken ? double(scale.data()[2]) : std::numeric_limits<double>::infinity());
                }
                const std::vector<int>& labels = step.of.labels;
                loss_sum += value * double(labels.size());
                samples_done += long(labels.size());
                const auto classes = logits.shape().c;
                for (std::size_t k = 0; k < labels.size(); ++k) {
                    const auto* row = logits.data() + std::int64_t(k) * classes;
                    correct += std::max_element(row, row + classes) - row == labels[k];
                }
                progress.update(step.batch, text("loss ", loss_sum / double(samples_done)));
            };
            auto next = fill_next();
            while (next) {
                BatchInput<T, D>& input = *next->input;
                ++batch;
                const bool steps = ++pending == options.accumulate || batch == batches;
                const auto& result = captured.run(adam, std::tie(input.grey, input.maps, input.warps, input.targets, steps), [&] {
                    const auto given = front.answer(net, input, options.bilinear, Mode::train);
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
                if (steps) pending = 0;
                reads[batch % 2].start(result.loss, result.logits, result.scale);
                StepTaken<T, D> taken{std::move(*next), batch, steps};
                next.reset();
                const auto interrupted = [&] { return Interrupt::received() && pending == 0; };
                if (ahead && !interrupted()) next = fill_next();
                if (late) {
                    auto before = std::exchange(under_way, std::move(taken));
                    if (before) settle(*before);
                } else {
                    settle(taken);
                }
                if (profiled) profile->stop();
                if (options.profile && epoch_in_stage == 0 && !profile) profile.emplace();
                if (interrupted()) break;
                if (!ahead) next = fill_next();
            }
            if (under_way) settle(*under_way);
            if (Interrupt::received()) {
                save(last_path, net, adam, metadata());
                std::cerr << "interrupted: saved " << last_path << " at epoch " << epoch + 1 << ", batch " << batch << " of "
                          << batches << "; --resume goes on\n";
                return Interrupt::exit_code();
            }
            const double seconds = progress.seconds();
            if (profile) print_stage_profile(*profile, task.planned_step, now, {options.batch, set.rows, set.columns, 3});
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
