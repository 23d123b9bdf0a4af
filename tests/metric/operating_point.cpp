#include <holon/metric/operating_point.hpp>

#include <holon/core/random.hpp>
#include "support/catch.hpp"

using namespace holon;
using Catch::Matchers::WithinAbs;

TEST_CASE("the published operating point: 142 of 165 and 169 of 211 print as in the paper", "[metric]") {
    const OperatingPoint point{0.41, 142, 165, 169, 211};
    CHECK(text(point) == "sensitivity 86.1 % (142/165), specificity 80.1 % (169/211) at score >= 0.41");
    CHECK_THAT(point.youden(), WithinAbs(0.662, 5e-4));
}

TEST_CASE("an operating point counts what scores at or above its threshold", "[metric]") {
    const std::vector<double> score = {0.1, 0.4, 0.4, 0.7, 0.9};
    const std::vector<int> label = {0, 0, 1, 0, 1};
    const OperatingPoint at = operating_point(0.4, score, label);
    CHECK(at.true_positives == 2);
    CHECK(at.positives == 2);
    CHECK(at.true_negatives == 1);
    CHECK(at.negatives == 3);
    const OperatingPoint above = operating_point(0.41, score, label);
    CHECK(above.sensitivity() == 0.5);
    CHECK(above.specificity() == 2.0 / 3.0);
    CHECK_THROWS_AS(operating_point(0.5, score, std::vector<int>(5, 1)), DataError);
    CHECK_THROWS_AS(operating_point(std::nan(""), score, label), DataError);
}

TEST_CASE("max_youden finds the best of all thresholds and agrees with operating_point there", "[metric]") {
    Random random(6);
    for (int repeat = 0; repeat < 200; ++repeat) {
        std::vector<double> score;
        std::vector<int> label;
        for (int i = 0; i < 30; ++i) {
            label.push_back(i < 2 ? i : int(random.below(2)));
            score.push_back(double(random.below(12)) + 2.0 * label.back());
        }
        const OperatingPoint best = max_youden(score, label), again = operating_point(best.threshold, score, label);
        REQUIRE(best.true_positives == again.true_positives);
        REQUIRE(best.true_negatives == again.true_negatives);
        REQUIRE(best.positives == again.positives);
        REQUIRE(best.negatives == again.negatives);
        for (const double threshold : score)
            REQUIRE(operating_point(threshold, score, label).youden() <= best.youden() + 1e-12);
    }
}

TEST_CASE("of thresholds with one Youden index the more sensitive is taken", "[metric]") {
    // At 4: 1/2 + 2/2; at 2: 2/2 + 1/2.
    const OperatingPoint best = max_youden(std::vector<double>{4, 3, 2, 1}, std::vector<int>{1, 0, 1, 0});
    CHECK(best.threshold == 2);
    CHECK(best.sensitivity() == 1);
    CHECK(best.specificity() == 0.5);
    // Scores the wrong way round: nothing beats calling everything positive.
    const OperatingPoint worst = max_youden(std::vector<double>{1, 2}, std::vector<int>{1, 0});
    CHECK(worst.threshold == 1);
    CHECK(worst.sensitivity() == 1);
    CHECK(worst.youden() == 0);
}
