// op/gpu/conv2d.hpp: convolution through cuDNN's plans, in all three directions.
#pragma once
#include <optional>

#include <holon/op/gpu/batch_norm.hpp>
#include <holon/op/gpu/narrow.hpp>
#include <holon/op/gpu/plan_run.hpp>

namespace holon::op {

namespace gpu_detail {

/// Times plans of a convolution over operands that are made when the first is timed.
template <Element T> class LazyTimer {
 public:
    LazyTimer(Context<Gpu>& context, const Shape& x, const Conv2dOptions& o) : context_(context), x_(x), options_(o) {}
    ~LazyTimer() {
        if (timer_) context_.outside_rehearsal([&] { return timer_.reset(), 0; });
    }
    LazyTimer(const LazyTimer&) = delete;
    LazyTimer& operator=(const LazyTimer&) = delete;

    double operator()(const gpu::ConvolutionPlan& plan) {
        return with_timer([&](PlanTimer<T>& timer) { return timer(plan); });
    }
    /// Calls time(timer) and gives back what it gives.
    template <class Time> double with_timer(const Time& time) {
        return context_.outside_rehearsal([&] {
            if (!timer_) timer_.emplace(context_, x_, options_);
            return time(*timer_);
        });
    }

 private:
    Context<Gpu>& context_;
    Shape x_;
    Conv2dOptions options_;
    std::optional<PlanTimer<T>> timer_;
};

template <Element T>
std::shared_ptr<const gpu::ConvolutionPlan> plan_of(Context<Gpu>& context, Direction direction, const Shape& x,
                                                    const Conv2dOptions& o, bool add) {
    const auto& settings = context.state<gpu::Settings>();
    LazyTimer<T> timer(context, x, o);
    auto plan = context.state<gpu::PlanCache>().find({direction, gpu::cudnn_type<T>(), x, o, add, settings.numerics},
                                                     settings, [&](const auto& offered) { return timer(offered); });
    if (context.recording()) context.recording()->keep(plan);  // its kernels may be its own
    return plan;
}

/// The plan that gives the sums of the result too; null where there is none, or where convolution and sums take less time
/// one after the other.
template <Element T>
std::shared_ptr<const gpu::ConvolutionPlan> plan_with_sums(Context<Gpu>& context, const Shape& x, const Conv2dOptions& o) {
    const auto& settings = context.state<gpu::Settings>();
    LazyTimer<T> timer(context, x, o);
    const auto apart = [&] {
        const auto alone = plan_of<T>(context, Direction::forward, x, o, false);
        return timer(*alone) + timer.with_timer([&](PlanTimer<T>& made) {
            auto mean = scratch<float>(context, o.out), variance = scratch<float>(context, o.out);
            return seconds_a_run(context, [&] { batch_statistics(context, made.result(), 1e-5, {&mean, &variance}); });
        });
    };
    auto plan = context.state<gpu::PlanCache>().find_with_sums(
        {Direction::forward, gpu::cudnn_type<T>(), x, o, false, settings.numerics, true}, settings,
        [&](const auto& offered) { return timer(offered); }, apart);
    if (plan && context.recording()) context.recording()->keep(plan);
    return plan;
}

/// Runs one direction; which of the three is written is the direction's.
template <Element T>
void convolve(Context<Gpu>& context, Direction direction, const Shape& shape, const Conv2dOptions& o, bool add,
              const T* x, const T* filter, const T* y) {
    run_plan(context, *plan_of<T>(context, direction, shape, o, add), x, filter, y);
}

}  // namespace gpu_detail

/// Which of cuDNN's engines computes a direction of this convolution.
template <Element T>
std::string conv2d_implementation(Context<Gpu>& context, const Shape& x, const Conv2dOptions& o, Direction direction) {
    return gpu_detail::plan_of<T>(context, direction, x, o, false)->engine;
}

/// x as a convolution by `o` and its filter's gradient take it: where cuDNN would pad its channels in each of them, it is
/// padded here, once for both.
template <Element T>
Tensor<T, Gpu> pad_for_conv2d(Context<Gpu>& context, const Tensor<T, Gpu>& x, const Conv2dOptions& o) {
    const Shape s = x.shape();
    static_cast<void>(conv2d_shape(s, o));  // refuses what is no such image, with or without padding
    if constexpr (gpu::pads_channels<T>) {
        if (const int channels = gpu::padded_channels<T>(o.in); channels != o.in) {
            Tensor<T, Gpu> padded({s.n, s.h, s.w, channels}, context);
            gpu::pad_channels(gpu_detail::queue(context), s.rows(), o.in, x.data(), padded.data());
            return padded;
        }
    }
    return x;
}

namespace gpu_detail {
template <Element T>
Tensor<T, Gpu> convolved(Context<Gpu>& context, const Tensor<T, Gpu>& x, const Tensor<float, Gpu>& filter,
                         const Tensor<float, Gpu>* bias, const Conv2dOptions& o, bool relu) {
    const auto at = gpu::padded_conv2d<T>(x.shape(), o);
    Tensor<T, Gpu> y(expects_conv2d(at.image, filter, bias, o), context);
    if (y.size() == 0) return y;
    const Narrowed<T> narrow(context, filter, at.options.in);
    convolve<T>(context, Direction::forward, x.shape(), at.options, false, x.data(), narrow.data(), y.data());
    if (bias)
        gpu::add_bias(queue(context), y.shape().rows(), o.out, bias->data(), relu, y.data());
    else if (relu)
        gpu::relu(queue(context), y.size(), std::as_const(y).data(), y.data());
    return y;
}
}  // namespace gpu_detail

/// x has o.in channels, or is what `pad_for_conv2d` gave; here, in `conv2d_relu` and in `conv2d_backward_filter`.
template <Element T>
Tensor<T, Gpu> conv2d(Context<Gpu>& context, const Tensor<T, Gpu>& x, const Tensor<float, Gpu>& filter,
                      const Tensor<float, Gpu>* bias, const Conv2dOptions& o) {
    return gpu_detail::convolved(context, x, filter, bias, o, false);
}
/// Bias and ReLU are one pass over y.
template <Element T>
Tensor<T, Gpu> conv2d_relu(Context<Gpu>& context, const Tensor<T, Gpu>& x, const Tensor<float, Gpu>& filter,
                           const Tensor<float, Gpu>* bias, const Conv2dOptions& o) {
    return gpu_detail::convolved(context, x, filter, bias, o, true);
}
/// 16-bit types alone: of float, sums that are not taken from a level would lose what float has.
template <Element T> inline constexpr bool convolves_with_sums<T, Gpu> = sizeof(T) == 2;

/// The convolution and the sums of its result's channels from one kernel, where engines are timed and that is faster; else
/// nothing, and nothing has been computed.
template <Element T>
std::optional<ConvolvedWithSums<T, Gpu>> conv2d_with_sums(Context<Gpu>& context, const Tensor<T, Gpu>& x,
                                                          const Tensor<float, Gpu>& filter, const Conv2dOptions& o) {
    const auto at = gpu::padded_conv2d<T>(x.shape(), o);
    const Shape s = expects_conv2d(at.image, filter, static_cast<const Tensor<float, Gpu>*>(nullptr), o);
    if (s.size() == 0) return {};
    const auto plan = gpu_detail::plan_with_sums<T>(context, x.shape(), at.options);
    if (!plan) return {};
    ConvolvedWithSums<T, Gpu> out{Tensor<T, Gpu>(s, context),
                                  {gpu_detail::scratch<float>(context, s.c), gpu_detail::scratch<float>(context, s.c)}};
    const gpu_detail::Narrowed<T> narrow(context, filter, at.options.in);
    gpu_detail::run_plan(context, *plan, x.data(), narrow.data(), out.y.data(), {out.sums.sum.data(), out.sums.squares.data()});
    return out;
}
template <Element T>
void conv2d_relu_backward(Context<Gpu>& context, const Tensor<T, Gpu>& y, const Tensor<T, Gpu>& dy,
                          Tensor<T, Gpu>& masked, Tensor<float, Gpu>* dbias, Gradient mode) {
    expects_conv2d_relu(y, dy, masked, dbias);
    if (!dbias || y.size() == 0) {
        if (dbias && mode == Gradient::assign) context.clear(dbias->data(), std::size_t(dbias->size()) * sizeof(float));
        gpu::relu_backward(gpu_detail::queue(context), y.size(), y.data(), dy.data(), masked.data(), false);
        return;
    }
    gpu_detail::Summing<T> sums(context, "conv2d_relu_backward", y.shape(), gpu::bias_sums);
    gpu::bias_relu_backward(sums.queue, sums.rows, sums.channels, y.data(), dy.data(), masked.data(), sums.scratch.data(),
                            dbias->data(), gpu_detail::adds(mode));
}

template <Element T>
void conv2d_backward_input(Context<Gpu>& context, const Tensor<T, Gpu>& dy, const Tensor<float, Gpu>& filter,
                           const Conv2dOptions& o, Tensor<T, Gpu>& dx, Gradient mode) {
    expects_conv2d_gradient("conv2d_backward_input", dx.shape(), dy.shape(), filter.shape(), o);
    if (dx.size() == 0) return;
    const gpu_detail::Narrowed<T> narrow(context, filter);
    gpu_detail::convolve<T>(context, Direction::to_input, dx.shape(), o, gpu_detail::adds(mode), dx.data(),
                            narrow.data(), dy.data());
}

/// cuDNN gives 16-bit filter gradients for 16-bit images: they join the float ones outside.
template <Element T>
void conv2d_backward_filter(Context<Gpu>& context, const Tensor<T, Gpu>& x, const Tensor<T, Gpu>& dy,
                            const Conv2dOptions& o, Tensor<float, Gpu>& dfilter, Gradient mode) {
    const auto at = gpu::padded_conv2d<T>(x.shape(), o);
    expects_conv2d_gradient("conv2d_backward_filter", at.image, dy.shape(), dfilter.shape(), o);
    if (x.size() == 0) {
        if (mode == Gradient::assign) context.clear(dfilter.data(), std::size_t(dfilter.size()) * sizeof(float));
        return;
    }
    if constexpr (std::same_as<T, float>) {
        gpu_detail::convolve<T>(context, Direction::to_filter, x.shape(), o, gpu_detail::adds(mode), x.data(),
                                dfilter.data(), dy.data());
    } else {
        Tensor<T, Gpu> narrow(filter_shape(at.options), context);
        gpu_detail::convolve<T>(context, Direction::to_filter, x.shape(), at.options, false, x.data(), narrow.data(),
                                dy.data());
        context.state<gpu_detail::PendingGradients>().add(std::as_const(narrow), dfilter, mode);
    }
}

}  // namespace holon::op
