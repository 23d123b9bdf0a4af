// layer/vgg_block.hpp: K times (3x3 convolution, batch norm, ReLU), then a 2x2 max pool: the paper's second kind of top.
#pragma once
#include <list>

#include <holon/layer/batch_norm2d.hpp>
#include <holon/layer/conv2d.hpp>
#include <holon/layer/pool2d.hpp>

namespace holon {

struct VggBlockOptions {
    int in = 512;
    int out = 256;
    int units = 1;
    BatchNormOptions norm = {};
};

/// (n, h, w, in) -> (n, floor(h/2), floor(w/2), out). Names: <unit>.conv1.*, <unit>.bn1.*.
template <Element T, Device D>
struct VggBlock : Named {
    using element = T;
    using device = D;

    VggBlock(const VggBlockOptions& o, Random& random);
    Variable<T, D> operator()(const Variable<T, D>& x, Mode mode);
    void members(auto& visit) { visit(std::string_view(), units); }

    struct Unit {
        Unit(int in, int out, const BatchNormOptions& norm, Random& random)
            : conv1({.in = in, .out = out, .kernel = 3, .padding = 1, .bias = true}, random), bn1(out, norm) {
            conv1.redone = Recompute::block;
        }
        void members(auto& visit) {
            visit("conv1", conv1);
            visit("bn1", bn1);
        }
        Conv2d<T, D> conv1;
        BatchNorm2d<T, D> bn1;
    };
    std::list<Unit> units;
    MaxPool2d<T, D> pool;
};

template <Element T, Device D>
VggBlock<T, D>::VggBlock(const VggBlockOptions& o, Random& random) : pool({.window = 2}) {
    expects(o.units >= 1, "vgg block: ", o.units, " units; at least 1 is needed");
    for (int u = 0; u < o.units; ++u) units.emplace_back(u == 0 ? o.in : o.out, o.out, o.norm, random);
}

template <Element T, Device D> Variable<T, D> VggBlock<T, D>::operator()(const Variable<T, D>& x, Mode mode) {
    Variable<T, D> y = x;
    for (Unit& unit : units) y = unit.bn1.relu(unit.conv1.before(unit.bn1, y, mode), mode);
    return within(name, [&] { return pool(y, mode); });
}

}  // namespace holon
