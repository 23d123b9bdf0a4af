#include <holon/metric/bootstrap.hpp>

#include "support/catch.hpp"

using namespace holon;
using Catch::Matchers::WithinRel;

namespace {

struct Cohort {
    std::vector<double> score, other;
    std::vector<int> label;
    std::vector<std::string> patient;
};

/// Normal scores, positives shifted by 1: the true AUC is Phi(1 / sqrt 2) = 0.760250. `views` images to a patient, all
/// with the same score, so that the patient is what varies; `other` is the score with a little noise of its own.
Cohort cohort(std::uint64_t seed, int patients, int views) {
    Random random(seed, 99);
    Cohort c;
    for (int p = 0; p < patients; ++p) {
        const int label = p % 2;
        const double score = random.normal() + label;
        for (int v = 0; v < views; ++v) {
            c.score.push_back(score);
            c.other.push_back(score + 0.1 * random.normal());
            c.label.push_back(label);
            c.patient.push_back("P" + std::to_string(p));
        }
    }
    return c;
}

constexpr double true_auc = 0.7602499389065;

}  // namespace

TEST_CASE("bootstrap: the 90 % interval holds the true AUC in about 90 of 100 samples", "[metric]") {
    int held = 0;
    double error = 0;
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        const Cohort c = cohort(seed, 100, 1);
        const auto interval =
            auc_interval(c.score, c.label, c.patient, {.resamples = 400, .confidence = 0.9, .seed = seed});
        REQUIRE(interval.low <= interval.value);
        REQUIRE(interval.value <= interval.high);
        REQUIRE(interval.value == auc(c.score, c.label));
        held += interval.low <= true_auc && true_auc <= interval.high;
        error += interval.error / 400;
    }
    CHECK(held >= 340);  // 85 %; the binomial deviation of 90 % is 1.5 %
    CHECK(held <= 380);
    // Hanley and McNeil 1982, equal to 0.0473 at AUC 0.76 with 50 and 50.
    const double q1 = true_auc / (2 - true_auc), q2 = 2 * true_auc * true_auc / (1 + true_auc);
    const double theirs = std::sqrt(
        (true_auc * (1 - true_auc) + 49 * (q1 - true_auc * true_auc) + 49 * (q2 - true_auc * true_auc)) / 2500);
    CHECK_THAT(error, WithinRel(theirs, 0.05));
}

TEST_CASE("bootstrap: four views of a patient are no more evidence than one", "[metric]") {
    const Cohort one = cohort(8, 80, 1), four = cohort(8, 80, 4);
    std::vector<std::string> apart;
    for (std::size_t i = 0; i < four.score.size(); ++i) apart.push_back(std::to_string(i));
    std::vector<double> score;  // the same draws of scores: `other` consumes the generator too
    for (std::size_t p = 0; p < 80; ++p) score.insert(score.end(), 4, one.score[p]);
    const BootstrapOptions options{.resamples = 1000, .seed = 3};
    const auto single = auc_interval(one.score, one.label, one.patient, options);
    const auto views = auc_interval(score, four.label, four.patient, options);
    const auto images = auc_interval(score, four.label, apart, options);
    CHECK(views.value == single.value);
    CHECK(views.low == single.low);
    CHECK(views.high == single.high);
    CHECK_THAT(images.error, WithinRel(single.error / 2, 0.1));  // what counting images would claim
}

TEST_CASE("bootstrap: the same seed gives the same bits, whatever the order of cases; another seed others",
          "[metric]") {
    const Cohort c = cohort(5, 60, 2);
    const BootstrapOptions options{.resamples = 300, .seed = 12};
    const auto one = auc_interval(c.score, c.label, c.patient, options),
               two = auc_interval(c.score, c.label, c.patient, options);
    CHECK(one.low == two.low);
    CHECK(one.high == two.high);
    CHECK(one.error == two.error);
    const auto other = auc_interval(c.score, c.label, c.patient, {.resamples = 300, .seed = 13});
    CHECK(other.error != one.error);
    Cohort turned = c;
    std::reverse(turned.score.begin(), turned.score.end());
    std::reverse(turned.label.begin(), turned.label.end());
    std::reverse(turned.patient.begin(), turned.patient.end());
    const auto back = auc_interval(turned.score, turned.label, turned.patient, options);
    CHECK(back.low == one.low);
    CHECK(back.high == one.high);
}

TEST_CASE("bootstrap: resamples that lack a class are drawn anew, and counted", "[metric]") {
    // One positive patient of four: (3/4)^4 = 32 % of the draws lack it, (1/4)^4 lack the rest.
    const std::vector<double> score = {0.9, 0.2, 0.3, 0.95};
    const std::vector<int> label = {1, 0, 0, 0};
    const std::vector<std::string> patient = {"a", "b", "c", "d"};
    const auto interval = auc_interval(score, label, patient, {.resamples = 4000, .seed = 1});
    const double lacking = 81.0 / 256 + 1.0 / 256;
    CHECK_THAT(interval.redrawn, WithinRel(4000 * lacking / (1 - lacking), 0.1));
    CHECK(interval.low >= 0);
    CHECK(interval.high <= 1);
}

TEST_CASE("bootstrap: a paired difference is narrower than two intervals, and sees a real one", "[metric]") {
    const Cohort c = cohort(21, 120, 1);
    const BootstrapOptions options{.resamples = 1000, .seed = 2};
    const auto same = auc_difference(c.score, c.score, c.label, c.patient, options);
    CHECK(same.value == 0);
    CHECK(same.low == 0);
    CHECK(same.high == 0);
    const auto near = auc_difference(c.score, c.other, c.label, c.patient, options);
    const auto alone = auc_interval(c.score, c.label, c.patient, options);
    CHECK(near.value == auc(c.score, c.label) - auc(c.other, c.label));
    CHECK(near.error < alone.error / 3);
    CHECK(near.low <= 0);
    CHECK(near.high >= 0);
    std::vector<double> better = c.score;
    for (std::size_t i = 0; i < better.size(); ++i) better[i] += c.label[i];
    const auto far = auc_difference(better, c.score, c.label, c.patient, options);
    CHECK(far.low > 0);
    const auto turned = auc_difference(c.score, better, c.label, c.patient, options);
    CHECK_THAT(turned.low, WithinRel(-far.high, 1e-12));
}

TEST_CASE("bootstrap: quantiles are numpy's", "[metric]") {
    const std::vector<double> sorted = {1, 2, 4, 8};
    CHECK(detail::quantile(sorted, 0) == 1);
    CHECK(detail::quantile(sorted, 1) == 8);
    CHECK(detail::quantile(sorted, 0.5) == 3);
    CHECK_THAT(detail::quantile(sorted, 0.025), WithinRel(1.075, 1e-9));
    CHECK_THAT(detail::quantile(sorted, 0.975), WithinRel(7.7, 1e-9));
}

TEST_CASE("bootstrap: what cannot be resampled is refused", "[metric]") {
    const Cohort c = cohort(1, 10, 1);
    const std::span<const std::string> fewer = std::span(c.patient).first(9);
    CHECK_THROWS_AS(auc_interval(c.score, c.label, fewer), ShapeError);
    CHECK_THROWS_AS(auc_difference(c.score, c.score, c.label, fewer), ShapeError);
    CHECK_THROWS_AS(auc_difference(c.score, std::vector<double>(9, 1.0), c.label, c.patient), ShapeError);
    CHECK_THROWS_AS(auc_interval(c.score, std::vector<int>(10, 1), c.patient), DataError);
    CHECK_THROWS_AS(auc_interval(c.score, c.label, c.patient, {.resamples = 1}), ShapeError);
    CHECK_THROWS_AS(auc_interval(c.score, c.label, c.patient, {.confidence = 1.0}), ShapeError);
    std::vector<double> bad = c.score;
    bad[3] = std::nan("");
    CHECK_THROWS_AS(auc_interval(bad, c.label, c.patient), NumericError);
}
