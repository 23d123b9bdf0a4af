// pipeline/models.hpp: what a run starts from and what its checkpoints tell about it.
#pragma once
#include <iostream>
#include <string>
#include <vector>

#include <holon/checkpoint/network.hpp>
#include <holon/model/input_form.hpp>
#include <holon/model/stage.hpp>

#include "pipeline/options.hpp"
#include "pipeline/samples.hpp"

namespace holon::pipeline {

struct Task;

/// The network and the input form a run begins with: --weights decides where it can tell.
struct TrunkStart {
    std::string network;
    InputForm form;
};

const std::string& metadata_value(const SafetensorsFile& file, const std::string& key);

/// `mean` is the training images' mean grey level, for weights made from nothing.
TrunkStart start_of(const Options& options, double mean);

/// The schedule: the paper's, or what --epochs, --rates and --l2 make of it. From random weights a stage that trains the
/// head alone has nothing to stand on: `scratch` leaves one stage that trains everything, or as many as --epochs has numbers.
std::vector<Stage> stages_of(const Options& options, std::vector<Stage> stages, bool scratch);

/// Refuses, before any image is read, what the command line alone shows to be wrong. `stages` is the paper's schedule.
void check_training(const Options& options, const std::vector<Stage>& stages);

/// Fills the trunk from --weights; whatever head the file has (fc, top, torchvision's classifier) is passed over,
/// aloud.
template <class Net> void load_trunk(const std::string& path, Net& net) {
    const SafetensorsFile file(path);
    const LoadReport report =
        load_network(file, net, {.fresh = {"fc"}, .skip = {"fc", "top", "classifier", "heatmap"}});
    for (const std::string& notice : report.notices) std::cout << "note: " << notice << '\n';
    std::cout << "weights: " << report.loaded << " tensors from " << path << '\n';
}

/// What a checkpoint tells about the run that made it; a resumed run must agree with every entry.
Metadata run_metadata(const Options& options, const std::string& kind, const std::string& network,
                             const SampleSet& train);

/// The run's header: everything that changes numbers, said aloud.
void print_header(std::ostream& out, const Options& options, const Task& task, const TrunkStart& start);

}  // namespace holon::pipeline
