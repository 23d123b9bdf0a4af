// evaluate: how well one whole-image classifier, or the mean of several, ranks the images of a split.
#include <holon/holon.hpp>
#include <holon/metric/bootstrap.hpp>
#include <holon/metric/operating_point.hpp>

#include <iostream>

#include "pipeline/cases.hpp"
#include "pipeline/csv.hpp"
#include "pipeline/device.hpp"
#include "pipeline/frozen_front.hpp"
#include "pipeline/interrupt.hpp"
#include "pipeline/load_whole.hpp"
#include "pipeline/options.hpp"
#include "pipeline/output.hpp"
#include "pipeline/predict.hpp"
#include "pipeline/report.hpp"

namespace {

using namespace holon;
using namespace holon::pipeline;

Split split_called(const std::string& name) {
    for (std::size_t i = 1; i < split_names.size(); ++i)
        if (split_names[i] == name) return Split(i);
    return Split::none;
}

/// The mean share of the malignant class over checkpoints and flips (shares are averaged, not scores).
template <Element T, Device D>
std::vector<double> malignant_shares(const Options& options, const SampleSet& set) {
    std::vector<double> sum(set.size());
    int looks = 0;
    for (const std::string& path : options.checkpoints) {
        const SafetensorsFile file(path);
        auto net = load_whole<T, D>(file);
        FrozenFront<WholeImage<T, D>> front(options.cache_frozen, read_input_form(path, file.metadata(), options.input_form),
                                            net, {Stage{"trained", {"fc"}, options.from}}, Statistics::fixed);
        front.enter(net);
        for (int flip = 0; flip < (options.tta ? 4 : 1); ++flip, ++looks) {
            const auto shares = predict(net, set, front, options.batch, options.workers, {(flip & 1) != 0, (flip & 2) != 0});
            if (Interrupt::received()) return {};
            for (std::size_t i = 0; i < set.size(); ++i) sum[i] += shares[i][1];
        }
    }
    for (double& s : sum) s /= looks;
    return sum;
}

template <Element T, Device D>
int run(Options options) {
    prepare_output(options.out);
    // The size that the first checkpoint was trained at, unless the command line says another.
    if (options.size.empty()) options.size = metadata_value(SafetensorsFile(options.checkpoints.front()), "holon.image_size");
    const Dataset data = open_cases(options, folder_of(options.checkpoints.front()));
    const ImageSize size = options.image_size();
    const Split split = split_called(options.split);
    const std::vector<const Record*> records = records_of(data, split);
    for (const std::string& path : options.checkpoints) {
        const SafetensorsFile file(path);
        expects_kind(file, "whole");
        if (split == Split::test && metadata_value(file, "holon.data") == options.data)
            expects_unseen(folder_of(path), records);
        const std::string& trained = metadata_value(file, "holon.image_size");
        if (trained != options.size)
            std::cout << "note: " << path << " was trained at " << trained << " and is used at " << options.size
                      << '\n';
    }
    const ImageStore store(records, size, options.workers);
    const SampleSet set = whole_images(store);
    expects_split(set, options, options.split.c_str());
    const auto positive = std::count(set.labels.begin(), set.labels.end(), 1);
    expects<DataError>(positive > 0 && std::size_t(positive) < set.size(), "--split ", options.split, " of ", options.data,
                       ": ", set.size(), " images, ", positive,
                       " malignant; an AUC needs both classes; choose another split or data");

    const std::vector<double> score = malignant_shares<T, D>(options, set);
    if (Interrupt::received()) return Interrupt::exit_code();
    std::vector<std::string> patients;
    std::string csv = "image,patient,label,score\n";
    for (std::size_t i = 0; i < set.size(); ++i) {
        patients.push_back(store.record(i).patient);
        char digits[32];
        std::snprintf(digits, sizeof digits, "%.9g", score[i]);
        csv += text(csv_cell(store.record(i).image), ',', csv_cell(store.record(i).patient), ',', set.labels[i], ',',
                    digits, '\n');
    }
    write_text(options.out + "/scores.csv", csv);

    const BootstrapInterval area = auc_interval(score, set.labels, patients, {});
    std::vector<std::string> lines{text("data ", options.data, ", split ", options.split, ", ", size.rows, 'x', size.columns,
                                        ", ", options.checkpoints.size(), " network(s)", options.tta ? ", four flips" : "")};
    if (split == Split::test) {
        const ImageStore validation(records_of(data, Split::validation), size, options.workers);
        const SampleSet validation_set = whole_images(validation);
        const auto ones = std::count(validation_set.labels.begin(), validation_set.labels.end(), 1);
        if (ones > 0 && std::size_t(ones) < validation_set.size()) {
            const std::vector<double> chosen_on = malignant_shares<T, D>(options, validation_set);
            if (Interrupt::received()) return Interrupt::exit_code();
            const OperatingPoint chosen = max_youden(chosen_on, validation_set.labels);
            const OperatingPoint there = operating_point(chosen.threshold, score, set.labels);
            lines.push_back(text("operating point (largest Youden index on validation): ", there));
        }
    }
    lines.push_back(text("best point of this very curve (post hoc): ", max_youden(score, set.labels)));
    lines.push_back(text("AUC ", area.value, " [", area.low, ", ", area.high, "] n=", set.size(), " positive=", positive));
    write_text(options.out + "/roc.svg", roc_svg(roc_curve(score, set.labels), area.value));
    write_report(options.out, lines, roc_svg(roc_curve(score, set.labels), area.value));
    for (const std::string& line : lines) std::cout << line << '\n';
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    Options defaults;
    defaults.batch = 4;
    defaults.size.clear();
    return run_program("Evaluates whole-image classifiers: AUC with its interval, ROC, operating point.", Offer::evaluation,
                       defaults, argc, argv, [](const Options& options) {
                           return with_device(options, [&]<class T, class D>() { return run<T, D>(options); });
                       });
}
