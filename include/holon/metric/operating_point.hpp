// metric/operating_point.hpp: one threshold, chosen where it may be chosen, and what it does elsewhere.
#pragma once
#include <iomanip>

#include <holon/metric/roc.hpp>

namespace holon {

/// Counts at a threshold: positive is what scores at or above it.
struct OperatingPoint {
    double threshold = 0;
    std::int64_t true_positives = 0, positives = 0;
    std::int64_t true_negatives = 0, negatives = 0;

    double sensitivity() const { return double(true_positives) / double(positives); }
    double specificity() const { return double(true_negatives) / double(negatives); }
    /// Sensitivity + specificity - 1 (Youden, Cancer 3, 1950).
    double youden() const { return sensitivity() + specificity() - 1.0; }
};

/// `sensitivity 86.1 % (142/165), specificity 80.1 % (169/211) at score >= 0.41`
inline std::ostream& operator<<(std::ostream& out, const OperatingPoint& p) {
    const auto percent = [](double share) { return text(std::fixed, std::setprecision(1), 100.0 * share, " %"); };
    return out << "sensitivity " << percent(p.sensitivity()) << " (" << p.true_positives << '/' << p.positives
               << "), specificity " << percent(p.specificity()) << " (" << p.true_negatives << '/' << p.negatives
               << ") at score >= " << p.threshold;
}

/// What the threshold, chosen elsewhere, does on these cases. Throws `DataError` if a class is missing or the threshold
/// is NaN, `NumericError` for a NaN score.
inline OperatingPoint operating_point(double threshold, std::span<const double> score, std::span<const int> label) {
    expects<DataError>(!is_nan(threshold), "operating point: the threshold is not a number");
    const detail::Ranking ranking(score, label);
    const auto all = ranking.pairs();
    OperatingPoint point{threshold, 0, all.positives, 0, all.negatives};
    for (std::size_t i = 0; i < score.size(); ++i) {
        point.true_positives += label[i] == 1 && score[i] >= threshold;
        point.true_negatives += label[i] == 0 && score[i] < threshold;
    }
    return point;
}

/// The point of the ROC curve with the largest Youden index, compared in whole numbers; of equals the one with the
/// higher sensitivity, for a cancer missed is the worse error. Choose on validation data, apply to test data with
/// `operating_point`: chosen on the test data itself it flatters, and must be marked post hoc.
inline OperatingPoint max_youden(std::span<const double> score, std::span<const int> label) {
    const detail::Ranking ranking(score, label);
    const auto all = ranking.pairs();
    OperatingPoint best{std::numeric_limits<double>::infinity(), 0, all.positives, all.negatives, all.negatives};
    std::int64_t hits = 0, alarms = 0, best_index = 0;  // index: youden times positives times negatives
    ranking.groups([](std::size_t) { return 1; },
                   [&](double threshold, std::int64_t positives, std::int64_t negatives) {
                       hits += positives, alarms += negatives;
                       const std::int64_t index = hits * all.negatives - alarms * all.positives;
                       if (index < best_index) return;
                       best_index = index;
                       best.threshold = threshold;
                       best.true_positives = hits;
                       best.true_negatives = all.negatives - alarms;
                   });
    return best;
}

}  // namespace holon
