// metric/roc.hpp: how often a malignant image scores above a benign one, counted in whole pairs.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include <holon/core/element.hpp>
#include <holon/core/error.hpp>

namespace holon {

/// Positive is what scores at or above the threshold.
struct RocPoint {
    double threshold;
    double sensitivity;  ///< positives called positive, of all positives
    double specificity;  ///< negatives called negative, of all negatives
};

namespace detail {

/// Cases in descending order of score, equal scores side by side: sorted once, counted under many weights.
class Ranking {
 public:
    Ranking(std::span<const double> score, std::span<const int> label)
        : score_(score), label_(label), order_(score.size()) {
        expects(score.size() == label.size(), "ranking: ", score.size(), " scores for ", label.size(), " labels");
        for (std::size_t i = 0; i < score.size(); ++i) {
            expects<NumericError>(!is_nan(score[i]), "ranking: score ", i, " of ", score.size(), " is not a number");
            expects<DataError>(label[i] == 0 || label[i] == 1, "ranking: label ", i, " of ", label.size(), " is ",
                               label[i], "; 0 (negative) or 1 (positive) is needed");
        }
        std::iota(order_.begin(), order_.end(), std::size_t(0));
        std::stable_sort(order_.begin(), order_.end(),
                         [&](std::size_t a, std::size_t b) { return score[a] > score[b]; });
    }

    /// Calls `visit(score, positives, negatives)` with the weights that have this score, from the highest score down.
    template <class Weight, class Visit> void groups(Weight weight, Visit visit) const {
        for (std::size_t at = 0; at < order_.size();) {
            const double score = score_[order_[at]];
            std::int64_t positives = 0, negatives = 0;
            for (; at < order_.size() && score_[order_[at]] == score; ++at) {
                (label_[order_[at]] == 1 ? positives : negatives) += weight(order_[at]);
            }
            visit(score, positives, negatives);
        }
    }

    struct Pairs {
        std::int64_t twice_won = 0;  ///< a pair won counts 2, a tie 1
        std::int64_t positives = 0, negatives = 0;

        bool comparable() const { return positives > 0 && negatives > 0; }
        double share() const { return double(twice_won) / (2.0 * double(positives) * double(negatives)); }
    };

    template <class Weight> Pairs pairs(Weight weight) const {
        Pairs sum;
        groups(weight, [&](double, std::int64_t positives, std::int64_t negatives) {
            sum.twice_won += negatives * (2 * sum.positives + positives);
            sum.positives += positives;
            sum.negatives += negatives;
        });
        return sum;
    }
    /// Every case once; throws `DataError` where a class is missing.
    Pairs pairs() const {
        const Pairs all = pairs([](std::size_t) { return 1; });
        expects<DataError>(all.comparable(), "ranking: ", all.positives, " positive and ", all.negatives,
                           " negative cases; an ROC curve needs at least one of each");
        return all;
    }

 private:
    std::span<const double> score_;
    std::span<const int> label_;
    std::vector<std::size_t> order_;
};

}  // namespace detail

/// Area under the ROC curve: the share of (positive, negative) pairs in which the positive scores higher, ties one half
/// (Mann and Whitney 1947; Hanley and McNeil, Radiology 143, 1982). A multiple of 1 / (2 P N), rounded once. Labels are
/// 0 or 1. Throws `DataError` if a class is missing, `NumericError` for a NaN.
inline double auc(std::span<const double> score, std::span<const int> label) {
    return detail::Ranking(score, label).pairs().share();
}

/// The curve's points, one for each different score, from nothing called positive (threshold +infinity) to everything.
/// The trapezoids below them sum to `auc`.
inline std::vector<RocPoint> roc_curve(std::span<const double> score, std::span<const int> label) {
    const detail::Ranking ranking(score, label);
    const auto all = ranking.pairs();
    std::vector<RocPoint> points = {{std::numeric_limits<double>::infinity(), 0.0, 1.0}};
    std::int64_t hits = 0, alarms = 0;
    ranking.groups([](std::size_t) { return 1; },
                   [&](double threshold, std::int64_t positives, std::int64_t negatives) {
                       hits += positives, alarms += negatives;
                       points.push_back({threshold, double(hits) / double(all.positives),
                                         double(all.negatives - alarms) / double(all.negatives)});
                   });
    return points;
}

}  // namespace holon
