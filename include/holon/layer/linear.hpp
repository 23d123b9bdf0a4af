// layer/linear.hpp: W x + b at every position.
#pragma once
#include <holon/graph/linear.hpp>
#include <holon/layer/init.hpp>
#include <holon/layer/layer.hpp>

namespace holon {

/// `weight` is (out, 1, 1, in), Glorot uniform; `bias` (1, 1, 1, out), zero.
template <Element T, Device D>
struct Linear : Named {
    using element = T;
    using device = D;
    using A = Accumulate<T>;

    Linear(int in, int out, Random& random);

    Variable<T, D> operator()(const Variable<T, D>& x, Mode);
    void members(auto& visit) {
        visit("weight", weight);
        visit("bias", bias);
    }

    Parameter<A, D> weight, bias;
};

template <Element T, Device D>
Linear<T, D>::Linear(int in, int out, Random& random)
    : weight(Role::matrix, Shape{out, 1, 1, in}), bias(Role::vector, vector_shape(out)) {
    glorot_uniform(weight, random);
}

template <Element T, Device D> Variable<T, D> Linear<T, D>::operator()(const Variable<T, D>& x, Mode) {
    return within(name, [&] { return holon::linear(x, weight.variable(), bias.variable()); });
}

}  // namespace holon
