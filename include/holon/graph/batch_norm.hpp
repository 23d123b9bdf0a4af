// graph/batch_norm.hpp: normalise each channel, with the residual and the ReLU that follow it in one pass.
#pragma once
#include <holon/graph/variable.hpp>

namespace holon {

/// Whose mean and variance: of this batch, or those kept from training.
enum class BatchNormState {
    batch,    ///< normalise by this batch and move the running statistics towards it (training)
    running,  ///< normalise by the running statistics (evaluation)
    frozen,   ///< the same while training: a fixed affine map, statistics stay as they are
};

struct BatchNormOptions {
    double epsilon = 1e-5;
    double momentum = 0.1;  ///< weight of this batch in the running statistics (PyTorch's sense; Keras's 0.99 is 0.01)
    bool unbiased = true;   ///< running variance by n - 1 (PyTorch) or by n (Keras); normalising is always by n
};

/// y = (x - mean) / sqrt(variance + epsilon) * weight + bias, plus `residual` if given, then max(., 0) if `relu`.
/// All vectors are 1x1x1xc. With `BatchNormState::batch` the running statistics are updated in place. `left_out_bias`, only
/// with that state, is a convolution's bias that was left out of x: it cancels against the mean, so that it moves the running
/// mean alone and its gradient is zero.
/// Gradients: Ioffe and Szegedy 2015; by batch statistics dx = w s (g - mean(g) - xhat mean(g xhat)), else dx = w s g,
/// where s = 1 / sqrt(variance + epsilon) and g is dy where the ReLU let through.
template <Element T, Device D>
Variable<T, D> batch_norm(const Variable<T, D>& x, const Variable<T, D>* residual,
                          const Variable<Accumulate<T>, D>& weight, const Variable<Accumulate<T>, D>& bias,
                          Tensor<Accumulate<T>, D>& running_mean, Tensor<Accumulate<T>, D>& running_variance, bool relu,
                          BatchNormState state, const BatchNormOptions& options,
                          const Variable<Accumulate<T>, D>* left_out_bias = nullptr) {
    using A = Accumulate<T>;
    Context<D>& context = x.context();
    const std::int64_t channels = x.shape().c;
    expects(weight.shape() == vector_shape(channels), "batch_norm: image ", x.shape(), " against ", weight.shape().c,
            " channels");
    const bool batch = state == BatchNormState::batch;
    expects(batch || !left_out_bias, "batch_norm: a bias that was left out before statistics that are not the batch's");
    op::Normalization<A, D> normal;
    normal.weight = weight.value();
    normal.bias = bias.value();
    if (batch) {
        expects(x.shape().rows() > 0, "batch_norm: no positions to take statistics over in ", x.shape());
        op::BatchStatistics<A, D> statistics =
            op::batch_statistics(context, x.value(), options.epsilon,
                                 {&running_mean, &running_variance, options.momentum, options.unbiased,
                                  left_out_bias ? &left_out_bias->value() : nullptr});
        normal.mean = std::move(statistics.mean);
        normal.inverse_deviation = std::move(statistics.inverse_deviation);
    } else {
        normal.mean = running_mean;
        normal.inverse_deviation = op::inverse_deviation(context, running_variance, options.epsilon);
    }
    const auto to_x = x.edge();
    const auto to_residual = residual ? residual->edge() : Edge<T, D>();
    const auto to_weight = weight.edge(), to_bias = bias.edge();
    const auto to_left_out = left_out_bias ? left_out_bias->edge() : Edge<A, D>();
    // Without a residual the ReLU's mask is the sign of the normalised x: none need be kept.
    const bool masked = relu && residual && (to_x || to_residual || to_weight || to_bias);
    const auto [y, mask] =
        op::batch_norm(context, x.value(), residual ? &residual->value() : nullptr, normal, relu, masked);
    const auto redone = residual ? std::nullopt : std::optional(Recompute::batch_norm);
    auto backward = [=, mask = mask, &context, saved = x.saved()](const Tensor<T, D>& dy) {
        const Tensor<T, D> seen = saved.get();  // before the gradients are there: making it again takes room of its own
        to_left_out.give([&](Tensor<A, D>& g, Gradient mode) {
            if (mode == Gradient::assign) context.clear(g.data(), std::size_t(g.size()) * sizeof(A));
        });
        op::BatchNormGradients<T, D> wanted;
        if (to_x) wanted.x = &to_x.open(wanted.to_x);
        if (to_weight) wanted.weight = &to_weight.open(wanted.to_weight);
        if (to_bias) wanted.bias = &to_bias.open(wanted.to_bias);
        if (to_residual && !relu)
            to_residual.take(dy);
        else if (to_residual) {
            wanted.residual = to_residual.inherit(dy);
            if (!wanted.residual) wanted.residual = &to_residual.open(wanted.to_residual);
        }
        op::batch_norm_backward(context, seen, mask ? &mask : nullptr, dy, normal, relu, batch, wanted);
    };
    return Variable<T, D>::result("batch_norm", y, std::move(backward), x, residual ? *residual : Variable<T, D>(), weight,
                                  bias, left_out_bias ? *left_out_bias : Variable<A, D>())
        .remade_by(redone, Remaking::cheap, [&context, normal, relu, source = x.source()] {
            return op::batch_norm(context, source.get(), static_cast<const Tensor<T, D>*>(nullptr), normal, relu, false).y;
        });
}

}  // namespace holon
