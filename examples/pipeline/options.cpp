// pipeline/options.cpp: the options that programs share, and what becomes of errors.
#include "pipeline/options.hpp"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <iostream>
#include <new>
#include <sstream>

#include <holon/core/error.hpp>
#include <holon/version.hpp>

#include "pipeline/interrupt.hpp"
#include "pipeline/validators.hpp"

namespace holon::pipeline {

ImageSize Options::image_size() const {
    const std::size_t cross = size.find('x');
    ImageSize read_size;
    const auto read = [&](std::string_view part, int& value) {
        const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
        return error == std::errc() && end == part.data() + part.size() && value >= 32 && value <= 16384;
    };
    expects<DataError>(cross != size.npos && read(std::string_view(size).substr(0, cross), read_size.rows) &&
                           read(std::string_view(size).substr(cross + 1), read_size.columns),
                       "--size ", size, ": rows x columns is needed, like 1152x896, each from 32 to 16384");
    return read_size;
}

namespace {
void add_convolution_options(CLI::App& app, Options& o) {
    app.add_flag("--tf32", o.tf32, "GPU, fp32: tensor cores may round inputs to 10 bits of fraction");
    app.add_flag("--nondeterministic", o.nondeterministic, "GPU: engines whose bits differ from run to run may be used");
    app.add_option("--workspace", o.workspace_mib, "GPU: MiB that a convolution may take while it runs")
        ->check(CLI::Range(0, 1 << 20))
        ->capture_default_str();
}
}  // namespace

void add_device_options(CLI::App& app, Options& o) {
    app.set_version_flag("--version", std::string("holon ") + holon::version);
    app.add_option("--precision", o.precision, "fp32 | bf16 | fp16 (GPU)")
        ->check(CLI::IsMember({"fp32", "bf16", "fp16"}))
        ->capture_default_str();
    app.add_option("--device", o.device, "cpu | gpu | gpu:N | auto: the GPU if there is one")->capture_default_str();
    app.add_option("--memory", o.memory, "stay within what a device of this size has, like 8GiB");
    add_convolution_options(app, o);
    app.add_option("--timed-engines", o.timed_engines,
                   "GPU: engines of each convolution that are timed before the fastest is kept; 1: the heuristics' first")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
}

std::vector<double> parse_list(const std::string& option, const std::string& value, std::size_t stages) {
    std::vector<double> out;
    std::istringstream in(value);
    in.imbue(std::locale::classic());
    for (std::string part; std::getline(in, part, ',');) {
        double number = 0;
        const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
        expects<DataError>(
            error == std::errc() && end == part.data() + part.size() && number >= 0 && std::isfinite(number), option,
            " ", value, ": \"", part, "\" is not a number of at least 0");
        out.push_back(number);
    }
    expects<DataError>(out.size() == stages, option, " ", value, ": ", out.size(), " given for ", stages,
                       stages == 1 ? " stage" : " stages", "; give one number for each, separated by commas");
    return out;
}

namespace {

void add_options(CLI::App& app, Offer offer, Options& o) {
    app.option_defaults()->take_last();  // said twice, the later one counts
    if (offer == Offer::scores || offer == Offer::planning)
        app.set_version_flag("--version", std::string("holon ") + holon::version);
    if (offer == Offer::scores) {
        app.add_option("--seed", o.seed, "of the bootstrap")->check(seed_range)->capture_default_str();
        app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::Throw);
        app.add_option("scores", o.checkpoints, "scores.csv files, pooled")->required();
        app.add_option("--against", o.against, "scores.csv files of another way, on the same images");
        return;
    }
    if (offer == Offer::planning) {
        app.add_option("--network", o.network, "resnet50 | resnet50-keras | resnet14 | vgg16")->capture_default_str();
        app.add_option("--top", o.top, "blocks on the trunk: 256x1,128x1 or [512-512-1024]x2,...")->capture_default_str();
        app.add_option("--size", o.size, "rows x columns of whole images")->capture_default_str();
        app.add_option("--batch", o.batch, "images a step")->check(CLI::Range(1, 65536))->capture_default_str();
        app.add_option("--precision", o.precision, "fp32 | bf16 | fp16")
            ->check(CLI::IsMember({"fp32", "bf16", "fp16"}))
            ->capture_default_str();
        add_convolution_options(app, o);
        app.add_option("--gpu", o.gpu, "a card of --list, or a .json file that describes one")->capture_default_str();
        app.add_option("--describe", o.describe, "write the card at hand (--device) to this .json file, and stop");
        app.add_option("--device", o.device, "gpu | gpu:N: the card to describe")->capture_default_str();
        app.add_flag("--list", o.list, "the cards that are known");
        app.add_flag("--layers", o.layers, "every op: engine, workspace, arithmetic, traffic, least time");
        return;
    }
    const std::string data_help =
        "phantom:DIR | mias:DIR | cbis-ddsm-mass:DIR | manifest:FILE.csv";
    app.add_option("--data", o.data, data_help)->required(offer != Offer::heatmap);
    const bool trained = offer == Offer::evaluation || offer == Offer::heatmap;
    app.add_option("--size", o.size,
                   trained ? "rows x columns that whole images are resized to (default: as the checkpoint was trained)"
                           : "rows x columns that whole images are resized to")
        ->capture_default_str();
    app.add_option("--batch", o.batch, "images a step")->check(CLI::Range(1, 65536))->capture_default_str();
    add_device_options(app, o);
    app.add_option("--seed", o.seed, "of weights, splits, order, augmentation")
        ->check(seed_range)
        ->capture_default_str();
    app.add_option("--workers", o.workers, "threads that prepare images")
        ->check(CLI::Range(1, 256))
        ->capture_default_str();
    app.add_option("--input-form", o.input_form,
                   "torchvision | keras | paper: what numbers the weights expect; needed where a file does not say");
    app.add_option("--splits", o.splits, "CSV of patient,split to use instead of drawing one");
    app.add_option("--fold", o.fold, "K/N: test on fold K (from 1) of N folds of patients");
    const bool training = offer == Offer::patch_training || offer == Offer::whole_training;
    app.add_option("--out", o.out, "folder to write to")->required();
    if (training) {
        app.add_option("--train-share", o.train_share,
                       "learn from this share of the training patients, for learning curves; which they are depends on --seed")
            ->check(share_above_0)
            ->capture_default_str();
        app.add_option("--weights", o.weights,
                       offer == Offer::patch_training ? "safetensors file with the trunk's first weights (fc is left fresh)"
                                                      : "the patch classifier's checkpoint, a trunk's weights, or a whole-image classifier to go on from "
                                                        "(head and all if it has the same --top)");
        app.add_option("--network", o.network, "resnet50 | resnet50-keras | resnet14 | vgg16")->capture_default_str();
        app.add_option("--epochs", o.epochs, "one number a stage, separated by commas (default: the paper's)");
        app.add_option("--rates", o.rates, "learning rate of each stage (default: the paper's)");
        app.add_option("--l2", o.l2, "lambda of lambda * sum(w^2) over new kernels, of each stage (default: the paper's)");
        app.add_option("--from", o.from,
                       "the first layer that learns in each stage, and all after it, like fc,features.24,all (default: the "
                       "paper's)");
        app.add_option("--cache-frozen", o.cache_frozen,
                       "folder that keeps what the layers before the first that learns make of each image, so that they run "
                       "once: many times faster where most are frozen; the same bits; needs --augment flips, mirror or none");
        app.add_option("--bn-mode", o.bn_mode,
                       "what batch norms of frozen layers do: legacy = follow the batch (as the paper's program), frozen")
            ->check(CLI::IsMember({"legacy", "frozen"}))
            ->capture_default_str();
        app.add_option(
               "--recompute", o.recompute,
               "nothing | batch_norm | expansion | block: what backward does again instead of keeping, each leaner and "
               "slower than the one before, all with the same results; auto: the first that fits --memory")
            ->check(CLI::IsMember({"nothing", "batch_norm", "expansion", "block", "auto"}))
            ->capture_default_str();
        app.add_option("--clip", o.clip, "largest norm of the gradient; 0 = any")
            ->check(at_least_0)
            ->capture_default_str();
        app.add_option("--accumulate", o.accumulate, "batches whose gradients are added before a step")
            ->check(CLI::Range(1, 4096))
            ->capture_default_str();
        app.add_flag("!--no-graph", o.graph, "GPU: run steps op by op; the bits are the same");
        app.add_flag("--resume", o.resume, "go on from last.safetensors in --out");
        app.add_flag("--profile", o.profile,
                     "after the first epoch of each stage, a table of where its steps' time went, layer by layer");
        app.add_option("--augment", o.augment,
                       "all: rotation, shear, zoom, grey shifts and flips | flips | mirror: left and right only | none")
            ->check(CLI::IsMember({"all", "flips", "mirror", "none"}))
            ->capture_default_str();
        app.add_flag_callback(
            "--no-augment", [&o] { o.augment = "none"; }, "the same as --augment none");
        app.add_flag_callback(
            "--no-balance", [&o] { o.balance = false; },
            "count every sample the same instead of every class of a batch");
        app.add_flag("--bilinear", o.bilinear, "bilinear instead of nearest sampling in the augmentation");
    }
    if (offer == Offer::patch_training)
        app.add_option("--patch", o.patch, "side of a patch in pixels, a multiple of 32")->capture_default_str();
    if (offer == Offer::heatmap)
        app.add_option("--patch", o.patch, "side of the window in pixels, a multiple of 32 (default: as trained)");
    if (offer == Offer::patch_training) {
        app.add_option("--per-lesion", o.per_lesion, "patches a lesion, and background patches an image: 1 = S1, 10 = S10")
            ->check(CLI::Range(1, 1000))
            ->capture_default_str();
        app.add_option("--min-breast", o.min_breast,
                       "least share of breast in a background patch; 0 = the paper's rule")
            ->check(CLI::Range(0.0, 1.0))
            ->capture_default_str();
        app.add_option("--dropout", o.dropout, "rate before the last layer")
            ->check(CLI::Range(0.0, 0.99))
            ->capture_default_str();
    }
    if (offer == Offer::whole_training)
        app.add_option("--top", o.top, "blocks on the trunk: 256x1,128x1 or [512-512-1024]x2,...")->capture_default_str();
    if (offer == Offer::evaluation) {
        app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::Throw);
        app.add_option("checkpoints", o.checkpoints, "one, or several to average")->required();
        app.add_option("--split", o.split, "train | validation | test | all")
            ->check(CLI::IsMember({"train", "validation", "test", "all"}))
            ->capture_default_str();
        app.add_flag("--tta", o.tta, "average over the four flips");
        app.add_option("--cache-frozen", o.cache_frozen,
                       "the training's folder of what frozen layers make of each image; reads it, and adds what is missing");
        app.add_option("--from", o.from, "with --cache-frozen: the first layer that learned in the training");
    }
    if (offer == Offer::heatmap) {
        app.add_option("checkpoint", o.checkpoint, "a patch classifier's checkpoint")->required();
        app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::Throw);
        app.add_option("images", o.images, "images to look at (PNG, JPEG, PGM); or give --data");
        app.add_option("--split", o.split, "with --data: train | validation | test | all")
            ->check(CLI::IsMember({"train", "validation", "test", "all"}));
    }
}

}  // namespace

int run_program(const char* description, Offer offer, Options options, int argc, char** argv,
                const std::function<int(const Options&)>& body) {
    CLI::App app(description);
    add_options(app, offer, options);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    try {
        Interrupt::install();
        return body(options);
    } catch (const std::bad_alloc&) {
        std::cerr << "error: the system has no more memory; a smaller --size or --batch needs less\n";
    } catch (const std::exception& error) {
        std::cerr << "error: " << error.what() << '\n';
    }
    return 2;
}

}  // namespace holon::pipeline
