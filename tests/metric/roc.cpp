#include <holon/metric/roc.hpp>

#include <string>

#include <holon/core/random.hpp>
#include "support/catch.hpp"

using namespace holon;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

namespace {

struct Cases {
    std::vector<double> score;
    std::vector<int> label;
};

/// `levels` different scores at most, so that ties are as frequent as wanted; both classes are there.
Cases random_cases(Random& random, std::size_t count, std::uint64_t levels) {
    Cases cases;
    for (std::size_t i = 0; i < count; ++i) {
        cases.label.push_back(i < 2 ? int(i) : int(random.below(2)));
        cases.score.push_back((double(random.below(levels)) + 0.3 * cases.label.back()) / double(levels) - 0.4);
    }
    return cases;
}

/// Every pair by itself.
double all_pairs(const Cases& cases) {
    std::int64_t twice = 0, pairs = 0;
    for (std::size_t i = 0; i < cases.score.size(); ++i) {
        for (std::size_t j = 0; j < cases.score.size(); ++j) {
            if (cases.label[i] != 1 || cases.label[j] != 0) continue;
            twice += 2 * (cases.score[i] > cases.score[j]) + (cases.score[i] == cases.score[j]);
            ++pairs;
        }
    }
    return double(twice) / double(2 * pairs);
}

}  // namespace

TEST_CASE("A11: 165 positives, 211 negatives, 31606 of 34815 pairs won, no ties: AUC 0.907827086", "[metric]") {
    constexpr int positives = 165, negatives = 211, won = 31606;
    // Negatives at 0.5, 1.5, ...: a positive at k + 1 beats k + 1 of them.
    Cases cases;
    for (int n = 0; n < negatives; ++n) cases.score.push_back(n + 0.5), cases.label.push_back(0);
    for (int p = 0, left = won; p < positives; ++p) {
        const int beats = left / (positives - p);
        cases.score.push_back(beats), cases.label.push_back(1);
        left -= beats;
    }
    const double area = auc(cases.score, cases.label);
    CHECK(area == 31606.0 / 34815.0);
    CHECK_THAT(area, WithinAbs(0.907827086, 5e-10));
}

TEST_CASE("A11: any AUC of 165 positives and 211 negatives is a multiple of 1/69630", "[metric]") {
    Random random(1);
    for (const std::uint64_t levels : {2, 10, 300, 1000000}) {
        for (int repeat = 0; repeat < 20; ++repeat) {
            Cases cases;
            for (int i = 0; i < 376; ++i) {
                cases.label.push_back(i < 165);
                cases.score.push_back(double(random.below(levels)));
            }
            const double halves = auc(cases.score, cases.label) * 69630.0;
            REQUIRE(std::abs(halves - std::round(halves)) < 1e-9);
            REQUIRE(auc(cases.score, cases.label) == std::round(halves) / 69630.0);
        }
    }
}

TEST_CASE("auc equals the count over all pairs, bit for bit, with many and with few ties", "[metric]") {
    Random random(2);
    for (int repeat = 0; repeat < 300; ++repeat) {
        const Cases cases = random_cases(random, 2 + std::size_t(random.below(60)), 1 + random.below(40));
        REQUIRE(auc(cases.score, cases.label) == all_pairs(cases));
    }
}

TEST_CASE("auc knows its extremes", "[metric]") {
    const std::vector<double> score = {0.1, 0.2, 0.8, 0.9}, same(4, 0.5);
    CHECK(auc(score, std::vector<int>{0, 0, 1, 1}) == 1.0);
    CHECK(auc(score, std::vector<int>{1, 1, 0, 0}) == 0.0);
    CHECK(auc(same, std::vector<int>{0, 1, 1, 0}) == 0.5);
    const double infinity = std::numeric_limits<double>::infinity();
    CHECK(auc(std::vector<double>{-infinity, 0, infinity}, std::vector<int>{0, 0, 1}) == 1.0);
    CHECK(auc(std::vector<double>{0.0, -0.0}, std::vector<int>{0, 1}) == 0.5);
}

TEST_CASE("auc keeps under monotone maps and orders of cases, and turns over with labels and signs", "[metric]") {
    Random random(3);
    for (int repeat = 0; repeat < 100; ++repeat) {
        const Cases cases = random_cases(random, 40, 12);
        const double area = auc(cases.score, cases.label);
        Cases mapped = cases, turned = cases, swapped = cases, shuffled = cases;
        for (double& s : mapped.score) s = std::exp(3 * s) - 7;
        for (double& s : turned.score) s = -s;
        for (int& l : swapped.label) l = 1 - l;
        for (std::size_t i = 40; i > 1; --i) {
            const std::size_t j = std::size_t(random.below(i));
            std::swap(shuffled.score[i - 1], shuffled.score[j]), std::swap(shuffled.label[i - 1], shuffled.label[j]);
        }
        REQUIRE(auc(mapped.score, mapped.label) == area);
        REQUIRE(auc(shuffled.score, shuffled.label) == area);
        REQUIRE_THAT(auc(turned.score, turned.label), WithinAbs(1 - area, 1e-15));
        REQUIRE_THAT(auc(swapped.score, swapped.label), WithinAbs(1 - area, 1e-15));
    }
}

TEST_CASE("the ROC curve runs from nothing to everything, has auc below it and keeps its thresholds' word",
          "[metric]") {
    Random random(4);
    for (int repeat = 0; repeat < 50; ++repeat) {
        const Cases cases = random_cases(random, 50, 15);
        const auto curve = roc_curve(cases.score, cases.label);
        REQUIRE(curve.front().threshold == std::numeric_limits<double>::infinity());
        REQUIRE(curve.front().sensitivity == 0);
        REQUIRE(curve.front().specificity == 1);
        REQUIRE(curve.back().sensitivity == 1);
        REQUIRE(curve.back().specificity == 0);
        double area = 0;
        for (std::size_t i = 1; i < curve.size(); ++i) {
            REQUIRE(curve[i].threshold < curve[i - 1].threshold);
            area += (curve[i - 1].specificity - curve[i].specificity) *
                    (curve[i].sensitivity + curve[i - 1].sensitivity) / 2;
        }
        REQUIRE_THAT(area, WithinRel(auc(cases.score, cases.label), 1e-12));
        const RocPoint& point = curve[curve.size() / 2];
        int hits = 0, positives = 0;
        for (std::size_t i = 0; i < 50; ++i) {
            positives += cases.label[i];
            hits += cases.label[i] && cases.score[i] >= point.threshold;
        }
        REQUIRE(point.sensitivity == double(hits) / positives);
    }
}

TEST_CASE("what cannot be ranked is refused with the facts", "[metric]") {
    const auto refusal = [](std::vector<double> score, std::vector<int> label) {
        try {
            auc(score, label);
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    CHECK(refusal({0.1, 0.2}, {1, 1}) ==
          "ranking: 2 positive and 0 negative cases; an ROC curve needs at least one of each");
    CHECK(refusal({}, {}) == "ranking: 0 positive and 0 negative cases; an ROC curve needs at least one of each");
    CHECK(refusal({0.1, std::nan("")}, {0, 1}) == "ranking: score 1 of 2 is not a number");
    CHECK(refusal({0.1, 0.2}, {0, 2}) == "ranking: label 1 of 2 is 2; 0 (negative) or 1 (positive) is needed");
    CHECK_THROWS_AS(auc(std::vector<double>{1, 2}, std::vector<int>{0, 0}), DataError);
    CHECK_THROWS_AS(roc_curve(std::vector<double>{1, 2}, std::vector<int>{0, 0}), DataError);
    CHECK_THROWS_AS(auc(std::vector<double>{std::nan(""), 2}, std::vector<int>{0, 1}), NumericError);
    CHECK_THROWS_AS(auc(std::vector<double>{1, 2, 3}, std::vector<int>{0, 1}), ShapeError);
}
