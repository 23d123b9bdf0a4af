// model/trunk.hpp: the part of a network that is learned on patches and kept for whole images, chosen by name.
#pragma once
#include <string>
#include <string_view>

#include <holon/model/resnet.hpp>
#include <holon/model/vgg.hpp>

namespace holon {

/// What both kinds of network are built from.
template <Element T, Device D>
struct Trunk {
    using element = T;
    using device = D;

    std::string network;     ///< "resnet50", "resnet50-keras", "resnet14" or "vgg16"
    int features = 0;        ///< channels of the last map
    AnyLayer<T, D> layers;
    std::string top;         ///< first of the paper's "top layers" that stage 2 unfreezes, in member order

    /// Pixels of the input per position of the last map, along each axis.
    static constexpr int stride = 32;

    Variable<T, D> operator()(const Variable<T, D>& x, Mode mode);
    void members(auto& visit) { visit(std::string_view(), layers); }

    /// As a row (`RowOf`).
    std::size_t depth() const { return layers.depth(); }
    Variable<T, D> run(const Variable<T, D>& x, Mode mode, std::size_t first, std::size_t end) {
        return layers.run(x, mode, first, end);
    }
    void members_of(std::size_t i, auto& visit) { layers.members_of(i, visit); }
};

template <Element T, Device D> Variable<T, D> Trunk<T, D>::operator()(const Variable<T, D>& x, Mode mode) {
    expects(x.shape().h >= stride && x.shape().w >= stride, network, ": image ", x.shape(), " is smaller than ", stride,
            "x", stride, ", the least this network can see; use a larger size");
    return layers(x, mode);
}

inline constexpr std::string_view trunk_names = "resnet50, resnet50-keras, resnet14, vgg16";

/// A trunk with fresh weights. An unknown name is refused with the list of those known.
template <Element T, Device D>
Trunk<T, D> make_trunk(std::string_view network, Random& random) {
    const auto resnet = [&](const ResNetOptions& o, std::string top) {
        return Trunk<T, D>{std::string(network), 4 * o.widths[3], ResNet<T, D>(o, random), std::move(top)};
    };
    if (network == "resnet50") return resnet(resnet50_options(), "layer3.5");
    if (network == "resnet50-keras") return resnet(resnet50_keras_options(), "layer3.5");
    if (network == "resnet14") return resnet(resnet14_options(), "layer3.0");
    if (network == "vgg16") return {std::string(network), 512, Vgg16<T, D>(random), "features.17"};
    throw ShapeError(text("network ", network, " is not known; there are ", trunk_names));
}

}  // namespace holon
