// Networks and optimizers to files and back, to the bit; names and layouts that PyTorch reads; what is refused.
#include <cstdlib>
#include <filesystem>

#include <holon/checkpoint/network.hpp>
#include <holon/model/whole_image.hpp>

#include "checkpoint/scratch.hpp"
#include "support/catch.hpp"
#include "support/networks.hpp"

using namespace holon;
using namespace holon::test;

namespace {
using Patch = PatchClassifier<float, Cpu>;

template <class Net>
void train(Net& net, auto& adam, int first, int last) {
    for (int step = first; step < last; ++step) {
        const std::vector<int> labels{step % 2, 1, 0};
        cross_entropy(net(labelled_images<typename Net::element>({3, 64, 64, 3}, labels, std::uint64_t(step)), Mode::train),
                      std::span<const int>(labels))
            .backward();
        adam.step(net);
        clear_gradients(net);
    }
}

std::string path_in_tmp(const char* name) {
    static const std::string folder = [] {
        std::string pattern = std::filesystem::temp_directory_path() / "holon-network-XXXXXX";
        return std::string(mkdtemp(pattern.data()));
    }();
    return folder + "/" + name;
}
}  // namespace

TEMPLATE_TEST_CASE("stopping, saving and going on in a fresh network gives the same bits as never stopping", "[checkpoint]", float,
                   bfloat16, double) {
    using Net = PatchClassifier<TestType, Cpu>;
    const std::string path = path_in_tmp("resume.safetensors");
    Net straight("resnet14", 3, 0.5, 7);
    auto adam = make_adam(straight, {.rate = 1e-3});
    train(straight, adam, 0, 2);
    save(path, straight, adam, {{"holon.kind", "patch"}});
    train(straight, adam, 2, 4);

    Net fresh("resnet14", 3, 0.5, 8);  // another seed: everything must come from the file
    auto moments = make_adam(fresh, {.rate = 1e-3});
    const SafetensorsFile file(path);
    load_network(file, fresh);
    load_optimizer(file, fresh, moments);
    train(fresh, moments, 2, 4);
    CHECK(contents(fresh) == contents(straight));
}

TEST_CASE("keys, shapes and layout are torchvision's", "[checkpoint]") {
    const std::string path = path_in_tmp("layout.safetensors");
    Patch net("resnet50", 1000, 0, 1);
    save(path, net);
    const SafetensorsFile file(path);
    CHECK(file.tensors().size() == 320);
    std::int64_t bytes = 0;
    for (const auto& entry : file.tensors()) bytes += std::int64_t(entry.end - entry.begin);
    CHECK(bytes == 102441032);
    const std::map<std::string, std::vector<std::int64_t>> wanted{
        {"conv1.weight", {64, 3, 7, 7}}, {"bn1.num_batches_tracked", {}}, {"layer1.0.downsample.0.weight", {256, 64, 1, 1}},
        {"layer1.0.downsample.1.running_var", {256}}, {"layer3.5.conv2.weight", {256, 256, 3, 3}},
        {"layer4.2.bn3.bias", {2048}}, {"fc.weight", {1000, 2048}}, {"fc.bias", {1000}}};
    for (const auto& [name, shape] : wanted) {
        CAPTURE(name);
        REQUIRE(file.find(name));
        CHECK(file.find(name)->shape == shape);
    }
    std::vector<float> values(64 * 3 * 49);
    file.read(*file.find("conv1.weight"), std::as_writable_bytes(std::span(values)));
    VisitorFor<Patch> visit;
    visit.on_parameter = [&](const std::string& name, auto& p) {
        if (name != "conv1.weight") return;
        const Shape s = p.shape();
        for (int k = 0; k < 64; k += 9)
            for (int c = 0; c < 3; ++c)
                for (int r = 0; r < 7; ++r)
                    CHECK(values[std::size_t(((k * 3 + c) * 7 + r) * 7 + 2)] == p.value().data()[s.at(k, r, 2, c)]);
    };
    visit(std::string_view(), net);
    Patch vgg("vgg16", 5, 0, 1);
    save(path, vgg);
    const SafetensorsFile second(path);
    for (const int i : {0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28}) CHECK(second.find(text("features.", i, ".weight")));
    CHECK(second.tensors().size() == 28);
}

TEST_CASE("what does not fit is refused with its names, and nothing is changed", "[checkpoint]") {
    const std::string path = path_in_tmp("fit.safetensors");
    Patch small("resnet14", 3, 0, 1), other("resnet14", 5, 0, 2);
    save(path, small);
    const auto before = contents(other);
    CHECK_THROWS_WITH(load(path, other), ContainsText("fc.weight") && ContainsText("[3, 1024]") &&
                                             ContainsText("[5, 1024]"));
    CHECK(contents(other) == before);
    Patch deep("resnet50", 3, 0, 1);
    CHECK_THROWS_WITH(load(path, deep), ContainsText("missing") && ContainsText("layer1.1.conv2.weight"));
    Patch vgg("vgg16", 3, 0, 1);
    CHECK_THROWS_WITH(load(path, vgg), ContainsText("missing features.0") && ContainsText("unknown"));
    const LoadReport report = load(path, other, {.fresh = {"fc"}});
    CHECK(report.kept_fresh == std::vector<std::string>{"fc.weight", "fc.bias"});
    auto now = contents(other), source = contents(small);
    CHECK(now["layer4.0.conv2.weight"] == source["layer4.0.conv2.weight"]);
    CHECK(now["fc.weight"] == before.at("fc.weight"));
}

TEST_CASE("weights of other programs: module., other float types, no checksums, heads passed over", "[checkpoint]") {
    const std::string path = path_in_tmp("others.safetensors");
    Patch net("resnet14", 2, 0, 1);
    SafetensorsWriter file;
    VisitorFor<Patch> visit;
    visit.on_parameter = [&](const std::string& name, auto& p) {
        const auto values = to_nchw(cast<bfloat16>(p.value()));
        const auto shape = detail::file_shape(p.role(), p.shape());
        file.add("module." + name, "BF16", shape, [values](Sink& sink) { sink.write(std::as_bytes(std::span(values))); });
    };
    visit.on_state = [&](const std::string& name, auto& s) {
        const auto values = to_nchw(cast<double>(s.value()));
        file.add("module." + name, "F64", {s.shape().c}, [values](Sink& sink) { sink.write(std::as_bytes(std::span(values))); });
    };
    visit(std::string_view(), net);
    const std::vector<float> head(6);
    file.add("classifier.weight", "F32", {2, 3}, std::as_bytes(std::span(head)));
    file.write(path);
    Patch fresh("resnet14", 2, 0, 9);
    CHECK_THROWS_WITH(load(path, fresh), ContainsText("unknown classifier.weight"));
    const LoadReport report = load(path, fresh, {.skip = {"classifier"}});
    CHECK(report.skipped == std::vector<std::string>{"classifier.weight"});
    auto a = contents(fresh), b = contents(net);
    for (std::size_t i = 0; i < 50; ++i) CHECK(a["conv1.weight"][i] == double(float(bfloat16(float(b["conv1.weight"][i])))));
}

TEST_CASE("a file of weights alone cannot be resumed from, and says so", "[checkpoint]") {
    const std::string path = path_in_tmp("weights.safetensors");
    Patch net("resnet14", 2, 0, 1);
    save(path, net);
    auto adam = make_adam(net, {});
    CHECK_THROWS_WITH(load_optimizer(SafetensorsFile(path), net, adam), ContainsText("weights only"));
}
