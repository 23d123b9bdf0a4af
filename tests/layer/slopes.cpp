// Every layer in double: its answer is what its parts give one after another, and its gradients, to its input and to
// every parameter, are slopes by central differences.
#include <holon/layer/bottleneck.hpp>
#include <holon/layer/heatmap.hpp>
#include <holon/layer/sequential.hpp>
#include <holon/layer/vgg_block.hpp>
#include <holon/model/whole_image.hpp>

#include "support/catch.hpp"
#include "support/numbers.hpp"

using namespace holon;
using namespace holon::test;

namespace {

using D = Cpu;

using Walk = Visitor<double, Cpu>;

/// Parameters away from their tidy first values: norms' weights near 1 and of both signs, biases not 0.
template <class L> void disturb(L& layer) {
    std::uint64_t seed = 40;
    Walk visit;
    visit.on_parameter = [&](const std::string& name, Parameter<double, Cpu>& p) {
        const auto noise = random_tensor<double>(p.shape(), ++seed);
        auto value = p.writable();
        const double part = name.ends_with("weight") && p.role() != Role::vector ? 0.1 : 0.5;
        for (std::int64_t i = 0; i < value.size(); ++i) value.data()[i] += part * noise.data()[i];
    };
    visit(std::string_view(), layer);
}

/// The largest slope error over the input and over each parameter. `run` is called again and again: what it draws and
/// which statistics it moves must not change its answer.
template <class L, class Run> double worst_slope(L& layer, const Tensor<double, Cpu>& x, const Run& run) {
    double worst = slope_error(x, [&](Double v) { return run(v); });
    Walk visit;
    visit.on_parameter = [&](const std::string& name, Parameter<double, Cpu>& p) {
        p.clear_gradient();
        const Double y = run(Double(x));
        const auto along = random_tensor<double>(y.shape(), 99);
        y.backward(along.clone());
        const auto gradient = p.gradient().clone();
        auto value = p.writable();  // shares the storage that the layer sees
        const auto sum = [&] {
            const NoGrad no_grad;
            const Double z = run(Double(x));
            double total = 0;
            for (std::int64_t k = 0; k < z.value().size(); ++k) total += z.value().data()[k] * along.data()[k];
            return total;
        };
        double apart = 0, size = 0;
        for (std::int64_t i = 0; i < value.size(); i += std::max<std::int64_t>(1, value.size() / 25)) {
            const double middle = std::as_const(value).data()[i], h = 1e-5;
            value.data()[i] = middle + h;
            const double above = sum();
            value.data()[i] = middle - h;
            const double below = sum();
            value.data()[i] = middle;
            const double slope = (above - below) / (2 * h), given = gradient.data()[i];
            apart += (slope - given) * (slope - given);
            size += slope * slope;
        }
        INFO(name);
        // Before a batch norm a bias is taken off again: its slope is 0, and so must the gradient be.
        const double error = size < 1e-12 ? std::sqrt(apart) : std::sqrt(apart / size);
        CHECK(error <= 1e-6);
        worst = std::max(worst, error);
        p.clear_gradient();
    };
    visit(std::string_view(), layer);
    return worst;
}

template <class L> void checks(L& layer, const Tensor<double, Cpu>& x, Mode mode = Mode::train) {
    disturb(layer);
    CHECK(worst_slope(layer, x, [&](const Double& v) { return layer(v, mode); }) <= 1e-6);
}

}  // namespace

TEST_CASE("slopes: Conv2d, BatchNorm2d in its states, Linear", "[layer]") {
    Random random(1);
    for (const bool bias : {true, false}) {
        Conv2d<double, D> conv({.in = 3, .out = 5, .kernel = 3, .stride = 2, .padding = 1, .dilation = 2, .bias = bias},
                               random);
        checks(conv, random_tensor<double>({2, 9, 7, 3}, 1));
    }
    BatchNorm2d<double, D> norm(4);
    checks(norm, random_tensor<double>({2, 3, 5, 4}, 2));
    checks(norm, random_tensor<double>({2, 3, 5, 4}, 2), Mode::evaluate);
    norm.statistics = Statistics::fixed;
    checks(norm, random_tensor<double>({2, 3, 5, 4}, 2));
    Linear<double, D> linear(6, 3, random);
    checks(linear, random_tensor<double>({2, 2, 1, 6}, 3));
}

TEST_CASE("slopes: Relu, MaxPool2d, AveragePool2d, GlobalAverage, Softmax, Dropout", "[layer]") {
    const auto x = spread_tensor({2, 6, 5, 3}, 4);
    Relu<double, D> relu;
    checks(relu, x);
    MaxPool2d<double, D> largest({.window = 3, .stride = 2, .padding = 1});
    checks(largest, x);
    AveragePool2d<double, D> mean({.window = {2, 3}, .stride = 1});
    checks(mean, x);
    GlobalAverage<double, D> global;
    checks(global, x);
    Softmax<double, D> softmax;
    checks(softmax, random_tensor<double>({2, 2, 1, 5}, 5));
    Dropout<double, D> dropout(0.4, 1, 2);
    checks(dropout, x, Mode::evaluate);
    CHECK(worst_slope(dropout, x, [&](const Double& v) {
              dropout.random.seek(8);  // the same mask each time
              return dropout(v, Mode::train);
          }) <= 1e-6);
}

TEST_CASE("slopes: Bottleneck in both forms, with and without projection", "[layer]") {
    Random random(2);
    for (const bool first : {false, true})
        for (const int stride : {1, 2})
            for (const bool project : {false, true}) {
                if (stride == 2 && !project) continue;
                Bottleneck<double, D> block({.in = 6,
                                             .reduce = 2,
                                             .middle = 3,
                                             .out = 6,
                                             .stride = stride,
                                             .stride_first = first,
                                             .project = project,
                                             .bias = first},
                                            random);
                CAPTURE(first, stride, project);
                CHECK(block.downsample.has_value() == project);
                CHECK(block.conv1.options.stride.h == (first ? stride : 1));
                CHECK(block.conv2.options.stride.h == (first ? 1 : stride));
                checks(block, random_tensor<double>({2, 5, 7, 6}, 6));
                // What the class says of itself, part by part.
                const Double x(random_tensor<double>({2, 5, 7, 6}, 7));
                const auto part = [&](auto& norm, const Double& v) { return norm(v, Mode::evaluate); };
                Double y = relu(part(block.bn1, block.conv1(x, Mode::evaluate)));
                y = relu(part(block.bn2, block.conv2(y, Mode::evaluate)));
                y = part(block.bn3, block.conv3(y, Mode::evaluate));
                y = relu(add(y, block.downsample ? (*block.downsample)(x, Mode::evaluate) : x));
                CHECK(distance(block(x, Mode::evaluate).value(), y.value()) <= 1e-12);
            }
}

TEST_CASE("Bottleneck is its parts one after another in training, whichever of its norms has fixed statistics", "[layer]") {
    const auto x = random_tensor<double>({2, 5, 7, 6}, 6);
    for (const Statistics last : {Statistics::follow, Statistics::fixed})
        for (const Statistics shortcut : {Statistics::follow, Statistics::fixed}) {
            CAPTURE(int(last), int(shortcut));
            const auto made = [&] {
                Random random(2);
                Bottleneck<double, D> block({.in = 6, .reduce = 2, .middle = 3, .out = 8, .bias = true}, random);
                disturb(block);
                block.bn3.statistics = last, block.downsample->norm.statistics = shortcut;
                return block;
            };
            Bottleneck<double, D> whole = made(), apart = made();
            const Double image = Double::leaf(x.clone()), again = Double::leaf(x.clone());
            const Double y = whole(image, Mode::train);
            Double z = apart.bn1.relu(apart.conv1(again, Mode::train), Mode::train);
            z = apart.bn2.relu(apart.conv2(z, Mode::train), Mode::train);
            z = apart.bn3(apart.conv3(z, Mode::train), Mode::train);
            z = relu(add(z, apart.downsample->norm(apart.downsample->conv(again, Mode::train), Mode::train)));
            CHECK(distance(y.value(), z.value()) <= 1e-12);
            const auto along = random_tensor<double>(y.shape(), 9);
            y.backward(along.clone());
            z.backward(along.clone());
            CHECK(distance(image.gradient(), again.gradient()) <= 1e-10);
            std::map<std::string, Tensor<double, D>> of_whole;
            Walk visit;
            visit.on_parameter = [&](const std::string& name, Parameter<double, Cpu>& p) { of_whole[name] = p.gradient(); };
            visit(std::string_view(), whole);
            visit.on_parameter = [&](const std::string& name, Parameter<double, Cpu>& p) {
                CAPTURE(name);
                const auto& given = of_whole.at(name);
                REQUIRE((given && p.gradient()));
                double apart_by = 0;  // a bias before batch statistics has no gradient but rounding
                for (std::int64_t i = 0; i < given.size(); ++i)
                    apart_by = std::max(apart_by, std::abs(given.data()[i] - std::as_const(p).gradient().data()[i]));
                CHECK(apart_by <= 1e-10);
            };
            visit(std::string_view(), apart);
        }
}

TEST_CASE("slopes: VggBlock of one and of three units", "[layer]") {
    Random random(3);
    for (const int units : {1, 3}) {
        VggBlock<double, D> block({.in = 3, .out = 4, .units = units}, random);
        checks(block, random_tensor<double>({2, 7, 4, 3}, 8));
        const Double x(random_tensor<double>({1, 7, 4, 3}, 9));
        Double y = x;
        for (auto& unit : block.units) y = relu(unit.bn1(unit.conv1(y, Mode::evaluate), Mode::evaluate));
        CHECK(distance(block(x, Mode::evaluate).value(), max_pool2d(y, {.window = 2}).value()) <= 1e-12);
        CHECK(block(x, Mode::evaluate).shape() == Shape{1, 3, 2, 4});
    }
    CHECK_THROWS_WITH((VggBlock<double, D>({.units = 0}, random)), ContainsText("at least 1"));
}

TEST_CASE("slopes: Heatmap with ReLU and with softmax", "[layer]") {
    Random random(4);
    for (const auto activation : {HeatmapActivation::relu, HeatmapActivation::softmax}) {
        Heatmap<double, D> heatmap(5, 3, {2, 3}, activation, random);
        checks(heatmap, random_tensor<double>({2, 4, 5, 5}, 10));
        const Double x(random_tensor<double>({2, 4, 5, 5}, 11));
        const Double y = heatmap(x, Mode::evaluate);
        CHECK(y.shape() == Shape{2, 3, 3, 3});
        const Double scores = heatmap.fc(average_pool2d(x, {.window = {2, 3}, .stride = 1}), Mode::evaluate);
        const bool shares = activation == HeatmapActivation::softmax;
        CHECK(distance(y.value(), (shares ? softmax(scores) : relu(scores)).value()) <= 1e-12);
        if (shares) {
            for (std::int64_t at = 0; at < 2 * 3 * 3; ++at)
                CHECK(y.value().data()[3 * at] + y.value().data()[3 * at + 1] + y.value().data()[3 * at + 2] ==
                      Approx(1));
        } else {
            const auto all = y.value().elements();
            CHECK(std::any_of(all.begin(), all.end(), [](double v) { return v == 0; }));
            CHECK(std::any_of(all.begin(), all.end(), [](double v) { return v > 0; }));
        }
    }
}

TEST_CASE("slopes: Sequential of layers of every kind", "[layer]") {
    Random random(5);
    Sequential<double, D> row;
    row.add(Conv2d<double, D>({.in = 2, .out = 4, .kernel = 3, .padding = 1, .bias = true}, random))
        .add(BatchNorm2d<double, D>(4))
        .add(Relu<double, D>())
        .add(AveragePool2d<double, D>({.window = 2}))
        .add(Bottleneck<double, D>({.in = 4, .reduce = 2, .middle = 2, .out = 6}, random))
        .add(GlobalAverage<double, D>());
    row.add(Linear<double, D>(6, 3, random)).add(Softmax<double, D>());
    checks(row, random_tensor<double>({2, 6, 6, 2}, 12));
}

TEST_CASE("slopes: both kinds of top, K units, and both in a row, of a whole network", "[layer]") {
    for (const char* spec : {"3x1,2x2", "[2-2-4]x2,[2-3-4]x1", "[2-2-4]x1,3x2", "4x1,[2-2-3]x3"}) {
        CAPTURE(spec);
        Random random(6);
        Top<double, D> top(3, parse_top(spec), random);
        // 4x4 and more after the first block, so that a batch norm never sees two positions only.
        checks(top, random_tensor<double>({2, 12, 9, 3}, 13));
    }
}
