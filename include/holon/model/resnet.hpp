// model/resnet.hpp: the ResNet trunk on one screen, as torchvision built it and as Keras (and the paper) did.
#pragma once
#include <array>
#include <iterator>
#include <list>

#include <holon/layer/bottleneck.hpp>
#include <holon/layer/pool2d.hpp>

namespace holon {

struct ResNetOptions {
    std::array<int, 4> blocks{3, 4, 6, 3};
    int stem = 64;                            ///< channels after the first convolution
    std::array<int, 4> widths{64, 128, 256, 512};  ///< inner channels of each stage's bottlenecks; they end at 4 times that
    bool stride_first = false;                ///< Keras's "v1": the stride in the first 1x1
    bool bias = false;                        ///< Keras: convolutions have biases
    Padding pool_padding = 1;                 ///< torchvision 1; Keras 0
    BatchNormOptions norm = {};
};

/// torchvision's resnet50 ("v1.5"): stride in the 3x3, no biases, padded pool, BN epsilon 1e-5, momentum 0.1.
inline ResNetOptions resnet50_options() { return {}; }

/// The paper's (Keras 2.0.x): stride in the first 1x1, biases, unpadded pool, BN epsilon 1e-3, momentum 0.01, biased
/// running variance.
inline ResNetOptions resnet50_keras_options() {
    return {.stride_first = true, .bias = true, .pool_padding = 0,
            .norm = {.epsilon = 1e-3, .momentum = 0.01, .unbiased = false}};
}

/// One bottleneck a stage and half the width: small enough to learn on a laptop.
inline ResNetOptions resnet14_options() {
    return {.blocks = {1, 1, 1, 1}, .stem = 32, .widths = {32, 64, 128, 256}};
}

/// (n, h, w, 3) -> (n, about h/32, w/32, 4 * widths[3]). Names are torchvision's: conv1, bn1, layer1.0.conv1, ...
template <Element T, Device D>
struct ResNet : Named {
    using element = T;
    using device = D;

    ResNet(const ResNetOptions& o, Random& random);

    Variable<T, D> operator()(const Variable<T, D>& x, Mode mode) { return run(x, mode, 0, depth()); }
    void members(auto& visit) {
        for (std::size_t i = 0; i < depth(); ++i) members_of(i, visit);
    }

    /// As a row (`RowOf`): the stem up to its pool, then each block.
    std::size_t depth() const {
        std::size_t layers = 1;
        for (const auto& stage : stages) layers += stage.size();
        return layers;
    }
    Variable<T, D> run(const Variable<T, D>& x, Mode mode, std::size_t first, std::size_t end);
    void members_of(std::size_t i, auto& visit) {
        if (i == 0) {
            visit("conv1", conv1);
            visit("bn1", bn1);
            return;
        }
        const Place at = block(i);
        visit(text("layer", at.stage + 1, '.', at.block), at.layer);
    }

    Conv2d<T, D> conv1;
    BatchNorm2d<T, D> bn1;
    MaxPool2d<T, D> pool;
    std::array<std::list<Bottleneck<T, D>>, 4> stages;

 private:
    struct Place {
        std::size_t stage, block;
        Bottleneck<T, D>& layer;
    };
    /// The row's layer i >= 1.
    Place block(std::size_t i) {
        std::size_t stage = 0;
        for (--i; i >= stages[stage].size(); ++stage) i -= stages[stage].size();
        return {stage, i, *std::next(stages[stage].begin(), std::ptrdiff_t(i))};
    }
};

template <Element T, Device D>
ResNet<T, D>::ResNet(const ResNetOptions& o, Random& random)
    : conv1({.in = 3, .out = o.stem, .kernel = 7, .stride = 2, .padding = 3, .bias = o.bias}, random),
      bn1(o.stem, o.norm),
      pool({.window = 3, .stride = 2, .padding = o.pool_padding}) {
    conv1.redone = Recompute::block;
    int in = o.stem;
    for (int stage = 0; stage < 4; ++stage) {
        const int width = o.widths[std::size_t(stage)];
        for (int block = 0; block < o.blocks[std::size_t(stage)]; ++block) {
            const int stride = block == 0 && stage > 0 ? 2 : 1;
            stages[std::size_t(stage)].emplace_back(BottleneckOptions{.in = in,
                                                                      .reduce = width,
                                                                      .middle = width,
                                                                      .out = 4 * width,
                                                                      .stride = stride,
                                                                      .stride_first = o.stride_first,
                                                                      .project = block == 0,
                                                                      .bias = o.bias,
                                                                      .norm = o.norm},
                                                    random);
            in = 4 * width;
        }
    }
}

template <Element T, Device D>
Variable<T, D> ResNet<T, D>::run(const Variable<T, D>& x, Mode mode, std::size_t first, std::size_t end) {
    Variable<T, D> y = x;
    for (std::size_t i = first; i < end; ++i) {
        if (i == 0) {
            y = bn1.relu(conv1.before(bn1, y, mode), mode);
            y = within("maxpool", [&] { return pool(y, mode); });
        } else {
            y = block(i).layer(y, mode);
        }
    }
    return y;
}

}  // namespace holon
