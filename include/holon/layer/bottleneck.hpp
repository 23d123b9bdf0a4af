// layer/bottleneck.hpp: 1x1 -> 3x3 -> 1x1 beside a shortcut (He et al. 2016), in torchvision's and in Keras's form.
#pragma once
#include <holon/layer/batch_norm2d.hpp>
#include <holon/layer/conv2d.hpp>

namespace holon {

struct BottleneckOptions {
    int in = 64;
    int reduce = 64;           ///< channels after the first 1x1
    int middle = 64;           ///< channels after the 3x3
    int out = 256;             ///< channels after the last 1x1, and of the block
    int stride = 1;
    bool stride_first = false;  ///< the stride sits in the first 1x1 (Keras, "v1") instead of the 3x3 (torchvision, "v1.5")
    bool project = false;       ///< the shortcut is a 1x1 convolution + batch norm even where the shapes agree
    bool bias = false;          ///< convolutions have biases (Keras)
    BatchNormOptions norm = {};
};

/// y = relu(bn3(conv3(relu(bn2(conv2(relu(bn1(conv1(x)))))))) + shortcut(x)). The shortcut is x itself, or
/// bn(conv 1x1, same stride) where the shapes differ. Names are torchvision's: conv1, bn1, ..., downsample.0, downsample.1.
template <Element T, Device D>
struct Bottleneck : Named {
    using element = T;
    using device = D;

    Bottleneck(const BottleneckOptions& o, Random& random);

    Variable<T, D> operator()(const Variable<T, D>& x, Mode mode);
    void members(auto& visit) {
        visit("conv1", conv1);
        visit("bn1", bn1);
        visit("conv2", conv2);
        visit("bn2", bn2);
        visit("conv3", conv3);
        visit("bn3", bn3);
        visit("downsample", downsample);
    }

    struct Projection {
        Projection(const Conv2dOptions& o, const BatchNormOptions& n, Random& random)
            : conv(o, random), norm(o.out, n) {
            conv.redone = Recompute::block;
        }
        Variable<T, D> operator()(const Variable<T, D>& x, Mode mode) { return norm(conv.before(norm, x, mode), mode); }
        void members(auto& visit) {
            visit("0", conv);
            visit("1", norm);
        }
        Conv2d<T, D> conv;
        BatchNorm2d<T, D> norm;
    };

    Conv2d<T, D> conv1;
    BatchNorm2d<T, D> bn1;
    Conv2d<T, D> conv2;
    BatchNorm2d<T, D> bn2;
    Conv2d<T, D> conv3;
    BatchNorm2d<T, D> bn3;
    std::optional<Projection> downsample;
};

template <Element T, Device D>
Bottleneck<T, D>::Bottleneck(const BottleneckOptions& o, Random& random)
    : conv1({.in = o.in, .out = o.reduce, .kernel = 1, .stride = o.stride_first ? o.stride : 1, .bias = o.bias},
            random),
      bn1(o.reduce, o.norm),
      conv2({.in = o.reduce,
             .out = o.middle,
             .kernel = 3,
             .stride = o.stride_first ? 1 : o.stride,
             .padding = 1,
             .bias = o.bias},
            random),
      bn2(o.middle, o.norm),
      conv3({.in = o.middle, .out = o.out, .kernel = 1, .bias = o.bias}, random),
      bn3(o.out, o.norm) {
    conv1.redone = conv2.redone = Recompute::block;
    conv3.redone = Recompute::expansion;
    if (o.project || o.stride != 1 || o.in != o.out) {
        downsample.emplace(Conv2dOptions{.in = o.in, .out = o.out, .kernel = 1, .stride = o.stride, .bias = o.bias},
                           o.norm, random);
    }
}

template <Element T, Device D> Variable<T, D> Bottleneck<T, D>::operator()(const Variable<T, D>& x, Mode mode) {
    Variable<T, D> y = bn1.relu(conv1.before(bn1, x, mode), mode);
    y = bn2.relu(conv2.before(bn2, y, mode), mode);
    const NormInput<T, D> z = conv3.before(bn3, y, mode);
    if (!downsample) return bn3.add_relu(z, x, mode);
    return bn3.add_relu(z, downsample->norm, downsample->conv.before(downsample->norm, x, mode), mode);
}

}  // namespace holon
