// layer/conv2d.hpp: a convolution with its filter and perhaps a bias.
#pragma once
#include <holon/graph/conv2d.hpp>
#include <holon/layer/init.hpp>
#include <holon/layer/layer.hpp>

namespace holon {

/// `weight` is (out, r, s, in), He normal; `bias` (1, 1, 1, out), zero, only if asked for.
template <Element T, Device D>
struct Conv2d : Named {
    using element = T;
    using device = D;
    using A = Accumulate<T>;

    Conv2d(const Conv2dOptions& o, Random& random);

    Variable<T, D> operator()(const Variable<T, D>& x, Mode) { return run(x, false); }
    /// max(convolution, 0): bias and ReLU in one pass.
    Variable<T, D> relu(const Variable<T, D>& x, Mode) { return run(x, true); }
    void members(auto& visit) {
        visit("weight", weight);
        visit("bias", bias);
    }

    Conv2dOptions options;
    std::optional<Recompute> redone;  ///< the policy from which on backward makes the result again; none: it is kept
    Parameter<A, D> weight;
    std::optional<Parameter<A, D>> bias;

 private:
    Variable<T, D> run(const Variable<T, D>& x, bool relu);
};

template <Element T, Device D>
Conv2d<T, D>::Conv2d(const Conv2dOptions& o, Random& random) : options(o), weight(Role::filter, op::filter_shape(o)) {
    he_normal(weight, random);
    if (o.bias) bias.emplace(Role::vector, vector_shape(o.out));
}

template <Element T, Device D> Variable<T, D> Conv2d<T, D>::run(const Variable<T, D>& x, bool relu) {
    return within(name, [&] {
        return holon::conv2d(x, weight.variable(), bias ? bias->variable() : Variable<A, D>(), options, redone,
                             relu);
    });
}

}  // namespace holon
