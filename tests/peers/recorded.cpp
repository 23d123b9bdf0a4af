// ResNet50 and VGG16 against figures that PyTorch gave once, in double; peers/parity.sh compares everything, live.
#include <fstream>
#include <iostream>

#include <nlohmann/json.hpp>

#include "peers/formula.hpp"
#include "support/catch.hpp"

using namespace holon;
using namespace holon::test;

namespace {

const nlohmann::json& recorded() {
    static const nlohmann::json figures = nlohmann::json::parse(std::ifstream(HOLON_PARITY_FIGURES));
    return figures;
}

/// |ours - PyTorch's| / |PyTorch's|, as far as the sketch tells.
template <class A> double distance(const std::string& name, const nlohmann::json& row, std::span<const A> values) {
    const auto sums = sketch(name, values);
    double squares = 0;
    for (std::size_t j = 0; j < sums.size(); ++j) squares += std::pow(sums[j] - row.at(1 + j).get<double>(), 2);
    return std::sqrt(squares / double(sums.size())) / row.at(0).get<double>();
}

template <Element T> void compare(const nlohmann::json& figures) {
    const std::string network = figures.at("network"), precision = figures.at("precision");
    const int batch = figures.at("batch"), size = figures.at("size"), classes = figures.at("classes");
    CAPTURE(network, precision, size);
    PatchClassifier<T, Cpu> net(network, classes, 0.0, 1);
    fill_by_formula(net, std::same_as<T, float>);
    const auto images = images_by_formula<T>({batch, size, size, 3}, figures.at("seed").get<std::uint64_t>());
    std::vector<int> labels;
    for (int i = 0; i < batch; ++i) labels.push_back(i % classes);
    const auto ours = train_three_steps(net, images, labels, figures.at("rate").get<double>());

    const auto& rows = figures.at("tensors");
    CHECK(rows.size() == ours.size());
    double worst = 0;
    std::string worst_name;
    for (const auto& [name, tensor] : ours) {
        CAPTURE(name);
        REQUIRE(rows.contains(name));
        const auto& row = rows.at(name);
        const double apart = distance(name, row, std::span(tensor.values));
        if (std::same_as<T, double>)
            CHECK(apart <= recorded().at("double_bound").get<double>());
        else
            CHECK(apart <= std::max(recorded().at("bound").get<double>(), 2 * row.at(5).template get<double>()));
        if (!(apart <= worst)) worst = apart, worst_name = name;
    }
    std::cout << network << ' ' << size << 'x' << size << ", " << precision << ": worst relative error " << worst
              << " in " << worst_name << ", of " << ours.size() << " tensors\n";
}

}  // namespace

TEST_CASE("logits, loss, gradients, running statistics and weights after three steps are PyTorch's", "[peers]") {
    for (const auto& figures : recorded().at("cases")) {
        if (figures.at("precision") == "float")
            compare<float>(figures);
        else
            compare<double>(figures);
    }
}

TEST_CASE("a tensor that is off by a thousandth is seen", "[peers]") {
    const auto& figures = recorded().at("cases").at(0);
    const std::string network = figures.at("network");
    PatchClassifier<float, Cpu> net(network, figures.at("classes").get<int>(), 0.0, 1);
    fill_by_formula(net, true);
    VisitorFor<PatchClassifier<float, Cpu>> visit;
    visit.on_parameter = [&](const std::string& name, auto& p) {
        auto values = to_nchw(p.value());
        double squares = 0;
        for (const float v : values) squares += double(v) * double(v);
        const auto true_sums = sketch<float>(name, values);
        const nlohmann::json row{std::sqrt(squares), true_sums[0], true_sums[1], true_sums[2], true_sums[3]};
        CAPTURE(name);
        CHECK(distance<float>(name, row, values) == 0);
        values[values.size() / 2] += float(1e-3 * std::sqrt(squares));  // all of it in one element
        CHECK(distance<float>(name, row, values) == Approx(1e-3).epsilon(1e-2));
        for (float& v : values) v *= 1.001f;  // or spread over all
        CHECK(distance<float>(name, row, values) > 1e-4);
    };
    visit(std::string_view(), net);
}
