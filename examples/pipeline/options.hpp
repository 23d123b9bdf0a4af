// pipeline/options.hpp: the options that all programs share, said and checked in one place.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace holon::pipeline {

struct ImageSize {
    int rows = 1152, columns = 896;
};

/// What a program was asked to do. A field that a program does not offer keeps its default.
struct Options {
    std::string data;
    std::string size = "1152x896";
    int batch = 0;  ///< 0: the program's own
    std::string precision = "fp32";
    std::string device = "cpu";
    std::string memory;  ///< the device's size to stay within, like 8GiB; empty: all there is
    bool tf32 = false, nondeterministic = false;  ///< GPU: see gpu::Numerics
    int workspace_mib = 256, timed_engines = 1;   ///< GPU: see gpu::Settings
    std::uint64_t seed = 1;
    int workers = 1;
    std::string splits;  ///< a file of patients and splits to use instead of drawing one
    std::string fold;    ///< "K/N": test on fold K of N, K from 1
    double train_share = 1;  ///< of the training patients, to learn from
    std::string out;
    std::string input_form;
    std::string weights;

    // training
    std::string network = "resnet50";
    std::string top = "256x1,128x1";
    int patch = 224;
    int per_lesion = 10;
    double min_breast = 0;
    std::string epochs, rates, l2;  ///< lists over the stages; empty: the paper's
    std::string bn_mode = "legacy";
    std::string recompute = "nothing";
    bool graph = true;  ///< GPU: steps are recorded as CUDA graphs
    bool resume = false;
    bool profile = false;
    std::string augment = "all";
    std::string from;          ///< the first layer that learns, of each stage; empty: the paper's
    std::string cache_frozen;  ///< a folder for what frozen layers make of the images
    bool bilinear = false;
    bool balance = true;
    double dropout = 0.5;
    double clip = 0;
    int accumulate = 1;

    // planning
    std::string gpu = "rtx4060-8gb";
    bool list = false, layers = false;
    std::string describe;  ///< where to write the card at hand

    // evaluation
    std::vector<std::string> checkpoints;  ///< or, for `auc`, files of scores
    std::vector<std::string> against;
    std::string checkpoint;  ///< where one is asked for
    std::string split = "test";
    bool tta = false;
    std::vector<std::string> images;

    /// `size` read; `DataError` if it is not HxW.
    ImageSize image_size() const;
};

/// What a program offers besides --help and --version; the first four also take --data, --size, --batch, --precision,
/// --seed and --workers.
enum class Offer { patch_training, whole_training, evaluation, heatmap, scores, planning };

/// Reads the command line over `options`, runs `body` and turns what went wrong into a sentence on standard error and an
/// exit code: 0 done; 2 for whatever a user can mend (options, data, files, memory); 128 + signal when interrupted.
int run_program(const char* description, Offer offer, Options options, int argc, char** argv,
                const std::function<int(const Options&)>& body);

/// --version, and what `with_device` takes: --device, --precision, --memory, and what convolutions on a GPU may do.
void add_device_options(CLI::App& app, Options& options);

/// "3,10,37" as numbers, one for each of `stages` stages; `DataError` naming `option` otherwise.
std::vector<double> parse_list(const std::string& option, const std::string& value, std::size_t stages);

}  // namespace holon::pipeline
