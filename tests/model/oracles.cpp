// The paper's data-free oracles for networks: shapes, counts, views, equivalences.
#include <set>

#include <holon/loss/balance.hpp>
#include <holon/metric/roc.hpp>
#include <holon/model/receptive_field.hpp>
#include <holon/model/stage.hpp>
#include <holon/model/whole_image.hpp>
#include <holon/optim/adam.hpp>

#include "support/catch.hpp"
#include "support/networks.hpp"

using namespace holon;
using namespace holon::test;

namespace {

using Patch = PatchClassifier<float, Cpu>;
using Whole = WholeImage<float, Cpu>;

Whole whole(const char* network, const char* top) { return to_whole_image(Patch(network, 5, 0.5, 1), parse_top(top), 2, 1); }

std::int64_t count_under(auto& net, const std::string& prefix) {
    std::int64_t sum = 0;
    VisitorFor<std::remove_reference_t<decltype(net)>> visit;
    visit.on_parameter = [&](const std::string& name, auto& p) { sum += under(name, prefix) ? p.shape().size() : 0; };
    visit(std::string_view(), net);
    return sum;
}

std::int64_t count_states(auto& net) {
    std::int64_t sum = 0;
    VisitorFor<std::remove_reference_t<decltype(net)>> visit;
    visit.on_state = [&](const std::string&, auto& s) { sum += s.shape().size(); };
    visit(std::string_view(), net);
    return sum;
}

Variable<float, Cpu> image(Shape s) { return Variable<float, Cpu>(random_tensor<float>(s, 3)); }

}  // namespace

TEST_CASE("A1 shapes at 224x224", "[model]") {
    const NoGrad no_grad;
    Random random;
    ResNet<float, Cpu> keras(resnet50_keras_options(), random), torch(resnet50_options(), random);
    Vgg16<float, Cpu> vgg(random);
    for (auto* net : {&keras, &torch}) CHECK((*net)(image({1, 224, 224, 3}), Mode::evaluate).shape() == Shape{1, 7, 7, 2048});
    CHECK(vgg(image({1, 224, 224, 3}), Mode::evaluate).shape() == Shape{1, 7, 7, 512});
}

TEST_CASE("A1 shapes at 1152x896, stage by stage", "[model]") {  // walked through, not computed: ops give the same shapes
    const NoGrad no_grad;
    Random random;
    const auto image = [](Shape s) { return Variable<float, Plan>(Tensor<float, Plan>(s)); };
    ResNet<float, Plan> keras(resnet50_keras_options(), random), torch(resnet50_options(), random);
    const auto stem = [&](ResNet<float, Plan>& net, Shape s) {
        return net.pool(net.bn1.relu(net.conv1(image(s), Mode::evaluate), Mode::evaluate), Mode::evaluate);
    };
    CHECK(stem(keras, {1, 224, 224, 3}).shape() == Shape{1, 55, 55, 64});
    CHECK(stem(keras, {1, 1152, 896, 3}).shape() == Shape{1, 287, 223, 64});
    CHECK(stem(torch, {1, 224, 224, 3}).shape() == Shape{1, 56, 56, 64});
    CHECK(stem(torch, {1, 1152, 896, 3}).shape() == Shape{1, 288, 224, 64});
    for (auto* net : {&keras, &torch}) {
        // The same blocks, one row of the table each.
        auto y = stem(*net, {1, 1152, 896, 3});
        const Shape first = net == &keras ? Shape{1, 287, 223, 256} : Shape{1, 288, 224, 256};
        const std::array<Shape, 4> table{first, Shape{1, 144, 112, 512}, Shape{1, 72, 56, 1024}, Shape{1, 36, 28, 2048}};
        for (std::size_t stage = 0; stage < 4; ++stage) {
            for (auto& block : net->stages[stage]) y = block(y, Mode::evaluate);
            CHECK(y.shape() == table[stage]);
        }
    }
    Vgg16<float, Plan> vgg(random);
    CHECK(vgg(image({1, 1152, 896, 3}), Mode::evaluate).shape() == Shape{1, 36, 28, 512});
    for (const auto& [top, width] : {std::pair{"[512-512-1024]x2,[512-512-1024]x2", 1024}, {"256x1,128x1", 128}, {"[64-64-256]x2,128x3", 128}}) {
        Random r;
        Top<float, Plan> blocks(512, parse_top(top), r);
        const auto y = blocks.blocks[0](image({1, 36, 28, 512}), Mode::evaluate);
        CHECK((y.shape().h == 18 && y.shape().w == 14));
        CHECK(blocks.blocks[1](y, Mode::evaluate).shape() == Shape{1, 9, 7, width});
    }
    Heatmap<float, Plan> heatmap(512, 5, 7, HeatmapActivation::relu, random);
    CHECK(heatmap(image({1, 36, 28, 512}), Mode::evaluate).shape() == Shape{1, 30, 22, 5});
    Top<float, Plan> odd(5, parse_top("[8-8-16]x1,[8-8-16]x1"), random);  // ceil at odd sizes
    CHECK(odd(image({1, 30, 22, 5}), Mode::evaluate).shape() == Shape{1, 8, 6, 16});
}

TEST_CASE("A1 any size that leaves a position, and a sentence for one that does not", "[model]") {
    const NoGrad no_grad;
    auto net = whole("resnet14", "16x1,8x1");
    for (const Shape s : {Shape{1, 256, 192, 3}, Shape{2, 131, 207, 3}, Shape{1, 97, 97, 3}})
        CHECK(net(image(s), Mode::evaluate).shape() == Shape{s.n, 1, 1, 2});
    CHECK_THROWS_WITH(net(image({1, 31, 64, 3}), Mode::evaluate), ContainsText("smaller than 32x32"));
    CHECK_THROWS_WITH(net(image({1, 64, 64, 3}), Mode::evaluate), ContainsText("larger"));
}

TEST_CASE("A2 parameter counts, exactly", "[model]") {
    Patch keras("resnet50-keras", 5, 0.5, 1);
    CHECK(count_parameters(keras) - count_under(keras, "fc") == 23534592);
    CHECK(count_states(keras) == 53120);
    CHECK(count_under(keras, "fc") == 10245);
    CHECK(count_parameters(keras) == 23544837);
    CHECK(count_under(keras, "conv1") == 9472);
    CHECK(count_under(keras, "layer1") == 217216);
    CHECK(count_under(keras, "layer2") == 1223168);
    CHECK(count_under(keras, "layer3") == 7108608);
    CHECK(count_under(keras, "layer4") == 14976000);
    Patch torch("resnet50", 1000, 0, 1);
    CHECK(count_parameters(torch) == 25557032);
    CHECK(count_parameters(torch) - count_under(torch, "fc") == 23508032);
    Patch vgg("vgg16", 5, 0.5, 1);
    CHECK(count_parameters(vgg) == 14717253);
    CHECK(count_under(vgg, "fc") == 2565);

    struct Row {
        const char *network, *top;
        std::int64_t top_count, whole_count;
    };
    for (const Row& row : {Row{"resnet50-keras", "[512-512-2048]x1,[512-512-2048]x1", 17336322, 40870914},
                           Row{"resnet50-keras", "[512-512-1024]x2,[512-512-1024]x2", 17334274, 40868866},
                           Row{"resnet50-keras", "[256-256-256]x1,[128-128-128]x1", 1938178, 25472770},
                           Row{"resnet50-keras", "[256-256-256]x3,[128-128-128]x3", 3747330, 27281922},
                           Row{"resnet50-keras", "[256-256-512]x3,[128-128-256]x3", 4817154, 28351746},
                           Row{"resnet50-keras", "256x1,128x1", 5014914, 28549506}, Row{"vgg16", "512x3,512x3", 14166018, 28880706},
                           Row{"vgg16", "512x1,512x1", 4722690, 19437378}, Row{"vgg16", "256x3,128x3", 2952834, 17667522},
                           Row{"vgg16", "256x1,128x1", 1475970, 16190658}, Row{"vgg16", "128x1,64x1", 664258, 15378946},
                           Row{"vgg16", "[512-512-1024]x2,[512-512-1024]x2", 14974978, 29689666}}) {
        auto net = to_whole_image(PatchClassifier<float, Plan>(row.network, 5, 0.5, 1), parse_top(row.top), 2, 1);
        CAPTURE(row.network, row.top);
        CHECK(count_under(net, "top") + count_under(net, "fc") == row.top_count);
        CHECK(count_parameters(net) == row.whole_count);
        CHECK(format_top(parse_top(row.top)) == row.top);
    }
}

TEST_CASE("A3 receptive fields", "[model]") {
    constexpr ReceptiveField patch;
    STATIC_REQUIRE(patch.then(3) == ReceptiveField{288, 32});
    STATIC_REQUIRE(patch.then(3).then(2, 2) == ReceptiveField{320, 64});
    STATIC_REQUIRE(patch.then(3).then(2, 2).then(3) == ReceptiveField{448, 64});
    STATIC_REQUIRE(patch.then(3).then(2, 2).then(3).then(2, 2) == ReceptiveField{512, 128});
    STATIC_REQUIRE(patch.then(1, 2).then(3) == ReceptiveField{352, 64});
    STATIC_REQUIRE(patch.then(1, 2).then(3).then(3) == ReceptiveField{480, 64});
    STATIC_REQUIRE(patch.then(1, 2).then(3).then(3).then(1, 2).then(3) == ReceptiveField{736, 128});
    STATIC_REQUIRE(patch.then(1, 2).then(3).then(3).then(1, 2).then(3).then(3) == ReceptiveField{992, 128});
}

TEST_CASE("A4 at the patch's own size the heatmap is the patch classifier's answer", "[model]") {
    const NoGrad no_grad;
    for (const auto& [network, size] :
         {std::pair{"resnet14", 224}, {"vgg16", 224}, {"resnet50", 224}, {"resnet50-keras", 224}, {"resnet14", 96}}) {
        Patch patch(network, 5, 0.5, 1);
        const auto x = image({2, size, size, 3});
        const auto answer = softmax(patch(x, Mode::evaluate));
        PatchHeatmap<float, Cpu> heatmap(std::move(patch), size / 32, HeatmapActivation::softmax);
        const auto map = heatmap(x, Mode::evaluate);
        CHECK(map.shape() == Shape{2, 1, 1, 5});
        for (int i = 0; i < 10; ++i) CHECK(std::abs(map.value().data()[i] - answer.value().data()[i]) <= 1e-5);
    }
}

TEST_CASE("A5 a shift of the input by 32 pixels shifts VGG16's map by one cell, away from borders", "[model]") {
    const NoGrad no_grad;
    Random random;
    Vgg16<float, Cpu> vgg(random);
    Tensor<float, Cpu> a = random_tensor<float>({1, 512, 512, 3}, 4), b(a.shape());
    for (int y = 0; y < 512; ++y)
        for (int x = 0; x < 512; ++x)
            for (int c = 0; c < 3; ++c)
                b.data()[a.shape().at(0, y, x, c)] = std::as_const(a).data()[a.shape().at(0, (y + 480) % 512, (x + 480) % 512, c)];
    const auto u = vgg(Variable<float, Cpu>(a), Mode::evaluate), v = vgg(Variable<float, Cpu>(b), Mode::evaluate);
    for (int y = 5; y < 10; ++y)
        for (int x = 5; x < 10; ++x)
            for (int c = 0; c < 512; c += 37)
                CHECK(std::abs(v.value().data()[v.shape().at(0, y + 1, x + 1, c)] - u.value().data()[u.shape().at(0, y, x, c)]) <= 1e-5);
}

TEST_CASE("A6 He normal, and the penalty that it begins with", "[model]") {
    Random random(1);
    Parameter<float, Cpu> weight(Role::filter, {256, 3, 3, 128});
    he_normal(weight, random);
    const double deviation = std::sqrt(2.0 / (9 * 128));
    double sum = 0, squares = 0, largest = 0;
    for (const float w : weight.value().elements()) {
        sum += w, squares += double(w) * w;
        largest = std::max(largest, std::abs(double(w)));
    }
    const double n = double(weight.shape().size());
    CHECK(std::abs(std::sqrt(squares / n) / (0.87963 * deviation) - 1) < 0.005);
    CHECK(std::abs(sum / n) < 0.01 * deviation);
    CHECK(largest <= 2 * deviation * (1 + 1e-6));
    auto bottlenecks = whole("resnet50-keras", "[512-512-1024]x2,[512-512-1024]x2");
    CHECK(std::abs(l2_penalty(bottlenecks, 0.001) - 15.85) < 0.2);
    auto narrow = whole("resnet50-keras", "256x1,128x1"), wide = whole("vgg16", "512x1,512x1");
    CHECK(std::abs(l2_penalty(narrow, 0.001) - 0.597) < 0.02);
    CHECK(std::abs(l2_penalty(wide, 0.001) - 1.588) < 0.02);
}

TEST_CASE("A7 class weights inside a batch", "[model]") {
    CHECK(balanced_weights(std::vector<int>{0, 1}) == std::vector<float>{2, 2});
    CHECK(balanced_weights(std::vector<int>{1, 1}) == std::vector<float>{1, 1});
    const auto w = balanced_weights(std::vector<int>{0, 0, 0, 1});
    CHECK(w == std::vector<float>{4 / 3.0f, 4 / 3.0f, 4 / 3.0f, 4});
    const std::vector<int> labels{4, 2, 2, 0, 4, 4, 4};
    double sum = 0;
    for (const float v : balanced_weights(labels)) sum += double(v);
    CHECK(std::abs(sum - 7 * 3) < 1e-5);
}

TEST_CASE("A8 Adam's l2 is lambda * sum(w^2) in the loss", "[model]") {
    const auto run = [&](double l2, double penalty) {
        PatchClassifier<double, Cpu> net("resnet14", 3, 0, 1);
        freeze(net, "", Statistics::fixed);
        unfreeze(net, "fc");
        auto adam = make_adam(net, {.rate = 0.01, .decay = {.l2 = l2}});
        for (int step = 0; step < 10; ++step) {
            const std::vector<int> labels{step % 3, (step + 1) % 3};
            cross_entropy(net(labelled_images<double>({2, 32, 32, 3}, labels, std::uint64_t(step)), Mode::train), std::span<const int>(labels)).backward();
            auto g = net.fc.weight.writable_gradient();
            for (std::int64_t i = 0; i < g.size(); ++i) g.data()[i] += 2 * penalty * net.fc.weight.value().data()[i];
            adam.step(net);
            clear_gradients(net);
        }
        return net.fc.weight.value().clone();
    };
    CHECK(distance(run(0.05, 0), run(0, 0.05)) <= 1e-12);
    CHECK(distance(run(0.025, 0), run(0, 0.05)) > 1e-6);
}

TEST_CASE("A12 the mean over four flips does not change when the input is flipped", "[model]") {
    const NoGrad no_grad;
    auto net = whole("resnet14", "16x1,8x1");
    auto& context = default_context<Cpu>();
    const auto grey = random_tensor<float>({1, 128, 128, 1}, 6);
    const auto mean = [&](bool h, bool v) {
        std::vector<op::Warp> first(1), look(1);
        first[0].flip_horizontal = h, first[0].flip_vertical = v;
        const auto seen = op::affine_warp(context, grey, first, {.channels = 1});
        double sum = 0;
        for (int flip = 0; flip < 4; ++flip) {
            look[0].flip_horizontal = flip & 1, look[0].flip_vertical = flip & 2;
            const auto x = Variable<float, Cpu>(op::affine_warp(context, seen, look, {}));
            sum += double(softmax(net(x, Mode::evaluate)).value().data()[1]) / 4;
        }
        return sum;
    };
    for (const auto& [h, v] : {std::pair{true, false}, {false, true}, {true, true}}) CHECK(std::abs(mean(h, v) - mean(false, false)) < 1e-6);
}

TEST_CASE("the paper's schedules as data: three stages for patches, two for whole images", "[model]") {
    struct Row {
        const char* name;
        std::vector<std::string> learns;
        const char* from;
        double rate, l2;
        int epochs;
    };
    const auto check = [](const std::vector<Stage>& stages, const std::vector<Row>& rows) {
        REQUIRE(stages.size() == rows.size());
        for (std::size_t i = 0; i < rows.size(); ++i) {
            CHECK(stages[i].name == rows[i].name);
            CHECK(stages[i].learns == rows[i].learns);
            CHECK(stages[i].from == rows[i].from);
            CHECK(stages[i].rate == rows[i].rate);
            CHECK(stages[i].l2 == rows[i].l2);
            CHECK(stages[i].epochs == rows[i].epochs);
        }
    };
    check(patch_stages("layer3.5"), {{"head", {"fc"}, "", 1e-3, 1e-4, 3},
                                     {"top", {"fc"}, "layer3.5", 1e-4, 1e-4, 10},
                                     {"all", {}, "", 1e-5, 1e-4, 37}});
    check(patch_stages_from_scratch(), {{"all", {}, "", 1e-3, 1e-4, 50}});
    check(whole_image_stages(), {{"top", {"top", "fc"}, "", 1e-4, 1e-3, 30}, {"all", {}, "", 1e-5, 1e-2, 20}});
}

TEST_CASE("A16 what each stage trains, and what becomes of statistics", "[model]") {
    Patch keras("resnet50-keras", 5, 0.5, 1), vgg("vgg16", 5, 0.5, 1);
    for (auto* net : {&keras, &vgg}) {
        const auto stages = patch_stages(net->trunk.top);
        enter_stage(*net, stages[0], Statistics::follow);
        CHECK(count_parameters(*net, true) == (net == &keras ? 10245 : 2565));
        enter_stage(*net, stages[1], Statistics::follow);
        CHECK(count_parameters(*net, true) == (net == &keras ? 16104965 : 12981765));
        enter_stage(*net, stages[2], Statistics::follow);
        CHECK(count_parameters(*net, true) == count_parameters(*net));
    }
    // By name: stage 2 of the patch networks learns res4f and on, block4 and on, and the head.
    const auto learning = [](Patch& net) {
        std::set<std::string> parts;
        VisitorFor<Patch> visit;
        visit.on_parameter = [&](const std::string& name, auto& p) {
            if (!p.frozen()) parts.insert(name.substr(0, name.find('.', name.find('.') + 1)));
        };
        visit(std::string_view(), net);
        return parts;
    };
    enter_stage(keras, patch_stages(keras.trunk.top)[1], Statistics::follow);
    enter_stage(vgg, patch_stages(vgg.trunk.top)[1], Statistics::follow);
    CHECK(learning(keras) ==
          std::set<std::string>{"fc.bias", "fc.weight", "layer3.5", "layer4.0", "layer4.1", "layer4.2"});
    CHECK(learning(vgg) == std::set<std::string>{"fc.bias", "fc.weight", "features.17", "features.19", "features.21",
                                                 "features.24", "features.26", "features.28"});

    const std::vector<int> labels{0, 1};
    for (const auto mode :
         {Statistics::follow, Statistics::fixed}) {  // stage 2 of the patch network: gradients, statistics
        enter_stage(keras, patch_stages(keras.trunk.top)[1], mode);
        const auto before = contents(keras);
        cross_entropy(keras(labelled_images<float>({2, 64, 64, 3}, labels, 1), Mode::train),
                      std::span<const int>(labels))
            .backward();
        VisitorFor<Patch> visit;
        visit.on_parameter = [](const std::string& name, auto& p) {
            CAPTURE(name);
            CHECK(bool(p.gradient()) == (under(name, "layer3.5") || under(name, "layer4") || under(name, "fc")));
        };
        visit(std::string_view(), keras);
        clear_gradients(keras);
        for (const auto& [name, values] : contents(keras)) {
            const bool statistics = name.ends_with("running_mean") || name.ends_with("running_var");
            const bool inside = under(name, "layer3.5") || under(name, "layer4");
            CAPTURE(name);
            CHECK((values != before.at(name)) == (statistics && (inside || mode == Statistics::follow)));
        }
    }
    for (const auto mode : {Statistics::follow, Statistics::fixed}) {
        auto net = whole("resnet14", "16x1,8x1");
        enter_stage(net, whole_image_stages()[0], mode);
        const auto before = contents(net);
        auto adam = make_adam(net, {.rate = 1e-3});
        cross_entropy(net(labelled_images<float>({2, 128, 128, 3}, labels, 1), Mode::train), std::span<const int>(labels)).backward();
        VisitorFor<Whole> visit;
        visit.on_parameter = [](const std::string& name, auto& p) {
            const bool learns = under(name, "top") || under(name, "fc");
            CAPTURE(name);
            CHECK(bool(p.gradient()) == learns);
        };
        visit(std::string_view(), net);
        adam.step(net);
        for (const auto& [name, values] : contents(net)) {
            const bool learns = under(name, "top") || under(name, "fc");
            const bool statistics = name.ends_with("running_mean") || name.ends_with("running_var");
            // A bias in front of the batch's own mean has a gradient, of zeros: what it adds is taken off again.
            const bool cancels = name.starts_with("top.") && name.ends_with(".conv1.bias");
            const bool moves = (learns && !cancels) || (statistics && mode == Statistics::follow);
            CAPTURE(name);
            CHECK((values != before.at(name)) == moves);
        }
    }
}

TEST_CASE("A19 eight images are learned by heart, on a trunk that stays bit-identical", "[model]") {
    auto net = whole("resnet14", "32x1,16x1");
    const std::vector<int> labels{0, 1, 0, 1, 0, 1, 0, 1};
    const auto x = labelled_images<float>({8, 128, 128, 3}, labels, 1);
    enter_stage(net, whole_image_stages()[0], Statistics::fixed);
    const auto before = contents(net);
    auto adam = make_adam(net, {.rate = 3e-3});
    for (int step = 0; step < 60; ++step) {
        cross_entropy(net(x, Mode::train), std::span<const int>(labels)).backward();
        adam.step(net);
        clear_gradients(net);
    }
    for (const auto& [name, values] : contents(net))
        if (!under(name, "top") && !under(name, "fc")) CHECK(values == before.at(name));
    const NoGrad no_grad;
    const auto y = net(x, Mode::evaluate);
    std::vector<double> score;
    for (int i = 0; i < 8; ++i) score.push_back(double(y.value().data()[2 * i + 1] - y.value().data()[2 * i]));
    CHECK(auc(score, labels) == 1.0);
}

TEST_CASE("tops that cannot be read are refused with the place", "[model]") {
    for (const char* bad : {"", "256", "256x", "x1", "[1-2]x1", "[1-2-3", "256x1,", "256x0", "-5x1", "256x1;128x1", "99999999999x1"})
        CHECK_THROWS_AS(parse_top(bad), DataError);
    CHECK_THROWS_WITH(parse_top("256x1,foo"), ContainsText("foo"));
}
