// op/plan/conv2d.hpp: convolutions on `Plan`: workspace, filters in 16 bits, and gradients that wait to be widened.
#pragma once
#include <holon/op/gpu/padding.hpp>
#include <holon/op/plan/costs.hpp>

namespace holon::op {

namespace plan {

/// A convolution: its workspace is there while it runs, and so is the filter (or its gradient) as the backend wants it.
/// Arithmetic on channels that were added to x and filter is not counted.
template <Element T>
void convolve(Context<Plan>& context, Direction direction, const Shape& x, const Conv2dOptions& o,
              const Tensor<Accumulate<T>, Plan>& filter, bool add = false) {
    Ledger& ledger = context.state<Ledger>();
    const Shape y = conv2d_shape(x, o), f = filter_shape(o);
    Choice choice = ledger.choose ? ledger.choose(element_name<T>(), direction, x, o, add)
                                  : Choice{"", ledger.workspace_budget, {}, 0};
    const Bytes workspace({1, 1, 1, std::int64_t(choice.workspace)}, context);
    const auto room = [&](std::size_t bytes) { return Bytes({1, 1, 1, std::int64_t(bytes)}, context); };
    std::shared_ptr<Storage<Plan>> form;
    const bool narrow = sizeof(T) < sizeof(Accumulate<T>) && !choice.form;
    const std::uint64_t key = narrow_key + std::uint64_t(f.c - filter.shape().c);
    const auto in_16_bits = [&] { return room(std::size_t(f.size()) * sizeof(T)).storage(); };
    if (narrow && direction == Direction::to_filter)
        hold(ledger, in_16_bits());
    else if (narrow && !filter.storage()->copy(key) && filter.storage()->copy().first)
        form = in_16_bits();  // another kind is kept
    else if (narrow && !filter.storage()->copy(key))
        filter.storage()->new_copy(key, [&] {
            const Lasting lasting;
            return in_16_bits();
        });
    else if (choice.form && choice.form->bytes)
        form = filter.storage()->form(choice.form->number, [&] { return room(choice.form->bytes).storage(); });
    const Bytes aside = room(choice.aside);
    ledger.note(direction == Direction::forward    ? "conv2d"
                : direction == Direction::to_input ? "conv2d_backward_input"
                                                   : "conv2d_backward_filter",
                x, y, 2.0 * double(y.size()) * double(f.h * f.w * filter.shape().c),
                double(x.size() + y.size() + f.size()) * sizeof(T), std::move(choice));
}

}  // namespace plan

template <> class DeferredGradients<Plan> {
 public:
    explicit DeferredGradients(Context<Plan>& context) : ledger_(context.state<plan::Ledger>()) { ++ledger_.waiting; }
    ~DeferredGradients() {
        if (--ledger_.waiting == 0) finish();
    }
    DeferredGradients(const DeferredGradients&) = delete;
    DeferredGradients& operator=(const DeferredGradients&) = delete;
    void finish() {
        ledger_.pending.clear();
        ledger_.pending_bytes = 0;
    }

 private:
    plan::Ledger& ledger_;
};
inline void finish_gradients(Context<Plan>& context) {
    auto& ledger = context.state<plan::Ledger>();
    ledger.pending.clear();
    ledger.pending_bytes = 0;
}
inline bool keeps_filter_forms(Context<Plan>& context) { return !context.state<plan::Ledger>().on_gpu; }

template <Element T>
Tensor<T, Plan> pad_for_conv2d(Context<Plan>& context, const Tensor<T, Plan>& x, const Conv2dOptions& o) {
    const Shape s = x.shape();
    static_cast<void>(conv2d_shape(s, o));
    const int channels = context.state<plan::Ledger>().on_gpu ? gpu::padded_channels<T>(o.in) : o.in;
    if (channels == o.in) return x;
    Tensor<T, Plan> padded({s.n, s.h, s.w, channels}, context);
    plan::note(context, "pad_channels", s, padded.shape(), plan::traffic(x, padded));
    return padded;
}
template <Element T>
Tensor<T, Plan> conv2d(Context<Plan>& context, const Tensor<T, Plan>& x, const Tensor<Accumulate<T>, Plan>& filter,
                       const Tensor<Accumulate<T>, Plan>* bias, const Conv2dOptions& o) {
    const auto at = gpu::padded_conv2d<T>(x.shape(), o);
    Tensor<T, Plan> y(expects_conv2d(at.image, filter, bias, o), context);
    plan::convolve<T>(context, Direction::forward, x.shape(), at.options, filter);
    if (bias) plan::note(context, "bias", y.shape(), y.shape(), 2 * plan::traffic(y));
    return y;
}
template <Element T>
Tensor<T, Plan> conv2d_relu(Context<Plan>& context, const Tensor<T, Plan>& x, const Tensor<Accumulate<T>, Plan>& filter,
                            const Tensor<Accumulate<T>, Plan>* bias, const Conv2dOptions& o) {
    const auto at = gpu::padded_conv2d<T>(x.shape(), o);
    Tensor<T, Plan> y(expects_conv2d(at.image, filter, bias, o), context);
    plan::convolve<T>(context, Direction::forward, x.shape(), at.options, filter);
    plan::note(context, "bias_relu", y.shape(), y.shape(), 2 * plan::traffic(y));
    return y;
}
template <Element T>
void conv2d_relu_backward(Context<Plan>& context, const Tensor<T, Plan>& y, const Tensor<T, Plan>& dy,
                          Tensor<T, Plan>& masked, Tensor<Accumulate<T>, Plan>* dbias, Gradient) {
    expects_conv2d_relu(y, dy, masked, dbias);
    const auto scratch = dbias ? plan::sums_of(context, y, gpu::bias_sums) : plan::Bytes();
    plan::note(context, "bias_relu_backward", y.shape(), y.shape(), plan::traffic(y, dy, masked));
}
template <Element T>
void conv2d_backward_input(Context<Plan>& context, const Tensor<T, Plan>& dy, const Tensor<Accumulate<T>, Plan>& filter,
                           const Conv2dOptions& o, Tensor<T, Plan>& dx, Gradient mode) {
    expects_conv2d_gradient("conv2d_backward_input", dx.shape(), dy.shape(), filter.shape(), o);
    plan::convolve<T>(context, Direction::to_input, dx.shape(), o, filter, mode == Gradient::add);
    if (mode == Gradient::add) plan::note(context, "beta", dx.shape(), dx.shape(), plan::traffic(dx));
}
template <Element T>
void conv2d_backward_filter(Context<Plan>& context, const Tensor<T, Plan>& x, const Tensor<T, Plan>& dy,
                            const Conv2dOptions& o, Tensor<Accumulate<T>, Plan>& dfilter, Gradient mode) {
    const auto at = gpu::padded_conv2d<T>(x.shape(), o);
    expects_conv2d_gradient("conv2d_backward_filter", at.image, dy.shape(), dfilter.shape(), o);
    plan::convolve<T>(context, Direction::to_filter, x.shape(), at.options, dfilter, mode == Gradient::add);
}

}  // namespace holon::op
