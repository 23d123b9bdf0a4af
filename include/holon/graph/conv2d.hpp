// graph/conv2d.hpp: y = x * filter (+ bias), perhaps with the ReLU that follows, and of its gradients only those that
// someone wants.
#pragma once
#include <holon/graph/variable.hpp>

namespace holon {

/// Cross-correlation (what this field calls convolution) of x (n, h, w, in) with filter (out, r, s, in) and an optional
/// bias (1, 1, 1, out), then max(., 0) if `relu`; the result's shape is `op::conv2d_shape`. From the policy `redone` on the
/// result is made again for whoever needs it in backward; without one it is kept. `sums`, not with a bias or a ReLU, is filled
/// in with the sums of the result's channels where the device gives them along with it for less time.
template <Element T, Device D>
Variable<T, D> conv2d(const Variable<T, D>& x, const Variable<Accumulate<T>, D>& filter,
                      const Variable<Accumulate<T>, D>& bias, const Conv2dOptions& options,
                      std::optional<Recompute> redone = {}, bool relu = false,
                      std::optional<op::ChannelSums<Accumulate<T>, D>>* sums = nullptr) {
    using A = Accumulate<T>;
    Context<D>& context = x.context();
    expects(!sums || (!options.bias && !relu), "conv2d: sums of a result with a bias or a ReLU");
    // Made again, the result comes from the same kernel, for the same bits.
    const auto run = [&context, relu, options, with_sums = sums != nullptr](
                         const Tensor<T, D>& image, const Tensor<A, D>& weight, const Tensor<A, D>& shift,
                         [[maybe_unused]] std::optional<op::ChannelSums<A, D>>* to = nullptr) {
        if (with_sums) {
            if constexpr (op::convolves_with_sums<T, D>)
                if (auto both = op::conv2d_with_sums(context, image, weight, options)) {
                    if (to) *to = std::move(both->sums);
                    return std::move(both->y);
                }
        }
        const Tensor<A, D>* const added = options.bias ? &shift : nullptr;
        return relu ? op::conv2d_relu(context, image, weight, added, options)
                    : op::conv2d(context, image, weight, added, options);
    };
    const auto to_x = x.edge();
    const auto to_filter = filter.edge(), to_bias = bias.edge();
    const Tensor<T, D> image = op::pad_for_conv2d(context, x.value(), options);
    const bool padded = image.shape() != x.shape();
    Tensor<T, D> y = run(image, filter.value(), bias.value(), sums);

    // A padded image is larger than x, which is kept by others anyway: where memory counts for more, it is made again.
    std::shared_ptr<Redone<T, D>> padded_again;
    if (padded && (x.let_go() || redoes(Recompute::block)))
        padded_again.reset(new Redone<T, D>(
            [&context, options, source = x.source()] { return op::pad_for_conv2d(context, source.get(), options); },
            Remaking::dear));
    if (padded_again && to_filter) padded_again->want();
    const Saved<T, D> seen = padded_again ? Saved<T, D>(padded_again)
                             : padded     ? Saved<T, D>(image)
                             : to_filter  ? x.saved()
                                          : x.source();

    // A backend may keep its own form of a filter that it sees twice between writes: worth it for a frozen one, while
    // that of a learning one is soon stale. The second time it is shown the same numbers under another storage.
    const Tensor<A, D> again = filter.requires_grad() && op::keeps_filter_forms(context)
                                   ? Tensor<A, D>::over(const_cast<A*>(filter.value().data()), filter.shape(),
                                                        filter.value().storage(), filter.context())
                                   : filter.value();
    std::shared_ptr<Redone<T, D>> remade;
    if (redone && redoes(*redone))
        remade.reset(new Redone<T, D>([run, seen, again, shift = bias.value()] { return run(seen.get(), again, shift); },
                                      Remaking::dear));

    if (relu && remade) remade->want();
    // What the ReLU gave, which is let go of as soon as dy is masked: the gradients that follow need its room.
    std::shared_ptr<Saved<T, D>> result;
    if (relu) result.reset(new Saved<T, D>(remade ? Saved<T, D>(remade) : Saved<T, D>(y)));
    auto backward = [=, &context, seen = to_filter ? seen : Saved<T, D>(),
                     weight = to_x ? filter.value() : Tensor<A, D>()](const Tensor<T, D>& dy) {
        Tensor<T, D> slope = dy;  // of the convolution's own result
        if (relu) {
            const Tensor<T, D> at = std::exchange(*result, {}).get();
            if (slope.storage().use_count() > 2) slope = Tensor<T, D>(dy.shape(), context);  // dy is looked at elsewhere
            Gradient mode = Gradient::assign;
            Tensor<A, D>* const dbias = to_bias ? &to_bias.open(mode) : nullptr;
            op::conv2d_relu_backward(context, at, dy, slope, dbias, mode);
        } else {
            to_bias.give([&](Tensor<A, D>& g, Gradient mode) { op::channel_sum(context, dy, g, mode); });
        }
        to_filter.give([&](Tensor<A, D>& g, Gradient mode) {
            op::conv2d_backward_filter(context, seen.get(), slope, options, g, mode);
        });
        if (to_filter || to_bias) detail::lap("conv2d", Pass::to_filter);
        to_x.give([&](Tensor<T, D>& g, Gradient mode) {
            op::conv2d_backward_input(context, slope, weight, options, g, mode);
        });
        if (to_x) detail::lap("conv2d", Pass::to_input);
    };
    return Variable<T, D>::result("conv2d", std::move(y), std::move(backward), x, filter, bias)
        .remade_by(std::move(remade));
}

}  // namespace holon
