// train_patch: cuts patches around lesions and from background, and trains the patch classifier in the paper's stages.
#include <holon/holon.hpp>
#include <holon/metric/confusion.hpp>

#include "pipeline/cases.hpp"
#include "pipeline/device.hpp"
#include "pipeline/models.hpp"
#include "pipeline/options.hpp"
#include "pipeline/patch_set.hpp"
#include "pipeline/recompute.hpp"
#include "pipeline/train.hpp"

namespace {

using namespace holon;
using namespace holon::pipeline;

/// Truth against answer over a set.
template <class Net>
Confusion confusion_of(Net& net, const SampleSet& set, const PatchClasses& classes, const FrozenFront<Net>& front,
                       const Options& options, const std::string& title) {
    Confusion confusion(classes.names());
    const auto shares = predict(net, set, front, options.batch, options.workers, {}, title);
    for (std::size_t i = 0; i < shares.size() && !Interrupt::received(); ++i)
        confusion.add(set.labels[i], int(std::max_element(shares[i].begin(), shares[i].end()) - shares[i].begin()));
    return confusion;
}

template <Element T, Device D>
int train(const Options& options) {
    expects<DataError>(options.patch >= 32 && options.patch % 32 == 0, "--patch ", options.patch,
                       ": a multiple of 32 is needed");
    prepare_output(options.out);
    check_training(options, options.weights.empty() ? patch_stages_from_scratch() : patch_stages(""));
    const ImageSize size = options.image_size();
    const Dataset data = open_cases(options);
    const ImageStore train_store(records_of(data, Split::train), size, options.workers);
    const ImageStore validation_store(records_of(data, Split::validation), size, options.workers);
    const ImageStore test_store(records_of(data, Split::test), size, options.workers);

    const SamplerOptions sampler{.patch = options.patch, .per_lesion = options.per_lesion,
                                 .background = options.per_lesion, .min_breast = options.min_breast};
    const PatchSet train_patches(train_store, sampler, options.seed), validation_patches(validation_store, sampler, options.seed),
        test_patches(test_store, sampler, options.seed);
    const PatchClasses classes(train_patches);
    const SampleSet train_set = patch_samples(train_patches, classes, options.patch);
    const SampleSet validation_set = patch_samples(validation_patches, classes, options.patch);
    const SampleSet test_set = patch_samples(test_patches, classes, options.patch);
    for (const auto& [name, patches] : {std::pair{"train", &train_patches}, {"validation", &validation_patches}, {"test", &test_patches}}) {
        std::cout << name << " patches:";
        for (std::size_t f = 0; f < finding_names.size(); ++f) std::cout << "  " << finding_names[f] << ' ' << patches->counts()[f];
        if (patches->missing_background) std::cout << "  (" << patches->missing_background << " background windows found no place)";
        std::cout << '\n';
    }
    expects_split(train_set, options, "training");
    expects_split(validation_set, options, "validation");
    expects<DataError>(std::size_t(options.batch) <= train_set.size(), "--batch ", options.batch, " is larger than the ",
                       train_set.size(), " training patches");

    const TrunkStart start = start_of(options, mean_grey(train_store));
    PatchClassifier<T, D> net(start.network, int(classes.findings.size()), options.dropout, options.seed);
    if (!options.weights.empty()) load_trunk(options.weights, net);

    Task task;
    task.train = &train_set;
    task.form = start.form;
    task.planned_step = [&](const Stage& stage, const Shape& images) {
        plan_stage_step(PatchClassifier<T, Plan>(start.network, int(classes.findings.size()), options.dropout, 1), stage,
                        frozen_statistics(options), images);
    };
    task.columns = "validation_accuracy,validation_balanced_accuracy";
    task.stages = stages_of(options, options.weights.empty() ? patch_stages_from_scratch() : patch_stages(net.trunk.top),
                            options.weights.empty());
    task.metadata = run_metadata(options, "patch", start.network, train_set);
    task.metadata["holon.classes"] = classes.list();
    task.recompute = choose_recompute<T, D>(
        options, PlannedRun{[&] {
                                return PatchClassifier<T, Plan>(start.network, int(classes.findings.size()),
                                                                options.dropout, options.seed);
                            },
                            Shape{options.batch, options.patch, options.patch, 3}, task.stages,
                            frozen_statistics(options), options.accumulate});
    print_header(std::cout, options, task, start);
    FrozenFront<PatchClassifier<T, D>> front(options.cache_frozen, task.form, net, task.stages, frozen_statistics(options));
    const int code = run_training<PatchClassifier<T, D>>(net, task, front, options, [&](PatchClassifier<T, D>& now) {
        const Confusion confusion = confusion_of(now, validation_set, classes, front, options, "validating");
        Verdict verdict;
        if (Interrupt::received()) return verdict;
        verdict.score = confusion.accuracy();
        verdict.columns = text(confusion.accuracy(), ',', confusion.balanced_accuracy());
        verdict.line = text("validation accuracy ", confusion.accuracy(), ", balanced ", confusion.balanced_accuracy());
        return verdict;
    });
    if (code != 0) return code;

    load(options.out + "/best.safetensors", net);
    front.enter(net);
    if (test_set.size() > 0) {
        const Confusion confusion = confusion_of(net, test_set, classes, front, options, "testing");
        if (Interrupt::received()) return Interrupt::exit_code();
        std::cout << "test patches, best.safetensors:\n" << confusion;
        std::cout << "test accuracy " << confusion.accuracy() << ", balanced " << confusion.balanced_accuracy() << " n="
                  << confusion.total() << '\n';
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    Options defaults;
    defaults.batch = 32;
    return run_program("Trains a patch classifier on patches cut around lesions and from background.", Offer::patch_training,
                       defaults, argc, argv, [](const Options& options) {
                           return with_device(options, [&]<class T, class D>() { return train<T, D>(options); });
                       });
}
