// model/vgg.hpp: the VGG16 trunk on one screen: thirteen 3x3 convolutions, no batch norm.
#pragma once
#include <array>
#include <iterator>
#include <list>

#include <holon/layer/conv2d.hpp>
#include <holon/layer/pool2d.hpp>

namespace holon {

/// (n, h, w, 3) -> (n, h/32, w/32, 512). Names are torchvision's, whose numbers count ReLUs and pools too:
/// features.0, .2 | .5, .7 | .10, .12, .14 | .17, .19, .21 | .24, .26, .28.
template <Element T, Device D>
struct Vgg16 : Named {
    using element = T;
    using device = D;

    explicit Vgg16(Random& random);

    Variable<T, D> operator()(const Variable<T, D>& x, Mode mode) { return run(x, mode, 0, depth()); }
    void members(auto& visit) {
        for (std::size_t i = 0; i < depth(); ++i) members_of(i, visit);
    }

    /// As a row (`RowOf`): a convolution, its ReLU and, at the end of a block, its pool are one layer of it.
    std::size_t depth() const { return units.size(); }
    Variable<T, D> run(const Variable<T, D>& x, Mode mode, std::size_t first, std::size_t end);
    void members_of(std::size_t i, auto& visit) {
        Unit& unit = *std::next(units.begin(), std::ptrdiff_t(i));
        visit(text("features.", unit.index), unit.conv);
    }

    struct Unit {
        int index;  ///< torchvision's
        bool last;  ///< of its block: a 2x2 max pool follows
        Conv2d<T, D> conv;
    };
    std::list<Unit> units;
};

template <Element T, Device D> Vgg16<T, D>::Vgg16(Random& random) {
    constexpr std::array<int, 5> widths{64, 128, 256, 512, 512}, counts{2, 2, 3, 3, 3};
    int in = 3, index = 0;
    for (std::size_t b = 0; b < widths.size(); ++b) {
        for (int c = 0; c < counts[b]; ++c, index += 2) {
            units.push_back(
                {index, c + 1 == counts[b],
                 Conv2d<T, D>({.in = in, .out = widths[b], .kernel = 3, .padding = 1, .bias = true}, random)});
            units.back().conv.redone = Recompute::block;
            in = widths[b];
        }
        ++index;
    }
}

template <Element T, Device D>
Variable<T, D> Vgg16<T, D>::run(const Variable<T, D>& x, Mode mode, std::size_t first, std::size_t end) {
    Variable<T, D> y = x;
    for (std::size_t i = first; i < end; ++i) {
        Unit& unit = *std::next(units.begin(), std::ptrdiff_t(i));
        y = unit.conv.relu(y, mode);
        if (unit.last) y = within(unit.conv.name, [&] { return max_pool2d(y, {.window = 2}); });
    }
    return y;
}

}  // namespace holon
