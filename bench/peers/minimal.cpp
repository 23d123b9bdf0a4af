// minimal: examples/minimal.cpp once more, on LibTorch: what its compile time is measured beside. Torchvision's C++
// models are no part of LibTorch, so ResNet50 is written out here.
#include <torch/torch.h>

#include <iostream>

namespace {

namespace nn = torch::nn;
using torch::Tensor;

nn::Conv2d conv(int in, int out, int kernel, int stride = 1) {
    return nn::Conv2d(nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(false));
}

/// 1x1 -> 3x3 -> 1x1 beside a shortcut.
struct BottleneckImpl : nn::Module {
    BottleneckImpl(int in, int width, int stride, bool project)
        : conv1(register_module("conv1", conv(in, width, 1))),
          conv2(register_module("conv2", conv(width, width, 3, stride))),
          conv3(register_module("conv3", conv(width, 4 * width, 1))),
          bn1(register_module("bn1", nn::BatchNorm2d(width))),
          bn2(register_module("bn2", nn::BatchNorm2d(width))),
          bn3(register_module("bn3", nn::BatchNorm2d(4 * width))) {
        if (project)
            downsample = register_module("downsample",
                                         nn::Sequential(conv(in, 4 * width, 1, stride), nn::BatchNorm2d(4 * width)));
    }
    Tensor forward(const Tensor& x) {
        Tensor y = torch::relu(bn1(conv1(x)));
        y = torch::relu(bn2(conv2(y)));
        return torch::relu(bn3(conv3(y)) + (downsample ? downsample->forward(x) : x));
    }
    nn::Conv2d conv1, conv2, conv3;
    nn::BatchNorm2d bn1, bn2, bn3;
    nn::Sequential downsample{nullptr};
};
TORCH_MODULE(Bottleneck);

/// A row of bottlenecks, the first with the stride.
nn::Sequential stage(int in, int width, int blocks, int stride) {
    nn::Sequential row;
    for (int i = 0; i < blocks; ++i) row->push_back(Bottleneck(i ? 4 * width : in, width, i ? 1 : stride, i == 0));
    return row;
}

/// (n, 3, h, w) -> (n, 2048, about h/32, w/32).
struct TrunkImpl : nn::Module {
    TrunkImpl()
        : conv1(register_module("conv1", nn::Conv2d(nn::Conv2dOptions(3, 64, 7).stride(2).padding(3).bias(false)))),
          bn1(register_module("bn1", nn::BatchNorm2d(64))),
          layer1(register_module("layer1", stage(64, 64, 3, 1))),
          layer2(register_module("layer2", stage(256, 128, 4, 2))),
          layer3(register_module("layer3", stage(512, 256, 6, 2))),
          layer4(register_module("layer4", stage(1024, 512, 3, 2))) {}
    Tensor forward(const Tensor& x) {
        const Tensor y = torch::max_pool2d(torch::relu(bn1(conv1(x))), 3, 2, 1);
        return layer4->forward(layer3->forward(layer2->forward(layer1->forward(y))));
    }
    nn::Conv2d conv1;
    nn::BatchNorm2d bn1;
    nn::Sequential layer1, layer2, layer3, layer4;
};
TORCH_MODULE(Trunk);

struct PatchClassifierImpl : nn::Module {
    PatchClassifierImpl(int classes, double rate)
        : trunk(register_module("trunk", Trunk())),
          dropout(register_module("dropout", nn::Dropout(rate))),
          fc(register_module("fc", nn::Linear(2048, classes))) {}
    Tensor forward(const Tensor& x) { return fc(dropout(trunk(x).mean({2, 3}))); }
    Trunk trunk;
    nn::Dropout dropout;
    nn::Linear fc;
};
TORCH_MODULE(PatchClassifier);

/// The trunk under two more bottlenecks, `256x1,128x1`.
struct WholeImageImpl : nn::Module {
    WholeImageImpl(Trunk t, int classes)
        : trunk(register_module("trunk", std::move(t))),
          top(register_module("top", nn::Sequential(Bottleneck(2048, 256, 2, true), Bottleneck(1024, 128, 2, true)))),
          fc(register_module("fc", nn::Linear(512, classes))) {}
    Tensor forward(const Tensor& x) { return fc(top->forward(trunk(x)).mean({2, 3})); }
    Trunk trunk;
    nn::Sequential top;
    nn::Linear fc;
};
TORCH_MODULE(WholeImage);

}  // namespace

int main() {
    torch::manual_seed(7);
    const Tensor labels = torch::tensor({0, 1}, torch::kLong);

    PatchClassifier patch(5, 0.5);
    for (Tensor& p : patch->trunk->parameters()) p.set_requires_grad(false);
    torch::optim::Adam adam(patch->fc->parameters(), 1e-3);
    torch::nn::functional::cross_entropy(patch(torch::randn({2, 3, 64, 64})), labels).backward();
    adam.step();

    WholeImage whole(patch->trunk, 2);
    for (Tensor& p : whole->parameters()) p.set_requires_grad(true);
    torch::optim::Adam finer(whole->parameters(), torch::optim::AdamOptions(1e-4).weight_decay(1e-3));
    const Tensor loss =
        torch::nn::functional::cross_entropy(whole(torch::randn({2, 3, 224, 160})), labels);  // any size
    loss.backward();
    finer.step();
    std::int64_t count = 0;
    for (const Tensor& p : whole->parameters()) count += p.numel();
    std::cout << "loss " << loss.item<float>() << ", " << count << " parameters\n";
}
