// op/plan/plan.hpp: every op of `Plan`: the shapes, the refusals and the memory of `Gpu`, and no numbers.
#pragma once
#include <initializer_list>
#include <span>

#include <holon/op/gpu/columns.hpp>
#include <holon/op/gpu/padding.hpp>
#include <holon/op/plan/ledger.hpp>
#include <holon/tensor/make.hpp>

namespace holon::op {

namespace plan {

/// Bytes of one pass over tensors.
template <class... T> double traffic(const T&... tensors) {
    return (double(std::size_t(tensors.size()) * sizeof(typename T::element)) + ... + 0.0);
}

/// Writes down an op that reads and writes `bytes`.
inline void note(Context<Plan>& context, const char* op, const Shape& image, const Shape& result, double bytes,
                 double flops = 0) {
    context.state<Ledger>().note(op, image, result, flops, bytes);
}

using Bytes = Tensor<std::uint8_t, Plan>;

/// The partial sums that a GPU keeps while it sums over the rows of an image.
template <Element T> Bytes sums_of(Context<Plan>& context, const Tensor<T, Plan>& x, gpu::SumsKept kept) {
    const Ledger& ledger = context.state<Ledger>();
    const Shape s = x.shape();
    return Bytes({1, 1, 1,
                  ledger.on_gpu ? 4 * gpu::sums_scratch<T>(ledger.multiprocessors, s.rows(), s.c, kept) : 0},
                 context);
}

/// The mask of the ReLU that gave y.
template <Element T> ReluMask<T, Plan> mask_of(Context<Plan>& context, const Tensor<T, Plan>& y) {
    if (!context.state<Ledger>().on_gpu) return {y, {}};
    return {{}, Bytes(ReluMask<T, Plan>::bits_shape(y.shape()), context)};
}

/// The type of the copies of parameters: this, and the channels of zeros that were added to them.
constexpr std::uint64_t narrow_key = 1;

/// Keeps a gradient in 16 bits until it is widened with others, as on a GPU; see op::gpu_detail::PendingGradients.
inline void hold(Ledger& ledger, const std::shared_ptr<Storage<Plan>>& gradient) {
    constexpr std::size_t most_bytes = std::size_t(32) << 20;
    if (ledger.waiting == 0) return;
    ledger.pending.push_back(gradient);
    ledger.pending_bytes += gradient->bytes();
    if (ledger.pending_bytes < most_bytes) return;
    ledger.pending.clear();
    ledger.pending_bytes = 0;
}

/// An optimizer writes a parameter, and its copy with it; returns the copy's bytes.
template <Element A> double step_value(Tensor<A, Plan>& value) {
    Storage<Plan>& storage = *value.storage();
    const auto [copy, type] = storage.copy();
    storage.written();
    if (!copy) return 0;
    storage.copy_written();
    return double(copy->bytes());
}

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
template <Element T>
void channel_sum(Context<Plan>& context, const Tensor<T, Plan>& dy, Tensor<Accumulate<T>, Plan>& out, Gradient) {
    expects_channels("channel_sum", dy.shape(), out);
    const auto scratch = plan::sums_of(context, dy, gpu::bias_sums);
    plan::note(context, "channel_sum", dy.shape(), out.shape(), plan::traffic(dy));
}

template <Element T>
Tensor<T, Plan> linear(Context<Plan>& context, const Tensor<T, Plan>& x, const Tensor<Accumulate<T>, Plan>& weight,
                       const Tensor<Accumulate<T>, Plan>* bias) {
    const Shape s = x.shape(), w = weight.shape();
    expects_matrix("linear", s, w);
    if (bias) expects(bias->shape() == vector_shape(w.n), "linear: bias ", bias->shape(), " for ", w.n, " outputs");
    Tensor<T, Plan> y({s.n, s.h, s.w, w.n}, context);
    plan::note(context, "linear", s, y.shape(), plan::traffic(x, y, weight), 2.0 * double(y.size()) * double(s.c));
    return y;
}
template <Element T>
void linear_backward_input(Context<Plan>& context, const Tensor<T, Plan>& dy, const Tensor<Accumulate<T>, Plan>& weight,
                           Tensor<T, Plan>& dx, Gradient) {
    expects_linear_gradient("linear_backward_input", dx.shape(), dy.shape(), weight.shape());
    plan::note(context, "linear_backward_input", dx.shape(), dy.shape(), plan::traffic(dy, dx, weight),
               2.0 * double(dy.size()) * double(dx.shape().c));
}
template <Element T>
void linear_backward_weight(Context<Plan>& context, const Tensor<T, Plan>& x, const Tensor<T, Plan>& dy,
                            Tensor<Accumulate<T>, Plan>& dweight, Gradient) {
    expects_linear_gradient("linear_backward_weight", x.shape(), dy.shape(), dweight.shape());
    plan::note(context, "linear_backward_weight", x.shape(), dy.shape(), plan::traffic(dy, x, dweight),
               2.0 * double(dy.size()) * double(x.shape().c));
}

template <Element T>
BatchStatistics<Accumulate<T>, Plan> batch_statistics(Context<Plan>& context, const Tensor<T, Plan>& x, double,
                                                      const RunningStatistics<Accumulate<T>, Plan>& running) {
    using A = Accumulate<T>;
    expects_batch_statistics(x, running);
    const auto scratch = plan::sums_of(context, x, gpu::moment_sums);
    const Shape vector = vector_shape(x.shape().c);
    plan::note(context, "batch_statistics", x.shape(), vector, plan::traffic(x));
    return {Tensor<A, Plan>(vector, context), Tensor<A, Plan>(vector, context)};
}
template <Element A>
Tensor<A, Plan> inverse_deviation(Context<Plan>& context, const Tensor<A, Plan>& variance, double) {
    return Tensor<A, Plan>(variance.shape(), context);
}
template <Element T>
BatchNormed<T, Plan> batch_norm(Context<Plan>& context, const Tensor<T, Plan>& x, const Tensor<T, Plan>* residual,
                                const Normalization<Accumulate<T>, Plan>& normal, bool, bool masked) {
    expects_batch_norm("batch_norm", x, residual, normal);
    BatchNormed<T, Plan> out{Tensor<T, Plan>(x.shape(), context), {}};
    if (masked) out.mask = plan::mask_of(context, out.y);
    plan::note(context, "batch_norm", x.shape(), out.y.shape(),
               plan::traffic(x, out.y) + (residual ? plan::traffic(*residual) : 0) +
                   (out.mask.bits ? plan::traffic(out.mask.bits) : 0));
    return out;
}
template <Element T>
void batch_norm_backward(Context<Plan>& context, const Tensor<T, Plan>& x, const ReluMask<T, Plan>* mask,
                         const Tensor<T, Plan>& dy, const Normalization<Accumulate<T>, Plan>& normal, bool, bool batch,
                         BatchNormGradients<T, Plan> wanted) {
    expects_batch_norm("batch_norm_backward", x, static_cast<const Tensor<T, Plan>*>(nullptr), normal);
    expects_batch_norm_gradients("batch_norm_backward", x, mask, dy, wanted);
    const auto scratch = plan::sums_of(context, x, gpu::gradient_sums);
    const bool sums = wanted.weight || wanted.bias || (wanted.x && batch);
    // The pass that sums leaves the masked gradient, so that the pass that writes reads it in the place of dy and mask.
    const bool kept = sums && mask && wanted.residual && wanted.to_residual == Gradient::assign;
    const double image = plan::traffic(x, dy),
                 masked = !mask ? 0 : mask->bits ? plan::traffic(mask->bits) : plan::traffic(mask->y);
    double bytes = sums ? image + masked : 0;
    if (wanted.x || (wanted.residual && !kept)) bytes += image + (kept ? 0 : masked);
    if (wanted.x) bytes += plan::traffic(*wanted.x) * (wanted.to_x == Gradient::add ? 2 : 1);
    if (wanted.residual) bytes += plan::traffic(*wanted.residual) * (wanted.to_residual == Gradient::add ? 2 : 1);
    plan::note(context, "batch_norm_backward", x.shape(), x.shape(), bytes);
}

template <Element T>
BatchNormed<T, Plan> batch_norm_pair(Context<Plan>& context, const Tensor<T, Plan>& x,
                                     const Normalization<Accumulate<T>, Plan>& normal, const Tensor<T, Plan>& residual,
                                     const Normalization<Accumulate<T>, Plan>& residual_normal, bool masked) {
    expects_batch_norm("batch_norm_pair", x, &residual, normal);
    expects_batch_norm("batch_norm_pair", residual, &x, residual_normal);
    BatchNormed<T, Plan> out{Tensor<T, Plan>(x.shape(), context), {}};
    if (masked) out.mask = plan::mask_of(context, out.y);
    plan::note(context, "batch_norm_pair", x.shape(), out.y.shape(),
               plan::traffic(x, residual, out.y) + (out.mask.bits ? plan::traffic(out.mask.bits) : 0));
    return out;
}
template <Element T>
void batch_norm_pair_backward(Context<Plan>& context, const Tensor<T, Plan>& x,
                              const Normalization<Accumulate<T>, Plan>& normal, const Tensor<T, Plan>& residual,
                              const Normalization<Accumulate<T>, Plan>& residual_normal, const ReluMask<T, Plan>& mask,
                              const Tensor<T, Plan>& dy, bool batch, BatchNormGradients<T, Plan> wanted,
                              BatchNormGradients<T, Plan> residual_wanted) {
    expects_batch_norm_pair_backward(x, normal, residual, residual_normal, mask, dy, wanted, residual_wanted);
    const auto scratch = plan::sums_of(context, x, gpu::pair_gradient_sums);
    const double read = plan::traffic(x, residual, dy) + (mask.bits ? plan::traffic(mask.bits) : plan::traffic(mask.y));
    double bytes = wanted.x || residual_wanted.x ? read : 0;
    for (const auto* side : {&wanted, &residual_wanted})
        if (side->x) bytes += plan::traffic(*side->x) * (side->to_x == Gradient::add ? 2 : 1);
    const bool sums = wanted.weight || wanted.bias || residual_wanted.weight || residual_wanted.bias ||
                      (batch && (wanted.x || residual_wanted.x));
    plan::note(context, "batch_norm_pair_backward", x.shape(), x.shape(), bytes + (sums ? read : 0));
}

template <Element T> Tensor<T, Plan> relu(Context<Plan>& context, const Tensor<T, Plan>& x) {
    Tensor<T, Plan> y(x.shape(), context);
    plan::note(context, "relu", x.shape(), y.shape(), plan::traffic(x, y));
    return y;
}
template <Element T>
void relu_backward(Context<Plan>& context, const Tensor<T, Plan>& y, const Tensor<T, Plan>& dy, Tensor<T, Plan>& dx,
                   Gradient) {
    expects_same("relu_backward", y, dy);
    expects_same("relu_backward", y, dx);
    plan::note(context, "relu_backward", y.shape(), dx.shape(), plan::traffic(y, dy, dx));
}
template <Element T> Tensor<T, Plan> add(Context<Plan>& context, const Tensor<T, Plan>& a, const Tensor<T, Plan>& b) {
    expects_same("add", a, b);
    Tensor<T, Plan> y(a.shape(), context);
    plan::note(context, "add", a.shape(), y.shape(), plan::traffic(a, b, y));
    return y;
}
template <Element T> void accumulate(Context<Plan>& context, const Tensor<T, Plan>& from, Tensor<T, Plan>& into) {
    expects_same("accumulate", from, into);
    plan::note(context, "accumulate", from.shape(), into.shape(), plan::traffic(from, into, into));
}
template <Element T> void scale(Context<Plan>& context, Tensor<T, Plan>& x, double) {
    plan::note(context, "scale", x.shape(), x.shape(), plan::traffic(x, x));
}
template <Element To, Element From> Tensor<To, Plan> convert(Context<Plan>& context, const Tensor<From, Plan>& x) {
    if constexpr (std::same_as<To, From>) {
        return x;
    } else {
        Tensor<To, Plan> y(x.shape(), context);
        plan::note(context, "convert", x.shape(), y.shape(), plan::traffic(x, y));
        return y;
    }
}

template <Element T>
MaxPooled<T, Plan> max_pool2d(Context<Plan>& context, const Tensor<T, Plan>& x, const Pool2dOptions& o) {
    const Shape t = pool2d_shape(x.shape(), o);
    expects_taps(o);
    MaxPooled<T, Plan> out{Tensor<T, Plan>(t, context), Tensor<std::uint8_t, Plan>(t, context)};
    plan::note(context, "max_pool2d", x.shape(), t, plan::traffic(x, out.y, out.place));
    return out;
}
template <Element T>
void max_pool2d_backward(Context<Plan>& context, const Tensor<T, Plan>& dy, const Tensor<std::uint8_t, Plan>& place,
                         const Pool2dOptions& o, Tensor<T, Plan>& dx, Gradient) {
    expects_pooled("max_pool2d_backward", dx.shape(), dy.shape(), o);
    expects_places(dy.shape(), place.shape());
    plan::note(context, "max_pool2d_backward", dx.shape(), dy.shape(), plan::traffic(dy, place, dx));
}
template <Element T>
Tensor<T, Plan> average_pool2d(Context<Plan>& context, const Tensor<T, Plan>& x, const Pool2dOptions& o) {
    Tensor<T, Plan> y(pool2d_shape(x.shape(), o), context);
    plan::note(context, "average_pool2d", x.shape(), y.shape(), plan::traffic(x, y));
    return y;
}
template <Element T>
void average_pool2d_backward(Context<Plan>& context, const Tensor<T, Plan>& dy, const Pool2dOptions& o,
                             Tensor<T, Plan>& dx, Gradient) {
    expects_pooled("average_pool2d_backward", dx.shape(), dy.shape(), o);
    plan::note(context, "average_pool2d_backward", dx.shape(), dy.shape(), plan::traffic(dy, dx));
}
template <Element T> Tensor<T, Plan> global_average(Context<Plan>& context, const Tensor<T, Plan>& x) {
    const Shape s = x.shape();
    expects(s.h * s.w > 0, "global_average: no positions in ", s);
    Tensor<T, Plan> y({s.n, 1, 1, s.c}, context);
    plan::note(context, "global_average", s, y.shape(), plan::traffic(x, y));
    return y;
}
template <Element T>
void global_average_backward(Context<Plan>& context, const Tensor<T, Plan>& dy, Tensor<T, Plan>& dx, Gradient) {
    expects_averaged(dx.shape(), dy.shape());
    plan::note(context, "global_average_backward", dx.shape(), dy.shape(), plan::traffic(dy, dx));
}

template <Element T> Tensor<T, Plan> softmax(Context<Plan>& context, const Tensor<T, Plan>& x) {
    expects(x.shape().c > 0, "softmax: no channels in ", x.shape());
    Tensor<T, Plan> y(x.shape(), context);
    plan::note(context, "softmax", x.shape(), y.shape(), plan::traffic(x, y));
    return y;
}
template <Element T>
void softmax_backward(Context<Plan>& context, const Tensor<T, Plan>& y, const Tensor<T, Plan>& dy, Tensor<T, Plan>& dx,
                      Gradient) {
    expects_same("softmax_backward", y, dy);
    expects_same("softmax_backward", y, dx);
    plan::note(context, "softmax_backward", y.shape(), dx.shape(), plan::traffic(y, dy, dx));
}
template <Element A>
Tensor<A, Plan> cross_entropy(Context<Plan>& context, const Tensor<A, Plan>& logits, std::span<const int> labels,
                              std::span<const float> weights) {
    expects_labels(logits.shape(), labels, weights);
    return Tensor<A, Plan>({1, 1, 1, 1}, context);
}
template <Element A>
void cross_entropy_backward(Context<Plan>&, const Tensor<A, Plan>& logits, std::span<const int> labels,
                            std::span<const float> weights, const Tensor<A, Plan>&, Tensor<A, Plan>& dlogits,
                            Gradient) {
    expects_labels(logits.shape(), labels, weights);
    expects_same("cross_entropy_backward", logits, dlogits);
}

template <Element T>
Tensor<T, Plan> dropout(Context<Plan>& context, const Tensor<T, Plan>& x, const DropoutMask& mask) {
    expects_rate(mask);
    Tensor<T, Plan> y(x.shape(), context);
    plan::note(context, "dropout", x.shape(), y.shape(), plan::traffic(x, y));
    return y;
}
template <Element T>
void dropout_backward(Context<Plan>& context, const Tensor<T, Plan>& dy, const DropoutMask& mask, Tensor<T, Plan>& dx,
                      Gradient) {
    expects_rate(mask);
    expects_same("dropout_backward", dy, dx);
    plan::note(context, "dropout_backward", dy.shape(), dx.shape(), plan::traffic(dy, dx));
}
template <Element T>
Tensor<T, Plan> affine_warp(Context<Plan>& context, const Tensor<T, Plan>& x, std::span<const Warp> warps,
                            const WarpOptions& o) {
    const Shape s = x.shape();
    expects_warp(s, warps, o);
    Tensor<T, Plan> y({s.n, s.h, s.w, o.channels}, context);
    plan::note(context, "affine_warp", s, y.shape(), plan::traffic(x, y));
    return y;
}
template <Element T>
void affine_warp_backward(Context<Plan>& context, const Tensor<T, Plan>& x, const Tensor<T, Plan>& dy,
                          std::span<const Warp> warps, const WarpOptions& o, Tensor<T, Plan>& dx, Gradient) {
    expects_warp(x.shape(), warps, o);
    expects_warp_gradient(x.shape(), dy.shape(), dx.shape(), o);
    plan::note(context, "affine_warp_backward", dx.shape(), dy.shape(), plan::traffic(x, dy, dx));
}

template <Element A>
void adam(Context<Plan>& context, std::span<const AdamOperand<A, Plan>> operands, const AdamStep& o) {
    expects_step(o);
    double bytes = 0;
    for (const auto& p : operands) {
        expects_operand(p);
        bytes += 7 * plan::traffic(*p.value);  // gradient read; value and moments read and written
        bytes += plan::step_value(*p.value);
    }
    plan::note(context, "adam", {}, {}, bytes);
}
template <Element A> void sgd(Context<Plan>& context, std::span<const SgdOperand<A, Plan>> operands, const SgdStep& o) {
    double bytes = 0;
    for (const auto& p : operands) {
        expects_operand(p, o.momentum);
        bytes += (p.velocity ? 5 : 3) * plan::traffic(*p.value) + plan::step_value(*p.value);
    }
    plan::note(context, "sgd", {}, {}, bytes);
}
/// A plan has no numbers: 0.
template <Element T> double squared_norm(Context<Plan>& context, const Tensor<T, Plan>& x) {
    plan::note(context, "squared_norm", x.shape(), {}, plan::traffic(x));
    return 0;
}
template <Element T> double squared_norm(Context<Plan>& context, std::span<const Tensor<T, Plan>* const> all) {
    for (const Tensor<T, Plan>* x : all) squared_norm(context, *x);
    return 0;
}
/// A plan has no numbers, so none that is not finite.
template <Element T> bool all_finite(Context<Plan>& context, const Tensor<T, Plan>& x) {
    plan::note(context, "all_finite", x.shape(), {}, plan::traffic(x));
    return true;
}

}  // namespace holon::op
