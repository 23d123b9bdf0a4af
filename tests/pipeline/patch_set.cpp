// pipeline/patch_set.cpp: patches of a split from files on disk to classes of a network.
#include "pipeline/patch_set.hpp"

#include <iostream>
#include <map>
#include <sstream>

#include "pipeline/pictures.hpp"
#include "pipeline/png_out.hpp"
#include "support/catch.hpp"

using namespace holon;
using namespace holon::pipeline;

namespace {

/// What is printed while it lives.
class Listening {
 public:
    Listening() : before_(std::cout.rdbuf(heard_.rdbuf())) {}
    ~Listening() { std::cout.rdbuf(before_); }
    std::string said() const { return heard_.str(); }
    bool heard(const std::string& words) const { return said().find(words) != std::string::npos; }

 private:
    std::ostringstream heard_;
    std::streambuf* before_;
};

/// Four images of 300x200, which the store holds at 150x100: a box, a mask, nothing, and a lesion nobody placed.
struct Clinic {
    scratch::Directory folder;
    std::vector<Record> records;

    Clinic() {
        for (int i = 0; i < 4; ++i) {
            Record record;
            record.image = folder / ("view" + std::to_string(i) + ".png");
            record.patient = std::to_string(i);
            write_png16(record.image, pictures::ramp(300, 200, 101 + 10 * i));
            records.push_back(record);
        }
        Image mask(300, 200);
        for (int y = 100; y < 120; ++y)
            for (int x = 20; x < 60; ++x) mask.at(y, x) = 65535;
        write_png8(folder / "mask.png", mask);
        records[0].lesions.push_back({Finding::malignant_mass, {101, 51, 121, 81}, {}});
        records[1].lesions.push_back({Finding::benign_mass, {20, 100, 60, 120}, folder / "mask.png"});
        records[3].lesions_known = false;
    }
    ImageStore store(std::vector<std::size_t> which) const {
        std::vector<const Record*> chosen;
        for (const std::size_t i : which) chosen.push_back(&records[i]);
        return ImageStore(chosen, {150, 100}, 1);
    }
};

const SamplerOptions few{.patch = 32, .per_lesion = 6, .background = 5};

/// Name -> pixels.
std::map<std::string, std::vector<std::uint16_t>> contents(const PatchSet& set) {
    std::map<std::string, std::vector<std::uint16_t>> all;
    for (std::size_t k = 0; k < set.size(); ++k) all[set.name(k)] = set.image(k).pixels;
    return all;
}

}  // namespace

TEST_CASE("patches are counted by finding and cut from the image at the network's size", "[pipeline]") {
    const Clinic clinic;
    const ImageStore store = clinic.store({0, 1, 2, 3});
    const PatchSet set(store, few, 1);
    CHECK(set.counts() == std::array<std::size_t, 5>{15, 0, 0, 6, 6});  // the last image gives none
    CHECK(set.size() == 27);
    CHECK(set.missing_background == 0);
    Random random(1, 0);
    for (std::size_t k = 0; k < set.size(); ++k) {
        const Image patch = set.image(k);
        CHECK(patch.rows == 32);
        CHECK(patch.columns == 32);
        std::istringstream name(set.name(k).substr(set.name(k).find(" at row ") + 8));
        int row = 0, column = 0;
        char comma = 0;
        std::string word;
        name >> row >> comma >> word >> column;
        const std::size_t image = std::size_t(set.name(k)[set.name(k).find("view") + 4] - '0');
        CHECK(patch.pixels == copy_patch(store.image(image), {row, column, Finding::background}, 32).pixels);
        // The regions at half size: rows 25..40 and columns 50..60 of the box, rows 50..59 and columns 10..29 of the
        // mask.
        if (set.finding(k) == Finding::malignant_mass) {
            CHECK((image == 0 && row + 16 >= 25 && row + 16 <= 40 && column + 16 >= 50 && column + 16 <= 60));
        } else if (set.finding(k) == Finding::benign_mass) {
            CHECK((image == 1 && row + 16 >= 50 && row + 16 <= 59 && column + 16 >= 10 && column + 16 <= 29));
        }
    }
}

TEST_CASE("an image's patches depend on the seed and on itself, not on its company", "[pipeline]") {
    const Clinic clinic;
    const ImageStore all = clinic.store({0, 1, 2}), turned = clinic.store({2, 0}), again = clinic.store({0, 1, 2});
    const auto whole = contents(PatchSet(all, few, 1)), part = contents(PatchSet(turned, few, 1));
    CHECK(contents(PatchSet(again, few, 1)) == whole);
    CHECK(contents(PatchSet(all, few, 2)) != whole);
    CHECK(part.size() >= 10);
    for (const auto& [name, pixels] : part) {
        REQUIRE(whole.count(name) == 1);
        CHECK(whole.at(name) == pixels);
    }
}

TEST_CASE("classes are the findings of the training split, renumbered in order", "[pipeline]") {
    const Clinic clinic;
    const ImageStore train_store = clinic.store({0, 2}), test_store = clinic.store({0, 1});
    const PatchSet train(train_store, few, 1), test(test_store, few, 1);
    Listening ear;
    const PatchClasses classes(train);
    CHECK(classes.findings == std::vector<Finding>{Finding::background, Finding::malignant_mass});
    CHECK(classes.index == std::array<int, 5>{0, -1, -1, -1, 1});
    CHECK(classes.list() == "background,malignant_mass");
    for (const char* absent : {"no benign_calcification", "no malignant_calcification", "no benign_mass"})
        CHECK(ear.heard(absent));
    CHECK_FALSE(ear.heard("no background"));

    const SampleSet samples = patch_samples(test, classes, 32);
    CHECK(samples.size() == test.size() - 6);  // the benign mass is not known to the network
    CHECK(ear.heard("6 patches of 22 are of findings"));
    CHECK(std::count(samples.labels.begin(), samples.labels.end(), 0) == 10);
    CHECK(std::count(samples.labels.begin(), samples.labels.end(), 1) == 6);
    const auto pixels = contents(test);
    for (std::size_t i = 0; i < samples.size(); ++i) CHECK(samples.image(i).pixels == pixels.at(samples.names[i]));
}

TEST_CASE("no background anywhere, or nothing but background, is refused with what to do", "[pipeline]") {
    Clinic clinic;
    Listening ear;
    const ImageStore normal = clinic.store({2}), sick = clinic.store({0, 1});
    const PatchSet only_background(normal, few, 1);
    CHECK(scratch::refusal([&] { PatchClasses{only_background}; }).find("background only") != std::string::npos);
    SamplerOptions strict = few;
    strict.min_breast = 0.5;
    strict.breast_grey = 65535;  // nothing is above it
    const PatchSet none(sick, strict, 1);
    CHECK(none.missing_background == 10);
    const std::string sentence = scratch::refusal([&] { PatchClasses{none}; });
    CHECK(sentence.find("no background patch") != std::string::npos);
    CHECK(sentence.find("--min-breast") != std::string::npos);
}

TEST_CASE("a lesion lost at the network's size is said, a missing mask is refused", "[pipeline]") {
    Clinic clinic;
    Image speck(300, 200);
    speck.at(0, 0) = 65535;  // the half-sized mask's first pixel is taken from row 1, column 1
    write_png8(clinic.folder / "speck.png", speck);
    clinic.records[2].lesions.push_back({Finding::benign_mass, {0, 0, 1, 1}, clinic.folder / "speck.png"});
    const ImageStore store = clinic.store({2});
    Listening ear;
    const PatchSet set(store, few, 1);
    CHECK(ear.heard(clinic.records[2].image + ": lesion 1 has no pixel left at 150x100"));
    CHECK(set.counts() == std::array<std::size_t, 5>{5, 0, 0, 0, 0});

    clinic.records[2].lesions[0].mask = clinic.folder / "absent.png";
    CHECK(scratch::refusal([&] { PatchSet(store, few, 1); }).find("absent.png") != std::string::npos);
}

TEST_CASE("the mean grey is that of all pixels, on the scale of 255", "[pipeline]") {
    const Clinic clinic;
    const ImageStore store = clinic.store({0, 2});
    long double sum = 0;
    for (const std::size_t i : {0u, 1u})
        for (const std::uint16_t pixel : store.image(i).pixels) sum += pixel;
    CHECK(std::abs(mean_grey(store) - double(sum / (2 * 150 * 100) * 255 / 65535)) < 1e-9);
}
