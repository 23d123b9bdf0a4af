// train_whole: puts a top on a patch classifier's trunk and trains it on whole images, on image labels alone.
#include <optional>

#include <holon/holon.hpp>
#include <holon/metric/roc.hpp>

#include "pipeline/cases.hpp"
#include "pipeline/device.hpp"
#include "pipeline/load_whole.hpp"
#include "pipeline/models.hpp"
#include "pipeline/options.hpp"
#include "pipeline/recompute.hpp"
#include "pipeline/train.hpp"

namespace {

using namespace holon;
using namespace holon::pipeline;

template <Element T, Device D>
int train(const Options& options) {
    prepare_output(options.out);
    const std::vector<TopBlock> top = parse_top(options.top);
    const std::vector<Stage> stages = whole_image_stages(!top.empty());
    check_training(options, stages);
    const ImageSize size = options.image_size();
    const Dataset data = open_cases(options, options.weights.empty() ? "" : folder_of(options.weights));
    const ImageStore train_store(records_of(data, Split::train), size, options.workers);
    const ImageStore validation_store(records_of(data, Split::validation), size, options.workers);
    const SampleSet train_set = whole_images(train_store), validation_set = whole_images(validation_store);
    expects_split(train_set, options, "training");
    expects_split(validation_set, options, "validation");
    expects<DataError>(std::size_t(options.batch) <= train_set.size(), "--batch ", options.batch, " is larger than the ",
                       train_set.size(), " training images");

    TrunkStart start = start_of(options, mean_grey(train_store));
    PatchClassifier<T, D> patch(start.network, 1, 0.0, options.seed);
    std::optional<SafetensorsFile> weights;
    if (!options.weights.empty()) weights.emplace(options.weights);
    const bool goes_on = weights && goes_on_from_whole(*weights, format_top(top));
    if (weights && !goes_on) load_trunk(options.weights, patch);
    auto net = to_whole_image(std::move(patch), top, 2, options.seed);
    if (goes_on) load_network(*weights, net);

    Task task;
    task.train = &train_set;
    task.form = start.form;
    task.planned_step = [&](const Stage& stage, const Shape& images) {
        plan_stage_step(to_whole_image(PatchClassifier<T, Plan>(start.network, 1, 0.0, 1), top, 2, 1), stage,
                        frozen_statistics(options), images);
    };
    task.columns = "validation_auc,validation_loss";
    task.stages = stages_of(options, stages, options.weights.empty());
    task.metadata = run_metadata(options, "whole", start.network, train_set);
    task.metadata["holon.top"] = format_top(top);
    task.recompute = choose_recompute<T, D>(
        options, PlannedRun{[&] {
                                return to_whole_image(PatchClassifier<T, Plan>(start.network, 1, 0.0, options.seed),
                                                      top, 2, options.seed);
                            },
                            Shape{options.batch, size.rows, size.columns, 3}, task.stages, frozen_statistics(options),
                            options.accumulate});
    print_header(std::cout, options, task, start);
    FrozenFront<WholeImage<T, D>> front(options.cache_frozen, task.form, net, task.stages, frozen_statistics(options));
    return run_training<WholeImage<T, D>>(net, task, front, options, [&](WholeImage<T, D>& now) {
        const auto shares = predict(now, validation_set, front, options.batch, options.workers);
        Verdict verdict;
        if (Interrupt::received()) return verdict;
        std::vector<double> score;
        double loss = 0;
        for (std::size_t i = 0; i < shares.size(); ++i) {
            score.push_back(shares[i][1]);
            loss -= std::log(std::max(shares[i][std::size_t(validation_set.labels[i])], 1e-7));
        }
        loss /= double(shares.size());
        verdict.score = auc(score, validation_set.labels);
        verdict.columns = text(verdict.score, ',', loss);
        verdict.line = text("validation AUC ", verdict.score, "  loss ", loss);
        return verdict;
    });
}

}  // namespace

int main(int argc, char** argv) {
    Options defaults;
    defaults.batch = 2;
    return run_program("Trains a whole-image classifier from a patch classifier.", Offer::whole_training, defaults, argc,
                       argv, [](const Options& options) {
                           return with_device(options, [&]<class T, class D>() { return train<T, D>(options); });
                       });
}
