// layer/pool2d.hpp: windows and whole maps reduced.
#pragma once
#include <holon/graph/pool2d.hpp>
#include <holon/layer/layer.hpp>

namespace holon {

template <Element T, Device D>
struct MaxPool2d : Named {
    explicit MaxPool2d(const Pool2dOptions& o) : options(o) {}
    Variable<T, D> operator()(const Variable<T, D>& x, Mode);
    void members(auto&) {}
    Pool2dOptions options;
};

template <Element T, Device D> Variable<T, D> MaxPool2d<T, D>::operator()(const Variable<T, D>& x, Mode) {
    return within(name, [&] { return holon::max_pool2d(x, options); });
}

template <Element T, Device D>
struct AveragePool2d : Named {
    explicit AveragePool2d(const Pool2dOptions& o) : options(o) {}
    Variable<T, D> operator()(const Variable<T, D>& x, Mode);
    void members(auto&) {}
    Pool2dOptions options;
};

template <Element T, Device D> Variable<T, D> AveragePool2d<T, D>::operator()(const Variable<T, D>& x, Mode) {
    return within(name, [&] { return holon::average_pool2d(x, options); });
}

/// The mean over all positions: (n, h, w, c) -> (n, 1, 1, c).
template <Element T, Device D>
struct GlobalAverage : Named {
    Variable<T, D> operator()(const Variable<T, D>& x, Mode);
    void members(auto&) {}
};

template <Element T, Device D> Variable<T, D> GlobalAverage<T, D>::operator()(const Variable<T, D>& x, Mode) {
    return within(name, [&] { return holon::global_average(x); });
}

}  // namespace holon
