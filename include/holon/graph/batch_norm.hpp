// graph/batch_norm.hpp: normalise each channel, with the residual and the ReLU that follow it in one pass.
#pragma once
#include <array>

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

/// An image x, and what normalises it: y = (x - mean) / sqrt(variance + epsilon) * weight + bias. All vectors are 1x1x1xc.
/// With `BatchNormState::batch` the running statistics are updated in place. `left_out_bias`, only with that state, is a
/// convolution's bias that was left out of x: it cancels against the mean, so that it moves the running mean alone and its
/// gradient is zero.
template <Element T, Device D>
struct BatchNormTerm {
    using A = Accumulate<T>;
    Variable<T, D> x;
    Variable<A, D> weight, bias;
    Tensor<A, D>&running_mean, &running_variance;
    BatchNormOptions options = {};
    std::optional<Variable<A, D>> left_out_bias = {};
    std::optional<op::ChannelSums<A, D>> sums = {};  ///< of x, if its convolution gave them
};

namespace detail {

/// What the backward pass of one batch norm needs, and where its gradients go.
template <Element T, Device D>
struct SavedBatchNorm {
    using A = Accumulate<T>;
    op::Normalization<A, D> normal;
    Saved<T, D> x;
    Edge<T, D> to_x;
    Edge<A, D> to_weight, to_bias, to_left_out;

    /// Takes the statistics, and moves the running ones where they are the batch's.
    SavedBatchNorm(const BatchNormTerm<T, D>& of, BatchNormState state)
        : x(of.x.saved()), to_x(of.x.edge()), to_weight(of.weight.edge()), to_bias(of.bias.edge()) {
        Context<D>& context = of.x.context();
        const Shape& s = of.x.shape();
        expects(of.weight.shape() == vector_shape(s.c), "batch_norm: image ", s, " against ", of.weight.shape().c, " channels");
        const bool batch = state == BatchNormState::batch;
        expects(batch || !of.left_out_bias,
                "batch_norm: a bias that was left out before statistics that are not the batch's");
        normal.weight = of.weight.value();
        normal.bias = of.bias.value();
        if (of.left_out_bias) to_left_out = of.left_out_bias->edge();
        if (batch) {
            expects(s.rows() > 0, "batch_norm: no positions to take statistics over in ", s);
            const op::RunningStatistics<A, D> running{&of.running_mean, &of.running_variance, of.options.momentum,
                                                      of.options.unbiased,
                                                      of.left_out_bias ? &of.left_out_bias->value() : nullptr};
            op::BatchStatistics<A, D> statistics = taken(context, of, running);
            normal.mean = std::move(statistics.mean);
            normal.inverse_deviation = std::move(statistics.inverse_deviation);
        } else {
            normal.mean = of.running_mean;
            normal.inverse_deviation = op::inverse_deviation(context, of.running_variance, of.options.epsilon);
        }
    }
    static op::BatchStatistics<A, D> taken(Context<D>& context, const BatchNormTerm<T, D>& of,
                                           const op::RunningStatistics<A, D>& running) {
        if constexpr (op::convolves_with_sums<T, D>)
            if (of.sums) return op::batch_statistics(context, *of.sums, of.x.shape().rows(), of.options.epsilon, running);
        return op::batch_statistics(context, of.x.value(), of.options.epsilon, running);
    }
    bool wanted() const { return to_x || to_weight || to_bias; }

    /// Clears the gradient of a bias that was left out, and names those of the vectors.
    op::BatchNormGradients<T, D> open_vectors(Context<D>& context) const {
        to_left_out.give([&](Tensor<A, D>& g, Gradient mode) {
            if (mode == Gradient::assign) context.clear(g.data(), std::size_t(g.size()) * sizeof(A));
        });
        op::BatchNormGradients<T, D> out;
        if (to_weight) out.weight = &to_weight.open(out.to_weight);
        if (to_bias) out.bias = &to_bias.open(out.to_bias);
        return out;
    }
};

}  // namespace detail

/// The normalised image, plus `residual` if given, then max(., 0) if `relu`.
/// Gradients: Ioffe and Szegedy 2015; by batch statistics dx = w s (g - mean(g) - xhat mean(g xhat)), else dx = w s g,
/// where s = 1 / sqrt(variance + epsilon) and g is dy where the ReLU let through.
template <Element T, Device D>
Variable<T, D> batch_norm(const BatchNormTerm<T, D>& term, const Variable<T, D>* residual, bool relu, BatchNormState state) {
    using A = Accumulate<T>;
    const Variable<T, D>& x = term.x;
    Context<D>& context = x.context();
    const bool batch = state == BatchNormState::batch;
    const detail::SavedBatchNorm<T, D> norm(term, state);
    const auto to_residual = residual ? residual->edge() : Edge<T, D>();
    // Without a residual the ReLU's mask is the sign of the normalised x: none need be kept.
    const bool masked = relu && residual && (norm.wanted() || to_residual);
    const auto [y, mask] =
        op::batch_norm(context, x.value(), residual ? &residual->value() : nullptr, norm.normal, relu, masked);
    const auto redone = residual ? std::nullopt : std::optional(Recompute::batch_norm);
    auto backward = [=, mask = mask, &context](const Tensor<T, D>& dy) {
        const Tensor<T, D> seen = norm.x.get();  // before the gradients are there: making it again takes room of its own
        op::BatchNormGradients<T, D> wanted = norm.open_vectors(context);
        if (norm.to_x) wanted.x = &norm.to_x.open(wanted.to_x);
        if (to_residual && !relu)
            to_residual.take(dy);
        else if (to_residual) {
            wanted.residual = to_residual.inherit(dy);
            if (!wanted.residual) wanted.residual = &to_residual.open(wanted.to_residual);
        }
        op::batch_norm_backward(context, seen, mask ? &mask : nullptr, dy, norm.normal, relu, batch, wanted);
    };
    return Variable<T, D>::result("batch_norm", y, std::move(backward), x, residual ? *residual : Variable<T, D>(),
                                  term.weight, term.bias, term.left_out_bias.value_or(Variable<A, D>()))
        .remade_by(redone, Remaking::cheap, [&context, normal = norm.normal, relu, source = x.source()] {
            return op::batch_norm(context, source.get(), static_cast<const Tensor<T, D>*>(nullptr), normal, relu, false).y;
        });
}

/// y = max(batch_norm(x) + batch_norm(residual), 0), with each term as `batch_norm` has it, in one pass over both images
/// where that takes two. Where nothing else needs an image, its gradient is written over it.
template <Element T, Device D>
Variable<T, D> batch_norm_pair(const BatchNormTerm<T, D>& x, const BatchNormTerm<T, D>& residual, BatchNormState state) {
    using A = Accumulate<T>;
    using SavedNorm = detail::SavedBatchNorm<T, D>;
    Context<D>& context = x.x.context();
    const bool batch = state == BatchNormState::batch;
    // Not the closure's own: it is const when it runs, and is to let go of the images.
    const std::shared_ptr<std::array<SavedNorm, 2>> norms(new std::array<SavedNorm, 2>{SavedNorm(x, state), SavedNorm(residual, state)});
    auto& [norm, norm_beside] = *norms;
    const bool masked = norm.wanted() || norm_beside.wanted();
    const auto [y, mask] = op::batch_norm_pair(context, x.x.value(), norm.normal, residual.x.value(), norm_beside.normal, masked);
    auto backward = [=, mask = mask, &context](const Tensor<T, D>& dy) {
        std::array<Tensor<T, D>, 2> seen;  // both before any gradient is there: making them again takes room of its own
        for (std::size_t i = 0; i < 2; ++i) seen[i] = std::exchange((*norms)[i].x, {}).get();
        std::array<op::BatchNormGradients<T, D>, 2> wanted;
        for (std::size_t i = 0; i < 2; ++i) {
            const SavedNorm& one = (*norms)[i];
            wanted[i] = one.open_vectors(context);
            if (!one.to_x) continue;
            wanted[i].x = one.to_x.inherit(seen[i]);
            if (!wanted[i].x) wanted[i].x = &one.to_x.open(wanted[i].to_x);
        }
        op::batch_norm_pair_backward(context, seen[0], (*norms)[0].normal, seen[1], (*norms)[1].normal, mask, dy, batch, wanted[0],
                                     wanted[1]);
    };
    return Variable<T, D>::result("batch_norm_pair", y, std::move(backward), x.x, residual.x, x.weight, x.bias, residual.weight,
                                  residual.bias, x.left_out_bias.value_or(Variable<A, D>()),
                                  residual.left_out_bias.value_or(Variable<A, D>()));
}

}  // namespace holon
