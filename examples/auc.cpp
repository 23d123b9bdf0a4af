// auc: one AUC from the scores.csv files of several runs (the folds of a cross-validation), and the difference to
// others.
#include <holon/metric/bootstrap.hpp>

#include <filesystem>
#include <iostream>

#include "pipeline/options.hpp"
#include "pipeline/scores.hpp"

namespace {

using namespace holon;
using namespace holon::pipeline;

std::string line_of(const BootstrapInterval& area, const Scores& scores) {
    return text("AUC ", area.value, " [", area.low, ", ", area.high, "] n=", scores.size(),
                " positive=", scores.positives());
}

int run(const Options& options) {
    const Scores all = read_scores(options.checkpoints);
    if (options.checkpoints.size() > 1) {
        double sum = 0;
        for (const std::string& path : options.checkpoints) {
            const Scores one = read_scores({path});
            const double area = auc(one.score, one.label);
            std::cout << path << ": AUC " << area << " n=" << one.size() << " positive=" << one.positives() << '\n';
            sum += area;
        }
        std::cout << "mean of the files' own AUCs " << sum / double(options.checkpoints.size()) << '\n';
    }
    const BootstrapOptions bootstrap{.seed = options.seed};
    if (!options.against.empty()) {
        const Scores other = in_order_of(all, read_scores(options.against));
        std::cout << "against: " << line_of(auc_interval(other.score, other.label, all.patient, bootstrap), other)
                  << '\n';
        const BootstrapInterval apart = auc_difference(all.score, other.score, all.label, all.patient, bootstrap);
        std::cout << "difference " << apart.value << " [" << apart.low << ", " << apart.high
                  << "], patients drawn in pairs\n";
    }
    std::cout << line_of(auc_interval(all.score, all.label, all.patient, bootstrap), all) << '\n';
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return run_program(
        "AUC with its interval over scores.csv files as evaluate writes them, each image in one of them.",
        Offer::scores, {}, argc, argv, run);
}
