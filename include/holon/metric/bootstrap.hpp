// metric/bootstrap.hpp: how far an AUC could have come out otherwise, with patients, not images, as what is drawn.
#pragma once
#include <map>
#include <string>

#include <holon/core/random.hpp>
#include <holon/metric/roc.hpp>

namespace holon {

struct BootstrapOptions {
    int resamples = 2000;
    double confidence = 0.95;
    std::uint64_t seed = 0;
};

/// A statistic of the data as they are, and what it did over the resamples.
struct BootstrapInterval {
    double value = 0;
    double low = 0, high = 0;  ///< percentile interval
    double error = 0;          ///< standard deviation
    int redrawn = 0;           ///< resamples that lacked a class and were drawn anew
};

namespace detail {

/// How often each patient was drawn; a case weighs what its patient does.
class PatientDraw {
 public:
    PatientDraw(std::span<const std::string> patient, std::uint64_t seed) : random_(seed, stream) {
        std::map<std::string_view, std::size_t>
            known;  // numbers come by name, so that the order of cases does not matter
        for (const std::string& name : patient) known.emplace(name, 0);
        std::size_t next = 0;
        for (auto& [name, number] : known) number = next++;
        for (const std::string& name : patient) of_case_.push_back(known.find(name)->second);
        times_.resize(known.size());
    }
    void draw() {
        std::fill(times_.begin(), times_.end(), 0);
        for (std::size_t i = 0; i < times_.size(); ++i) ++times_[random_.below(times_.size())];
    }
    std::int64_t weight(std::size_t index) const { return times_[of_case_[index]]; }

 private:
    static constexpr std::uint64_t stream = 0x626f6f7473747261u;  // apart from whatever else the seed drives

    Random random_;
    std::vector<std::size_t> of_case_;
    std::vector<std::int64_t> times_;
};

/// The quantile at `share` of sorted values, linear between neighbours (type 7 of Hyndman and Fan 1996; numpy's
/// default).
inline double quantile(std::span<const double> sorted, double share) {
    const double at = share * double(sorted.size() - 1);
    const auto below = std::min(std::size_t(at), sorted.size() - 1);
    const auto above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (at - double(below)) * (sorted[above] - sorted[below]);
}

/// Fills in everything but `value`. `statistic(weight)` may say no (an empty result): then the resample is drawn anew.
/// Both classes are there, so a resample has both with a chance of at least one half, and the loop ends.
template <class Statistic>
BootstrapInterval bootstrap(double value, std::span<const std::string> patient, const BootstrapOptions& options,
                            Statistic statistic) {
    expects(options.resamples >= 2, "bootstrap: ", options.resamples, " resamples; at least 2 are needed");
    expects(options.confidence > 0 && options.confidence < 1, "bootstrap: the confidence is ", options.confidence,
            "; it lies between 0 and 1");
    PatientDraw draw(patient, options.seed);
    BootstrapInterval result{value};
    std::vector<double> values;
    while (values.size() < std::size_t(options.resamples)) {
        draw.draw();
        double drawn = 0;
        if (statistic([&](std::size_t i) { return draw.weight(i); }, drawn)) {
            values.push_back(drawn);
        } else {
            ++result.redrawn;
        }
    }
    std::sort(values.begin(), values.end());
    result.low = quantile(values, (1 - options.confidence) / 2);
    result.high = quantile(values, (1 + options.confidence) / 2);
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
    double squares = 0;
    for (const double v : values) squares += (v - mean) * (v - mean);
    result.error = std::sqrt(squares / double(values.size() - 1));
    return result;
}

}  // namespace detail

/// Percentile interval of the AUC (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13). As many
/// patients as there are are drawn with replacement, each with all its images. `patient[i]` names the patient of case
/// i. The same options give the same bits. Throws as `auc` does.
inline BootstrapInterval auc_interval(std::span<const double> score, std::span<const int> label,
                                      std::span<const std::string> patient, const BootstrapOptions& options = {}) {
    expects(patient.size() == score.size(), "bootstrap: ", patient.size(), " patients for ", score.size(), " scores");
    const detail::Ranking ranking(score, label);
    return detail::bootstrap(ranking.pairs().share(), patient, options, [&](auto weight, double& drawn) {
        const auto pairs = ranking.pairs(weight);
        if (pairs.comparable()) drawn = pairs.share();
        return pairs.comparable();
    });
}

/// The same for auc(first) - auc(second) on the same cases: each resample scores both, so what the two have in common
/// cancels. If 0 lies outside of the interval, they differ at that confidence.
inline BootstrapInterval auc_difference(std::span<const double> first, std::span<const double> second,
                                        std::span<const int> label, std::span<const std::string> patient,
                                        const BootstrapOptions& options = {}) {
    expects(patient.size() == label.size(), "bootstrap: ", patient.size(), " patients for ", label.size(), " labels");
    const detail::Ranking one(first, label), other(second, label);
    return detail::bootstrap(one.pairs().share() - other.pairs().share(), patient, options,
                             [&](auto weight, double& drawn) {
                                 const auto pairs = one.pairs(weight);
                                 if (pairs.comparable()) drawn = pairs.share() - other.pairs(weight).share();
                                 return pairs.comparable();
                             });
}

}  // namespace holon
