// layer/sequential.hpp: layers in a row, named by their place.
#pragma once
#include <holon/layer/layer.hpp>

namespace holon {

template <Element T, Device D>
struct Sequential : Named {
    using element = T;
    using device = D;

    Sequential() = default;
    Sequential& add(AnyLayer<T, D> layer) {
        layers.push_back(std::move(layer));
        return *this;
    }
    Variable<T, D> operator()(const Variable<T, D>& x, Mode mode);
    void members(auto& visit) { visit(std::string_view(), layers); }

    std::vector<AnyLayer<T, D>> layers;
};

template <Element T, Device D> Variable<T, D> Sequential<T, D>::operator()(const Variable<T, D>& x, Mode mode) {
    Variable<T, D> y = x;
    for (auto& layer : layers) y = layer(y, mode);
    return y;
}

}  // namespace holon
