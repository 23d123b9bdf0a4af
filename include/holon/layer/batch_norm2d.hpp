// layer/batch_norm2d.hpp: batch norm over n, h, w with its running statistics, fused with what follows it.
#pragma once
#include <holon/layer/conv2d.hpp>

namespace holon {

/// weight 1, bias 0, running mean 0, running variance 1, each 1x1x1xc. In `Mode::evaluate` it normalises by the running
/// statistics; in `Mode::train` by the batch's, or, with `Statistics::fixed`, by the running ones left as they are.
template <Element T, Device D>
struct BatchNorm2d : Named, FollowsStatistics {
    using element = T;
    using device = D;
    using A = Accumulate<T>;

    explicit BatchNorm2d(int channels, const BatchNormOptions& o = {});

    BatchNormState state(Mode mode) const {
        if (mode == Mode::evaluate) return BatchNormState::running;
        return statistics == Statistics::fixed ? BatchNormState::frozen : BatchNormState::batch;
    }

    Variable<T, D> operator()(const NormInput<T, D>& x, Mode mode) { return run(x, nullptr, false, mode); }
    /// max(batch_norm(x), 0) in one pass.
    Variable<T, D> relu(const NormInput<T, D>& x, Mode mode) { return run(x, nullptr, true, mode); }
    /// max(batch_norm(x) + residual, 0) in one pass.
    Variable<T, D> add_relu(const NormInput<T, D>& x, const Variable<T, D>& residual, Mode mode) {
        return run(x, &residual, true, mode);
    }

    /// max(batch_norm(x) + other.batch_norm(residual), 0): in one pass where both normalise by statistics of the same kind.
    Variable<T, D> add_relu(const NormInput<T, D>& x, BatchNorm2d& other, const NormInput<T, D>& residual, Mode mode) {
        if (state(mode) != other.state(mode)) return add_relu(x, other(residual, mode), mode);
        return within(name, [&] { return holon::batch_norm_pair(term(x), other.term(residual), state(mode)); });
    }

    void members(auto& visit) {
        visit("weight", weight);
        visit("bias", bias);
        visit("running_mean", running_mean);
        visit("running_var", running_var);
    }

    BatchNormOptions options;
    Parameter<A, D> weight, bias;
    State<A, D> running_mean, running_var;

 private:
    BatchNormTerm<T, D> term(const NormInput<T, D>& x) {
        return {x.x, weight.variable(), bias.variable(), running_mean.writable(), running_var.writable(), options, x.left_out_bias,
                x.sums};
    }
    Variable<T, D> run(const NormInput<T, D>& x, const Variable<T, D>* residual, bool relu, Mode mode) {
        return within(name, [&] { return holon::batch_norm(term(x), residual, relu, state(mode)); });
    }
};

template <Element T, Device D>
BatchNorm2d<T, D>::BatchNorm2d(int channels, const BatchNormOptions& o)
    : options(o),
      weight(Role::vector, vector_shape(channels)),
      bias(Role::vector, vector_shape(channels)),
      running_mean(vector_shape(channels), A(0)),
      running_var(vector_shape(channels), A(1)) {
    constant(weight, A(1));
}

}  // namespace holon
