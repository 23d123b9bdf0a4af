// Somebody else's program: trains a small network of its own with the headers. Two sources, so that every definition is
// proved fit for more than one.
#include <holon/holon.hpp>

#include <iostream>

int other(const std::string& path);

int main(int, char** argv) {
    using namespace holon;
    Random random(1);
    Tensor<float, Cpu> x({8, 32, 32, 3});
    for (float& v : x.elements()) v = float(random.normal());
    std::vector<int> labels;
    for (int i = 0; i < 8; ++i) {
        labels.push_back(i % 2);
        if (i % 2)
            for (int p = 0; p < 32 * 32; ++p) x.data()[(i * 32 * 32 + p) * 3] += 1.0f;
    }
    PatchClassifier<float, Cpu> net("resnet14", 2, 0.0, 1);
    auto adam = make_adam(net, {.rate = 1e-3});
    double first = 0, last = 0;
    for (int step = 0; step < 6; ++step) {
        const auto loss = cross_entropy(net(Variable<float, Cpu>(x), Mode::train), labels);
        last = loss.value().data()[0];
        if (step == 0) first = last;
        loss.backward();
        adam.step(net);
        clear_gradients(net);
    }
    const std::string path = std::string(argv[0]) + ".safetensors";
    save(path, net);
    std::cout << (last < 0.5 * first && other(path) == 0 ? "loss fell" : "loss did not fall") << " from " << first << " to " << last
              << '\n';
}
