// Sampling, augmentation and loading: the paper's oracles A10, A14, A17.
#include <atomic>
#include <cmath>
#include <set>

#include "pipeline/augment.hpp"
#include "pipeline/loader.hpp"
#include "pipeline/sampler.hpp"
#include "support/catch.hpp"

using namespace holon;
using namespace holon::pipeline;

TEST_CASE("A10 the affine map", "[pipeline]") {
    struct Row {
        int h, w;
        double theta, shear, zr, zc;
        std::array<double, 4> matrix;
        std::array<double, 2> offset, there;
    };
    for (const Row& row : {Row{224, 224, 10, 0.1, 0.9, 1.1, {0.886326978, -0.298207121, 0.156283360, 1.058807118}, {46.336516, -24.197679}, {60.832153, 89.497201}},
                           Row{1152, 896, -20, 0.15, 1.2, 0.85, {1.127631145, 0.168090658, -0.410424172, 0.833213977}, {-148.968015, 311.413067}, {-75.777392, 374.213256}},
                           Row{224, 224, 90, 0, 1, 1, {0, -1, 1, 0}, {225, 0}, {125, 50}}}) {
        const AffineMap map = affine_map(row.h, row.w, row.theta, row.shear, row.zr, row.zc);
        for (std::size_t i = 0; i < 4; ++i) CHECK(std::abs(map.matrix[i] - row.matrix[i]) < 1e-8);
        for (std::size_t i = 0; i < 2; ++i) {
            CHECK(std::abs(map.offset[i] - row.offset[i]) < 1e-5);
            CHECK(std::abs(map.matrix[2 * i] * 50 + map.matrix[2 * i + 1] * 100 + map.offset[i] - row.there[i]) < 1e-5);
        }
    }
}

TEST_CASE("A14 sampled patches hold what they must", "[pipeline]") {
    const Image image(1152, 896, 20000);
    Image disc(1152, 896);
    for (int y = 0; y < 1152; ++y)
        for (int x = 0; x < 896; ++x) disc.at(y, x) = std::hypot(y - 400, x - 300) <= 40 ? 1 : 0;
    const std::vector<LabeledRegion> small{{Region(disc), Finding::benign_mass}};
    const std::vector<LabeledRegion> large{{Region(1152, 896, {100, 200, 700, 800}), Finding::malignant_mass}};
    const std::vector<LabeledRegion> both{small[0], large[0]};
    for (const auto* regions : {&small, &large, &both}) {
        Random random(3);
        const auto sampled = sample_patches(image, *regions, {}, random);
        CHECK(sampled.patches.size() == 10 * regions->size() + 10);
        int background = 0;
        for (const Patch& p : sampled.patches) {
            double most = 0;
            for (const auto& lesion : *regions) {
                const double shared = double(lesion.region.within(p.row, p.column, p.row + 224, p.column + 224));
                const double share = std::max(shared / double(lesion.region.area()), shared / (224.0 * 224));
                if (p.finding == Finding::background) CHECK(share <= 0.35);
                if (p.finding == lesion.finding) most = share;
            }
            if (p.finding == Finding::background) ++background;
            else CHECK(most > 0.9);
        }
        CHECK(background == 10);
    }
    Random random(1);
    const auto one = sample_patches(image, small, {.per_lesion = 1, .background = 1}, random);
    CHECK((one.patches[0].row == 400 - 112 && one.patches[0].column == 300 - 112));
}

TEST_CASE("patches at the border are padded with zeros; a breast too small for background is counted, not looped on", "[pipeline]") {
    Image image(100, 80, 500);
    const Image corner = copy_patch(image, {-20, -30, Finding::background}, 64);
    CHECK(corner.at(19, 40) == 0);
    CHECK(corner.at(20, 29) == 0);
    CHECK(corner.at(20, 30) == 500);
    const Image beyond = copy_patch(image, {90, 70, Finding::background}, 64);
    CHECK((beyond.at(9, 9) == 500 && beyond.at(10, 0) == 0 && beyond.at(0, 10) == 0));
    Random random(1);
    const auto sampled = sample_patches(image, {}, {.patch = 64, .background = 3, .min_breast = 0.5}, random);
    CHECK(sampled.missing_background == 3);
    const std::vector<LabeledRegion> dot{{Region(100, 80, {79, 99, 80, 100}), Finding::benign_calcification}};
    CHECK(sample_patches(image, dot, {.patch = 32}, random).patches.size() == 20);
}

TEST_CASE("A17 one epoch visits each index once, in the same order and with the same draws for any number of threads", "[pipeline]") {
    for (const std::size_t count : {1, 7, 16, 33, 100})
        for (const std::size_t batch : {1, 4, 7, 128}) {
            std::vector<std::pair<std::size_t, double>> first;
            for (const int threads : {1, 2, 3, 8}) {
                Loader<double> loader(count, [](std::size_t, Random& random) { return random.uniform(); }, {.batch = batch, .threads = threads, .seed = 9});
                std::vector<std::pair<std::size_t, double>> seen;
                loader.start(4);
                while (auto next = loader.next()) {
                    CHECK(next->items.size() == std::min(batch, count - seen.size()));
                    for (std::size_t k = 0; k < next->items.size(); ++k) seen.push_back({next->indices[k], next->items[k]});
                }
                std::set<std::size_t> indices;
                for (const auto& s : seen) indices.insert(s.first);
                CHECK((seen.size() == count && indices.size() == count && *indices.rbegin() == count - 1));
                if (first.empty()) first = seen;
                CHECK(seen == first);
            }
            // Going on from a batch in the middle gives the rest of the same epoch.
            Loader<double> loader(count, [](std::size_t, Random& random) { return random.uniform(); }, {.batch = batch, .threads = 2, .seed = 9});
            const std::size_t from = loader.batches() / 2;
            loader.start(4, from);
            std::size_t at = from * batch;
            while (auto next = loader.next())
                for (std::size_t k = 0; k < next->items.size(); ++k, ++at) CHECK(first[at] == std::pair{next->indices[k], next->items[k]});
            CHECK(at == count);
        }
    CHECK(epoch_order(50, 1, 0, true) != epoch_order(50, 1, 1, true));
}

TEST_CASE("what a worker throws arrives with the item's name, and the loader can be left at any time", "[pipeline]") {
    Loader<int> loader(
        20, [](std::size_t i, Random&) -> int { if (i == 11) throw DataError("broken.png: cut short"); return int(i); },
        {.batch = 3, .threads = 3, .shuffle = false}, [](std::size_t i) { return text("record ", i); });
    loader.start(0);
    for (int k = 0; k < 3; ++k) CHECK(loader.next());
    CHECK_THROWS_WITH(loader.next(), Catch::Matchers::Contains("broken.png") && Catch::Matchers::Contains("record 11"));
    loader.start(1);
    CHECK(loader.next());
    loader.start(2);  // leaves the epoch under way
    CHECK(loader.next());
}
