// pipeline/sampler.cpp: regions and windows, each counted again pixel by pixel.
#include "pipeline/sampler.hpp"

#include <set>

#include "pipeline/pictures.hpp"
#include "support/catch.hpp"

using namespace holon;
using namespace holon::pipeline;

namespace {

template <class Inside> Image drawn(int rows, int columns, Inside inside) {
    Image mask(rows, columns);
    for (int y = 0; y < rows; ++y)
        for (int x = 0; x < columns; ++x) mask.at(y, x) = inside(y, x) ? 65535 : 0;
    return mask;
}
Image disc(int rows, int columns, int row, int column, int radius) {
    return drawn(rows, columns,
                 [=](int y, int x) { return (y - row) * (y - row) + (x - column) * (x - column) <= radius * radius; });
}
Image block(int rows, int columns, Box box) {
    return drawn(rows, columns, [=](int y, int x) { return y >= box.y0 && y < box.y1 && x >= box.x0 && x < box.x1; });
}
/// Pixels above 0 of the part of a mask that a window shows.
double seen(const Image& mask, int y0, int x0, int y1, int x1) {
    int count = 0;
    for (int y = std::max(y0, 0); y < std::min(y1, mask.rows); ++y)
        for (int x = std::max(x0, 0); x < std::min(x1, mask.columns); ++x) count += mask.at(y, x) > 0;
    return count;
}
double seen(const Image& mask, const Patch& p, int size) {
    return seen(mask, p.row, p.column, p.row + size, p.column + size);
}
double area(const Image& mask) { return seen(mask, 0, 0, mask.rows, mask.columns); }

std::vector<LabeledRegion> regions_of(const std::vector<Image>& masks, Finding finding = Finding::benign_mass) {
    std::vector<LabeledRegion> out;
    for (const Image& mask : masks) out.push_back({Region(mask), finding});
    return out;
}
std::vector<Patch> of(const SampledPatches& sampled, Finding finding) {
    std::vector<Patch> out;
    for (const Patch& p : sampled.patches)
        if (p.finding == finding) out.push_back(p);
    return out;
}
std::vector<std::pair<int, int>> places(const SampledPatches& sampled) {
    std::vector<std::pair<int, int>> out;
    for (const Patch& p : sampled.patches) out.push_back({p.row, p.column});
    return out;
}
/// The masks, and all of them as one.
std::vector<Image> with_union(std::vector<Image> masks) {
    Image all = masks.front();
    for (const Image& mask : masks)
        for (std::size_t i = 0; i < all.pixels.size(); ++i) all.pixels[i] |= mask.pixels[i];
    masks.push_back(all);
    return masks;
}
/// The largest share that any of the windows has of any of the masks, of the mask or of the window.
double most_lesion(const std::vector<Image>& masks, const std::vector<Patch>& windows, int size) {
    double most = 0;
    for (const Image& mask : masks) {
        const double all = area(mask);
        for (const Patch& p : windows) {
            const double both = seen(mask, p, size);
            most = std::max({most, both / all, both / (double(size) * size)});
        }
    }
    return most;
}

}  // namespace

TEST_CASE("a region counts what a window sees, inside and outside of the image", "[pipeline]") {
    Random random(1, 0);
    const Image mask = drawn(37, 23, [&](int, int) { return random.uniform() < 0.4; });
    const Region region(mask);
    CHECK(double(region.area()) == area(mask));
    for (int i = 0; i < 2000; ++i) {
        const auto side = [&](int size) { return int(random.below(std::uint64_t(3 * size))) - size; };
        const int y0 = side(37), y1 = side(37), x0 = side(23), x1 = side(23);
        REQUIRE(double(region.within(y0, x0, y1, x1)) == seen(mask, y0, x0, y1, x1));
    }
}

TEST_CASE("a box is the mask that it draws", "[pipeline]") {
    for (const Box box :
         {Box{3, 4, 10, 20}, Box{-5, -6, 7, 8}, Box{15, 30, 40, 50}, Box{0, 0, 1, 1}, Box{22, 36, 23, 37}}) {
        const Region one(37, 23, box), other(block(37, 23, box));
        CHECK(one.area() == other.area());
        CHECK(one.box().x0 == other.box().x0);
        CHECK(one.box().y0 == other.box().y0);
        CHECK(one.box().x1 == other.box().x1);
        CHECK(one.box().y1 == other.box().y1);
        CHECK(one.centre_row() == other.centre_row());
        CHECK(one.centre_column() == other.centre_column());
        for (int y = -3; y < 40; y += 5)
            for (int x = -3; x < 26; x += 4)
                REQUIRE(one.within(y, x, y + 9, x + 6) == other.within(y, x, y + 9, x + 6));
    }
    CHECK(Region(37, 23, Box{30, 0, 40, 10}).area() == 0);
    CHECK(Region(37, 23, Box{5, 5, 5, 9}).area() == 0);
}

TEST_CASE("box and centre are those of the largest part; corners connect", "[pipeline]") {
    // A diagonal of 12 pixels is one part of 12, larger than the 3x3 block; four neighbours would see 12 parts of 1.
    Image mask = block(40, 50, {1, 1, 4, 4});
    for (int i = 0; i < 12; ++i) mask.at(20 + i, 30 + i) = 1;
    const Region region(mask);
    CHECK(region.area() == 21);
    CHECK(region.box().x0 == 30);
    CHECK(region.box().y0 == 20);
    CHECK(region.box().x1 == 42);
    CHECK(region.box().y1 == 32);
    CHECK(region.centre_row() == 26);  // 25.5
    CHECK(region.centre_column() == 36);

    // A right triangle's centroid is a third along each leg, its box's middle a half.
    const Region triangle(drawn(100, 100, [](int y, int x) { return y < 90 && x <= y; }));
    CHECK(std::abs(triangle.centre_row() - 59) <= 1);
    CHECK(std::abs(triangle.centre_column() - 30) <= 1);
}

TEST_CASE("A14 every S10 window of a disc of radius 40 holds 90 percent of it", "[pipeline]") {
    const Image image(1152, 896);
    // in the middle, and so that the image cuts it
    for (const auto& [row, column] : std::vector<std::pair<int, int>>{{500, 300}, {5, 890}, {1151, 0}}) {
        const std::vector<Image> masks{disc(1152, 896, row, column, 40)};
        Random random(3, 1);
        const SampledPatches sampled = sample_patches(image, regions_of(masks, Finding::malignant_mass), {}, random);
        const auto lesion = of(sampled, Finding::malignant_mass), background = of(sampled, Finding::background);
        CHECK(lesion.size() == 10);
        CHECK(background.size() == 10);
        CHECK(sampled.patches.size() == 20);
        CHECK(sampled.missing_background == 0);
        for (const Patch& p : lesion) CHECK(seen(masks[0], p, 224) >= 0.9 * area(masks[0]));
        CHECK(most_lesion(masks, background, 224) <= 0.35);
    }
}

TEST_CASE("A14 every S10 window of a 600x600 square lies 90 percent inside", "[pipeline]") {
    const Image image(1152, 896);
    const std::vector<Image> masks{block(1152, 896, {100, 200, 700, 800})};
    Random random(4, 1);
    const SampledPatches sampled =
        sample_patches(image, regions_of(masks), {.per_lesion = 60, .background = 10}, random);
    const auto lesion = of(sampled, Finding::benign_mass);
    CHECK(lesion.size() == 60);
    for (const Patch& p : lesion) CHECK(seen(masks[0], p, 224) >= 0.9 * 224 * 224);
    CHECK(of(sampled, Finding::background).size() == 10);
    CHECK(most_lesion(masks, of(sampled, Finding::background), 224) <= 0.35);
    // Some leave the square a little: what is asked for is 90 percent, not all.
    CHECK(
        std::any_of(lesion.begin(), lesion.end(), [&](const Patch& p) { return seen(masks[0], p, 224) < 224 * 224; }));
}

TEST_CASE("A14 background keeps away from every lesion, and from all of them together", "[pipeline]") {
    const Image image(1000, 1000);
    std::vector<Image> masks;
    SECTION("six stripes, each thin in a window, four of them a third of it") {
        for (int k = 0; k < 6; ++k) masks.push_back(block(1000, 1000, {40 + k * 60, 0, 80 + k * 60, 1000}));
    }
    SECTION("a small lesion beside a large one") {
        masks = {block(1000, 1000, {0, 0, 1000, 700}), disc(1000, 1000, 850, 500, 9)};
    }
    SECTION("lesions one over the other") {
        masks = {disc(1000, 1000, 500, 500, 150), disc(1000, 1000, 560, 540, 150), disc(1000, 1000, 100, 900, 3)};
    }
    Random random(5, 1);
    const SampledPatches sampled =
        sample_patches(image, regions_of(masks), {.per_lesion = 1, .background = 300}, random);
    const auto background = of(sampled, Finding::background);
    CHECK(background.size() == 300);
    CHECK(of(sampled, Finding::benign_mass).size() == masks.size());
    const double most = most_lesion(with_union(masks), background, 224);
    CHECK(most <= 0.35);
    CHECK(most > 0.1);  // touching is allowed
}

TEST_CASE("ten a lesion, ten of background an image, each with its finding", "[pipeline]") {
    const Image image(1152, 896);
    std::vector<LabeledRegion> regions;
    regions.push_back({Region(disc(1152, 896, 200, 200, 30)), Finding::malignant_calcification});
    regions.push_back({Region(1152, 896, Box{600, 700, 680, 790}), Finding::benign_calcification});
    regions.push_back({Region(disc(1152, 896, 900, 300, 50)), Finding::malignant_mass});
    Random random(6, 1);
    const SampledPatches ten = sample_patches(image, regions, {}, random);
    const SampledPatches one = sample_patches(image, regions, {.per_lesion = 1, .background = 1}, random);
    for (const auto& [sampled, each] : {std::pair{ten, 10u}, std::pair{one, 1u}}) {
        CHECK(sampled.patches.size() == 4 * each);
        for (const Finding finding : {Finding::background, Finding::benign_calcification,
                                      Finding::malignant_calcification, Finding::malignant_mass})
            CHECK(of(sampled, finding).size() == each);
    }
    CHECK(sample_patches(image, {}, {}, random).patches.size() == 10);  // an image without lesions
}

TEST_CASE("S1 is the window around the centroid", "[pipeline]") {
    Random random(7, 1);
    const auto one = [&](const Image& mask) {
        return sample_patches(Image(mask.rows, mask.columns), regions_of({mask}), {.per_lesion = 1, .background = 0},
                              random)
            .patches.at(0);
    };
    const Patch middle = one(disc(1152, 896, 500, 300, 40)), corner = one(block(1152, 896, {0, 0, 1, 1}));
    CHECK(middle.row == 500 - 112);
    CHECK(middle.column == 300 - 112);
    CHECK(corner.row == -112);
    CHECK(corner.column == -112);
}

TEST_CASE("centres cover the whole box of the lesion and the whole image, and nothing else", "[pipeline]") {
    const Image image(300, 260);
    Random random(8, 1);
    const SampledPatches sampled = sample_patches(image, regions_of({block(300, 260, {50, 70, 57, 81})}),
                                                  {.patch = 64, .per_lesion = 2000, .background = 0}, random);
    std::set<int> rows, columns;
    for (const Patch& p : sampled.patches) rows.insert(p.row + 32), columns.insert(p.column + 32);
    CHECK(rows.size() == 11);
    CHECK(*rows.begin() == 70);
    CHECK(columns.size() == 7);
    CHECK(*columns.begin() == 50);

    rows.clear(), columns.clear();
    for (const Patch& p : sample_patches(image, {}, {.patch = 64, .background = 5000}, random).patches)
        rows.insert(p.row + 32), columns.insert(p.column + 32);
    CHECK(rows.size() == 300);
    CHECK(*rows.begin() == 0);
    CHECK(*rows.rbegin() == 299);
    CHECK(columns.size() == 260);
    CHECK(*columns.begin() == 0);
    CHECK(*columns.rbegin() == 259);
}

TEST_CASE("rows are drawn before columns, whatever order a compiler evaluates arguments in", "[pipeline]") {
    const Image image(300, 260);
    Random one(14, 1), two(14, 1);
    const SampledPatches sampled = sample_patches(image, regions_of({block(300, 260, {50, 70, 57, 81})}),
                                                  {.patch = 64, .per_lesion = 2, .background = 0}, one);
    const SampledPatches background = sample_patches(image, {}, {.patch = 64, .background = 3}, one);
    std::vector<std::pair<int, int>> expected;
    for (int k = 0; k < 2; ++k) {
        const int row = 70 + int(two.below(11)), column = 50 + int(two.below(7));
        expected.push_back({row - 32, column - 32});
    }
    CHECK(places(sampled) == expected);
    expected.clear();
    for (int k = 0; k < 3; ++k) {
        const int row = int(two.below(300)), column = int(two.below(260));
        expected.push_back({row - 32, column - 32});
    }
    CHECK(places(background) == expected);
}

TEST_CASE("the share sinks by 0.05 after 1000 failures, for that lesion only, and is strict", "[pipeline]") {
    const Image image(1152, 896);
    // Two discs of one mask, 60 : 40 and too far apart: no window holds more than some 60 percent.
    Image far = disc(1152, 896, 200, 200, 49);
    const Image second = disc(1152, 896, 900, 700, 40), square = block(1152, 896, {100, 350, 700, 850});
    for (std::size_t i = 0; i < far.pixels.size(); ++i) far.pixels[i] |= second.pixels[i];
    std::vector<LabeledRegion> regions;
    regions.push_back({Region(far), Finding::benign_mass});
    regions.push_back({Region(square), Finding::malignant_mass});
    Random random(9, 1);
    const SampledPatches sampled = sample_patches(image, regions, {.per_lesion = 30, .background = 0}, random);
    for (const Patch& p : of(sampled, Finding::benign_mass)) CHECK(seen(far, p, 224) > 0.55 * area(far));
    for (const Patch& p : of(sampled, Finding::malignant_mass)) CHECK(seen(square, p, 224) > 0.9 * 224 * 224);

    // A line of 10 pixels under windows of 9: 0.9 at best, which is not more than 0.9, so 1000 tries of two draws fail.
    Random counted(10, 1);
    const SampledPatches line = sample_patches(Image(50, 50), regions_of({block(50, 50, {20, 25, 30, 26})}),
                                               {.patch = 9, .per_lesion = 3, .background = 0}, counted);
    CHECK(line.patches.size() == 3);
    CHECK(counted.position() >= 2000 + 6);
    CHECK(counted.position() < 2400);
}

TEST_CASE("a lesion that no window holds enough of is refused with its place", "[pipeline]") {
    const Image image(1000, 1000);
    const auto regions = regions_of({drawn(1000, 1000, [](int y, int x) { return y == x; })});
    Random random(11, 1);
    const std::string sentence = scratch::refusal(
        [&] { sample_patches(image, regions, {.patch = 32, .background = 0, .overlap = 0.05}, random); });
    CHECK(sentence.find("no window of 32 pixels") != std::string::npos);
    CHECK(sentence.find("rows 0..999, columns 0..999") != std::string::npos);
}

TEST_CASE("images smaller than a window, lesions of one pixel, lesions of none", "[pipeline]") {
    Random random(12, 1);
    const Image tiny = pictures::ramp(50, 40, 31);
    std::vector<LabeledRegion> regions;
    regions.push_back({Region(50, 40, Box{39, 49, 40, 50}), Finding::benign_mass});
    const SampledPatches sampled = sample_patches(tiny, regions, {}, random);
    CHECK(of(sampled, Finding::benign_mass).size() == 10);
    for (const Patch& p : of(sampled, Finding::benign_mass)) {
        CHECK(p.row == 49 - 112);
        CHECK(p.column == 39 - 112);
    }
    // Every window of a tiny image shows all of it: with the lesion in it, none is background.
    CHECK(sampled.missing_background == 10);

    const SampledPatches full =
        sample_patches(Image(100, 100), regions_of({Image(100, 100, 1)}), {.per_lesion = 1, .background = 4}, random);
    CHECK(full.patches.size() == 1);
    CHECK(full.missing_background == 4);

    regions.push_back({Region(Image(50, 40)), Finding::malignant_mass});
    regions.push_back({Region(50, 40, Box{60, 0, 70, 9}), Finding::malignant_mass});
    const SampledPatches lost = sample_patches(tiny, regions, {.per_lesion = 1}, random);
    CHECK(lost.lost_lesions == std::vector<std::size_t>{1, 2});
    CHECK(of(lost, Finding::malignant_mass).empty());
    CHECK(of(lost, Finding::benign_mass).size() == 1);
}

TEST_CASE("background holds the breast that was asked for", "[pipeline]") {
    Random random(13, 1);
    const SamplerOptions asked{.patch = 64, .background = 40, .min_breast = 0.75};
    const Image half = block(400, 300, {150, 0, 300, 400});  // breast on the right
    const SampledPatches sampled = sample_patches(half, {}, asked, random);
    CHECK(sampled.patches.size() == 40);
    for (const Patch& p : sampled.patches) CHECK(seen(half, p, 64) >= 0.75 * 64 * 64);

    Image film(400, 300, asked.breast_grey);  // not above it
    CHECK(sample_patches(film, {}, asked, random).missing_background == 40);
    CHECK(sample_patches(film, {}, {.patch = 64, .background = 40}, random).patches.size() == 40);
    for (std::uint16_t& pixel : film.pixels) ++pixel;
    CHECK(sample_patches(film, {}, asked, random).patches.size() == 40);
}

TEST_CASE("a copied window has zeros outside of the image", "[pipeline]") {
    const Image image = pictures::ramp(50, 40, 31);
    for (const auto& [row, column] : std::vector<std::pair<int, int>>{
             {10, 5}, {-7, -9}, {30, 25}, {-16, 0}, {50, 40}, {49, 39}, {-1000, 3}, {3, 1000}, {3, -1000}}) {
        const Image out = copy_patch(image, {row, column, Finding::background}, 16);
        REQUIRE(out.rows == 16);
        REQUIRE(out.columns == 16);
        for (int y = 0; y < 16; ++y)
            for (int x = 0; x < 16; ++x) {
                const int r = row + y, c = column + x;
                const bool inside = r >= 0 && r < 50 && c >= 0 && c < 40;
                REQUIRE(int(out.at(y, x)) == (inside ? int(image.at(r, c)) : 0));
            }
    }
    const Image around = copy_patch(image, {-20, -30, Finding::background}, 96);
    CHECK(copy_patch(around, {20, 30, Finding::background}, 40).pixels ==
          copy_patch(image, {0, 0, Finding::background}, 40).pixels);
}

TEST_CASE("windows are decided by the seed, and nonsense is refused", "[pipeline]") {
    const Image image(400, 300);
    const auto regions = regions_of({disc(400, 300, 100, 100, 30)});
    const auto drawn_with = [&](std::uint64_t seed) {
        Random random(seed, 5);
        return places(sample_patches(image, regions, {}, random));
    };
    CHECK(drawn_with(1) == drawn_with(1));
    CHECK(drawn_with(1) != drawn_with(2));
    Random random(1, 1);
    for (const SamplerOptions& options :
         {SamplerOptions{.patch = 0}, SamplerOptions{.per_lesion = 0}, SamplerOptions{.background = -1}})
        CHECK(scratch::refusal([&] { sample_patches(image, regions, options, random); }).find("are needed") !=
              std::string::npos);
    const std::string sizes =
        scratch::refusal<ShapeError>([&] { sample_patches(Image(400, 301), regions, {}, random); });
    CHECK(sizes.find("400x300") != std::string::npos);
    CHECK(sizes.find("400x301") != std::string::npos);
}
