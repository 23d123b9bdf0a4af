// Phantoms: the same from the same seed, marked where they say, and no give-away.
#include "pipeline/phantom.hpp"

#include <cmath>
#include <filesystem>

#include <holon/metric/roc.hpp>

#include "pipeline/open.hpp"
#include "support/catch.hpp"

using namespace holon;
using namespace holon::pipeline;

namespace {

/// Mean, deviation, skewness, kurtosis, percentiles, histogram and area of the pixels that are breast.
std::vector<double> grey_statistics(const Image& image) {
    std::vector<double> v;
    for (const std::uint16_t p : image.pixels)
        if (p > 0.08 * 65535) v.push_back(p / 65535.0);
    std::sort(v.begin(), v.end());
    double mean = 0, m2 = 0, m3 = 0, m4 = 0;
    for (const double x : v) mean += x / double(v.size());
    for (const double x : v) m2 += std::pow(x - mean, 2) / double(v.size()), m3 += std::pow(x - mean, 3) / double(v.size()), m4 += std::pow(x - mean, 4) / double(v.size());
    std::vector<double> out{mean, std::sqrt(m2), m3 / std::pow(m2, 1.5), m4 / (m2 * m2), double(v.size()) / double(image.pixels.size()), v.back()};
    for (const double q : {0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99}) out.push_back(v[std::size_t(q * double(v.size() - 1))]);
    std::vector<double> histogram(16);
    for (const double x : v) histogram[std::size_t(std::min(15.0, x * 16))] += 1.0 / double(v.size());
    out.insert(out.end(), histogram.begin(), histogram.end());
    return out;
}

/// Weights of a logistic regression with an L2 penalty by gradient descent on standardised features, and its scores.
std::vector<double> logistic_scores(std::vector<std::vector<double>> train, const std::vector<int>& labels,
                                    std::vector<std::vector<double>> test, double penalty) {
    const std::size_t features = train[0].size();
    for (std::size_t f = 0; f < features; ++f) {
        double mean = 0, square = 0;
        for (const auto& x : train) mean += x[f] / double(train.size());
        for (const auto& x : train) square += std::pow(x[f] - mean, 2) / double(train.size());
        const double scale = square > 1e-18 ? 1 / std::sqrt(square) : 0;
        for (auto* set : {&train, &test})
            for (auto& x : *set) x[f] = (x[f] - mean) * scale;
    }
    std::vector<double> w(features + 1);
    for (int step = 0; step < 2000; ++step) {
        std::vector<double> g(features + 1);
        for (std::size_t i = 0; i < train.size(); ++i) {
            double z = w[features];
            for (std::size_t f = 0; f < features; ++f) z += w[f] * train[i][f];
            const double e = (1 / (1 + std::exp(-z)) - labels[i]) / double(train.size());
            for (std::size_t f = 0; f < features; ++f) g[f] += e * train[i][f];
            g[features] += e;
        }
        for (std::size_t f = 0; f <= features; ++f) w[f] -= 0.3 * (g[f] + (f < features ? penalty * w[f] : 0));
    }
    std::vector<double> scores;
    for (const auto& x : test) {
        double z = w[features];
        for (std::size_t f = 0; f < features; ++f) z += w[f] * x[f];
        scores.push_back(z);
    }
    return scores;
}

}  // namespace

TEST_CASE("a phantom depends on seed, patient, view and label alone", "[pipeline]") {
    PhantomOptions small, large;
    small.train = 4;
    const auto a = draw_phantom(small, 7, 1, true), b = draw_phantom(large, 7, 1, true);
    CHECK(a.image.pixels == b.image.pixels);
    CHECK(a.image.pixels != draw_phantom(small, 7, 0, true).image.pixels);
    large.seed = 2;
    CHECK(a.image.pixels != draw_phantom(large, 7, 1, true).image.pixels);
    for (const auto& lesion : a.lesions)
        for (int y = 0; y < small.rows; ++y)
            for (int x = 0; x < small.columns; ++x)
                if (lesion.mask.at(y, x)) {
                    const bool inside = y >= lesion.box.y0 && y < lesion.box.y1 && x >= lesion.box.x0 && x < lesion.box.x1;
                    if (!inside) FAIL("a pixel of the mask is outside of the box");
                }
}

TEST_CASE("grey-level statistics of phantoms tell malignant from benign no better than an AUC of 0.65", "[pipeline]") {
    const PhantomOptions options;
    std::vector<std::vector<double>> train, test;
    std::vector<int> train_labels, test_labels;
    for (std::uint64_t number = 0; number < 300; ++number)
        for (int view = 0; view < 2; ++view) {
            const bool malignant = number % 2 == 1;
            (number < 200 ? train : test).push_back(grey_statistics(draw_phantom(options, number, view, malignant).image));
            (number < 200 ? train_labels : test_labels).push_back(malignant);
        }
    for (const double penalty : {1e-3, 1e-1}) {
        const double area = auc(logistic_scores(train, train_labels, test, penalty), test_labels);
        CAPTURE(penalty, area);
        CHECK(area <= 0.65);
        CHECK(area >= 0.35);
    }
}

TEST_CASE("a phantom set opens as what it says: splits, labels, lesions", "[pipeline]") {
    std::string pattern = std::filesystem::temp_directory_path() / "holon-phantom-XXXXXX";
    const std::string folder = mkdtemp(pattern.data());
    const Dataset written = write_phantoms(folder, {.rows = 128, .columns = 96, .train = 4, .validation = 2, .test = 2});
    const Dataset read = open_dataset("phantom:" + folder);
    REQUIRE(read.records.size() == 16);
    for (std::size_t i = 0; i < 16; ++i) {
        CHECK(read.records[i].label == written.records[i].label);
        CHECK(read.records[i].split == written.records[i].split);
        CHECK(read.records[i].lesions.size() == written.records[i].lesions.size());
        bool malignant = false;
        for (const Lesion& lesion : read.records[i].lesions)
            malignant |= lesion.finding == Finding::malignant_mass || lesion.finding == Finding::malignant_calcification;
        CHECK(malignant == (read.records[i].label == 1));
    }
    std::filesystem::remove_all(folder);
}
