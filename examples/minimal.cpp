// minimal: a patch classifier becomes a whole-image classifier and takes one training step on each kind of image.
#include <holon/holon.hpp>

#include <iostream>

using namespace holon;

int main() {
    Random random(7);
    const auto pixels = [&](Shape shape) {
        Tensor<float, Cpu> x(shape);
        for (float& value : x.elements()) value = float(random.normal());
        return Variable<float, Cpu>(x);
    };
    const std::vector<int> labels{0, 1};

    PatchClassifier<float, Cpu> patch("resnet50", 5, 0.5, 1);  // network, classes, dropout, seed
    auto adam = make_adam(patch, {.rate = 1e-3});
    freeze(patch, "", Statistics::follow);
    unfreeze(patch, "fc");  // the paper's first stage: the head alone
    cross_entropy(patch(pixels({2, 64, 64, 3}), Mode::train), labels).backward();
    adam.step(patch);

    auto whole = to_whole_image(std::move(patch), parse_top("256x1,128x1"), 2, 1);
    unfreeze(whole, "");
    auto finer = make_adam(whole, {.rate = 1e-4, .decay = {.l2 = 1e-3}});
    const auto loss = cross_entropy(whole(pixels({2, 224, 160, 3}), Mode::train), labels);  // any size
    loss.backward();
    finer.step(whole);
    std::cout << "loss " << loss.value().data()[0] << ", " << count_parameters(whole) << " parameters\n";
}
