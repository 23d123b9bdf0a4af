// pipeline/models.cpp: schedules read, command lines checked, and what a run says about itself.
#include "pipeline/models.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <sstream>

#include <holon/version.hpp>

#include "pipeline/recompute.hpp"
#include "pipeline/train.hpp"

namespace holon::pipeline {

const std::string& metadata_value(const SafetensorsFile& file, const std::string& key) {
    const auto found = file.metadata().find(key);
    expects<DataError>(found != file.metadata().end(), file.path(), ": no ", key,
                       " in the metadata; it was not written by these trainers");
    return found->second;
}

TrunkStart start_of(const Options& options, double mean) {
    TrunkStart start{options.network, {}};
    if (options.weights.empty()) {
        // Random weights expect nothing in particular: about unit variance suits their initialisation.
        start.form = input_form(options.input_form.empty() ? "paper" : options.input_form, float(mean), 1 / 57.6f);
        return start;
    }
    const SafetensorsFile file(options.weights);
    if (const auto found = file.metadata().find("holon.network"); found != file.metadata().end())
        start.network = found->second;
    start.form = read_input_form(options.weights, file.metadata(), options.input_form);
    return start;
}

std::vector<Stage> stages_of(const Options& options, std::vector<Stage> stages, bool scratch) {
    if (scratch) {
        Stage all = stages.back();
        all.rate = 1e-3;
        all.epochs = 0;
        for (const Stage& stage : stages) all.epochs += stage.epochs;
        stages.assign(1 + std::size_t(std::count(options.epochs.begin(), options.epochs.end(), ',')), all);
    }
    if (!options.epochs.empty()) {
        const auto epochs = parse_list("--epochs", options.epochs, stages.size());
        double sum = 0;
        for (std::size_t i = 0; i < stages.size(); ++i) {
            expects<DataError>(epochs[i] <= 1e6 && epochs[i] == std::floor(epochs[i]), "--epochs ", options.epochs,
                               ": ", epochs[i], " is not a whole number from 0 to 1000000");
            sum += epochs[i];
            stages[i].epochs = int(epochs[i]);
        }
        expects<DataError>(sum > 0, "--epochs ", options.epochs, ": no epoch in any stage; nothing would be trained");
    }
    if (!options.from.empty()) {
        std::istringstream in(options.from);
        std::size_t given = 0;
        for (std::string first; std::getline(in, first, ','); ++given) {
            if (given >= stages.size()) continue;
            stages[given].learns.clear();
            stages[given].from = first == "all" ? "" : first;
        }
        expects<DataError>(given == stages.size(), "--from ", options.from, ": ", given, " given for ", stages.size(),
                           stages.size() == 1 ? " stage" : " stages",
                           "; give the first learning layer of each, separated by commas, or all");
    }
    if (!options.rates.empty()) {
        const auto rates = parse_list("--rates", options.rates, stages.size());
        for (std::size_t i = 0; i < stages.size(); ++i) stages[i].rate = rates[i];
    }
    if (!options.l2.empty()) {
        const auto l2 = parse_list("--l2", options.l2, stages.size());
        for (std::size_t i = 0; i < stages.size(); ++i) stages[i].l2 = l2[i];
    }
    return stages;
}

void check_training(const Options& options, const std::vector<Stage>& stages) {
    stages_of(options, stages, options.weights.empty());
    expects<DataError>(text(", ", trunk_names, ',').find(text(", ", options.network, ',')) != std::string::npos,
                       "--network ", options.network, " is not known; there are ", trunk_names);
    if (!options.input_form.empty()) input_form(options.input_form);
    expects<DataError>(options.cache_frozen.empty() || parse_augmentation(options.augment) != Augmentation::all,
                       "--cache-frozen keeps what frozen layers make of an image or one of its flips; --augment all makes a "
                       "new image every time, so nothing could be used again: choose --augment flips, mirror or none");
    if (!options.weights.empty()) {
        const SafetensorsFile file(options.weights);
        read_input_form(options.weights, file.metadata(), options.input_form);
    }
    const std::string last = options.out + "/last.safetensors";
    expects<DataError>(!options.resume || std::filesystem::exists(last), "--resume: there is no ", last,
                       " to go on from; leave --resume out to begin, or check --out");
}

Metadata run_metadata(const Options& options, const std::string& kind, const std::string& network,
                             const SampleSet& train) {
    return {{"format", "pt"},
            {"holon.version", holon::version},
            {"holon.kind", kind},
            {"holon.network", network},
            {"holon.precision", options.precision},
            {"holon.seed", text(options.seed)},
            {"holon.data", options.data},
            {"holon.size", kind == "patch" ? text(options.patch, 'x', options.patch) : options.size},
            {"holon.image_size", options.size},
            {"holon.batch", text(options.batch)},
            {"holon.bn_mode", options.bn_mode},
            {"holon.samples_per_epoch", text(train.size())},
            {"holon.schedule", text("epochs ", options.epochs, "; rates ", options.rates, "; l2 ", options.l2, "; from ", options.from)},
            {"holon.training",
             text("clip ", options.clip, "; accumulate ", options.accumulate, "; balance ", options.balance,
                  "; augment ", options.augment, options.bilinear ? " bilinear" : " nearest",
                  options.train_share < 1 ? text("; train share ", options.train_share) : "", "; dropout ",
                  kind == "patch"
                      ? text(options.dropout, "; per lesion ", options.per_lesion, "; breast ", options.min_breast)
                      : "0")}};
}

void print_header(std::ostream& out, const Options& options, const Task& task, const TrunkStart& start) {
    out << "holon " << holon::version << ": " << start.network << ", " << options.precision << ", " << options.batch
        << " images of " << task.train->rows << 'x' << task.train->columns << " a step, " << task.train->size()
        << " a pass\n"
        << "input " << task.form.name << ": mean " << task.form.mean[0] << ' ' << task.form.mean[1] << ' '
        << task.form.mean[2] << ", scale " << task.form.scale[0] << ' ' << task.form.scale[1] << ' '
        << task.form.scale[2] << '\n'
        << "Adam, coupled l2 on new kernels; batch norm of frozen layers: "
        << (options.bn_mode == "legacy" ? "follows the batch (legacy)" : "fixed (frozen)") << "; recompute "
        << recompute_name(task.recompute) << "; class weights " << (options.balance ? "balanced in each batch" : "1")
        << "; augmentation " << options.augment << "; seed " << options.seed << "; deterministic\n";
}

}  // namespace holon::pipeline
