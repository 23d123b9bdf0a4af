// layer/conv2d.hpp: a convolution with its filter and perhaps a bias.
#pragma once
#include <holon/graph/batch_norm.hpp>
#include <holon/graph/conv2d.hpp>
#include <holon/layer/init.hpp>
#include <holon/layer/layer.hpp>

namespace holon {

/// What a batch norm is given: an image, where a convolution's bias was left out of it that bias, and the sums of its channels
/// if the convolution gave them.
template <Element T, Device D>
struct NormInput {
    Variable<T, D> x;
    std::optional<Variable<Accumulate<T>, D>> left_out_bias = {};
    std::optional<op::ChannelSums<Accumulate<T>, D>> sums = {};
    NormInput(Variable<T, D> value) : x(std::move(value)) {}
};

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
    /// For the batch norm that follows: without the bias if that normalises by the batch's own mean, in which a bias
    /// cancels. It saves a GPU a pass over the result, and another over its gradient.
    template <class Norm> NormInput<T, D> before(const Norm& norm, const Variable<T, D>& x, Mode mode) {
        if (norm.state(mode) != BatchNormState::batch) return run(x, false);
        Conv2dOptions o = options;
        o.bias = false;
        std::optional<op::ChannelSums<A, D>> sums;
        NormInput<T, D> out(within(name, [&] {
            return holon::conv2d(x, weight.variable(), Variable<A, D>(), o, redone, false, &sums);
        }));
        if (bias) out.left_out_bias = bias->variable();
        out.sums = std::move(sums);
        return out;
    }
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
