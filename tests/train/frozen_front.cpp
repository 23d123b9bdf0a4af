// --cache-frozen: a run that reads what frozen layers made of its images writes the bytes of one that computes it anew.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include <holon/model/whole_image.hpp>

#include "pipeline/models.hpp"
#include "support/catch.hpp"
#include "train/small.hpp"

using namespace holon;
using namespace holon::test;

namespace {

struct Case {
    std::string network, top, late;  ///< `late`: the first layer that learns in the second stage
    std::string bn_mode = "frozen", augment = "flips", input = "keras";
};

/// Three stages: the head, from `late` on, everything. Returns last.safetensors and what was said.
template <class T> std::pair<std::string, std::string> train(const Case& c, const std::string& cache) {
    using Net = WholeImage<T, Cpu>;
    const Quiet quiet;
    const SampleSet set = samples(5, 64, 2, 20000);  // batches of two, the last of one
    const scratch::Directory folder;
    Options options;
    options.out = folder.path();
    options.batch = 2;
    options.seed = 3;
    options.bn_mode = c.bn_mode;
    options.augment = c.augment;
    Task task;
    task.train = &set;
    task.form = input_form(c.input);
    task.columns = "score";
    task.stages = {
        {"head", {"fc"}, "", 1e-3, 1e-3, 2}, {"late", {}, c.late, 1e-3, 1e-3, 2}, {"all", {}, "", 1e-4, 0, 1}};
    auto net = to_whole_image(PatchClassifier<T, Cpu>(c.network, 1, 0, 1), parse_top(c.top), 2, 1);
    FrozenFront<Net> front(cache, task.form, net, task.stages, frozen_statistics(options));
    run_training<Net>(net, task, front, options, [&](Net& now) {
        const auto shares = predict(now, set, front, 3, 2);  // batches of another size than the training's
        Verdict verdict;
        for (const auto& share : shares) verdict.score += share[1];
        verdict.columns = text(verdict.score);
        return verdict;
    });
    return {scratch::bytes_of(folder / "last.safetensors"), quiet.printed()};
}

std::set<std::string> files_in(const std::string& folder) {
    std::set<std::string> out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
        if (entry.is_regular_file()) out.insert(entry.path().string());
    return out;
}

template <class T> void gives_the_same_bytes(const Case& c) {
    CAPTURE(c.network, element_name<T>());
    const scratch::Directory cache;
    const std::string straight = train<T>(c, "").first;
    const auto [filling, said] = train<T>(c, cache.path());
    CHECK(filling == straight);
    CHECK_THAT(said, ContainsText("layers of the trunk run once an image"));
    const std::set<std::string> files = files_in(cache.path());
    CHECK(files.size() >= 2 * 5);      // both depths, each image
    CHECK(files.size() <= 2 * 5 * 4);  // and no more than its flips
    CHECK(train<T>(c, cache.path()).first == straight);
    CHECK(files_in(cache.path()) == files);
    std::set<std::string> left;  // some there, some not; some at the first depth only
    std::size_t met = 0;
    for (const std::string& file : files)
        if (++met % 3 == 0)
            std::filesystem::remove(file);
        else
            left.insert(file);
    REQUIRE(left.size() < files.size());
    CHECK(train<T>(c, cache.path()).first == straight);
    const std::set<std::string> again = files_in(cache.path());  // a map that only led to a deeper one stays away
    CHECK(std::includes(files.begin(), files.end(), again.begin(), again.end()));
    CHECK(std::includes(again.begin(), again.end(), left.begin(), left.end()));
    CHECK(again.size() > left.size());
}

}  // namespace

TEST_CASE("a frozen front that is kept gives the bytes of one that is run anew", "[train]") {
    gives_the_same_bytes<float>({"resnet14", "16x1", "layer4"});
    gives_the_same_bytes<bfloat16>({"vgg16", "none", "features.24"});
}

TEST_CASE("a kept front is used for nothing but its own layers, images and input form", "[train]") {
    const Case c{"resnet14", "none", "layer4", "frozen", "none"};
    const scratch::Directory cache;
    train<float>(c, cache.path());
    const std::set<std::string> files = files_in(cache.path());
    REQUIRE(files.size() == 2 * 5);
    Case other = c;
    other.input = "torchvision";
    CHECK(train<float>(other, cache.path()).first == train<float>(other, "").first);
    CHECK(files_in(cache.path()).size() == 4 * 5);
    other = c;
    other.late = "layer3";  // the deepest maps serve both, the shallower ones are others
    train<float>(other, cache.path());
    CHECK(files_in(cache.path()).size() == 5 * 5);
    {
        std::fstream file(*files.begin(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(-8, std::ios::end);
        file.put('x');
    }
    CHECK_THAT(scratch::refusal<DataError>([&] { train<float>(c, cache.path()); }), ContainsText(*files.begin()));
}

TEST_CASE("a front that does not rest, or images that never come again, are refused with the way out", "[train]") {
    const scratch::Directory cache;
    CHECK_THAT(scratch::refusal<DataError>([&] {
                   train<float>({"resnet14", "none", "layer4", "legacy"}, cache.path());
               }),
               ContainsText("--bn-mode frozen") && ContainsText("--from"));
    Options options;
    options.network = "vgg16";
    options.cache_frozen = cache.path();
    CHECK_THAT(scratch::refusal<DataError>([&] { check_training(options, whole_image_stages()); }),
               ContainsText("--augment flips, mirror or none"));
    options.augment = "mirror";
    check_training(options, whole_image_stages());
}

TEST_CASE("--augment mirror turns left and right about half the time and does nothing else; flips both axes",
          "[train]") {
    int mirrored = 0, upside_down = 0;
    Random random(1);
    for (int i = 0; i < 400; ++i) {
        const op::Warp mirror = draw_warp(Augmentation::mirror, 8, 8, random);
        CHECK_FALSE(mirror.flip_vertical);
        CHECK(mirror.matrix == op::Warp().matrix);
        mirrored += mirror.flip_horizontal;
        upside_down += draw_warp(Augmentation::flips, 8, 8, random).flip_vertical;
    }
    CHECK(mirrored > 150);
    CHECK(mirrored < 250);
    CHECK(upside_down > 150);
    CHECK(upside_down < 250);
    CHECK_FALSE(draw_warp(Augmentation::none, 8, 8, random).flip_horizontal);
    CHECK_THAT(scratch::refusal<DataError>([] { parse_augmentation("some"); }), ContainsText("mirror"));
}

TEST_CASE("--from says the first layer that learns in each stage", "[train]") {
    Options options;
    options.from = "fc,all";
    auto stages = stages_of(options, whole_image_stages(), false);
    CHECK(stages[0].learns.empty());
    CHECK(stages[0].from == "fc");
    CHECK((stages[1].learns.empty() && stages[1].from.empty()));
    options.from = "fc";
    CHECK_THAT(scratch::refusal<DataError>([&] { stages_of(options, whole_image_stages(), false); }),
               ContainsText("--from") && ContainsText("1 given for 2 stages"));
    auto net = to_whole_image(PatchClassifier<float, Cpu>("vgg16", 1, 0, 1), parse_top("none"), 2, 1);
    enter_stage(net, {"late", {}, "features.24"}, Statistics::fixed);
    CHECK(resting_depth(net.trunk) == 10);
    enter_stage(net, whole_image_stages(false)[0], Statistics::fixed);
    CHECK(resting_depth(net.trunk) == 13);
    enter_stage(net, {"all", {}, ""}, Statistics::fixed);
    CHECK(resting_depth(net.trunk) == 0);
}
