// op/gpu/plan_run.hpp: cuDNN's plans run, and timed.
#pragma once
#include <algorithm>
#include <array>
#include <vector>

#include <holon/core/random.hpp>
#include <holon/op/gpu/plan_cache.hpp>

namespace holon::op::gpu_detail {

/// Where a plan that gives sums writes them: for each channel of the result.
struct SumsOfResult {
    float *sum = nullptr, *squares = nullptr;
};

/// A plan over an image, a filter and a result, of which it writes one, with its workspace: ready to run, often if need be.
class PlanRun {
 public:
    PlanRun(Context<Gpu>& context, const gpu::ConvolutionPlan& plan, const void* x, const void* filter, const void* y,
            SumsOfResult sums = {})
        : handle_(context.state<gpu::PlanCache>().handle()),
          plan_(plan),
          workspace_(scratch<std::uint8_t>(context, plan.workspace)),
          pack_(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR) {
        const std::array<std::int64_t, 5> ids{gpu::detail::image_id, gpu::detail::filter_id, gpu::detail::result_id,
                                              gpu::detail::sum_id, gpu::detail::squares_id};
        const std::array<const void*, 5> pointers{x, filter, y, sums.sum, sums.squares};
        const std::size_t tensors = plan.sums ? 5 : 3;
        const void* const room = workspace_.data();
        pack_.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, std::span<const std::int64_t>(ids.data(), tensors));
        pack_.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
                  std::span<const void* const>(pointers.data(), tensors));
        pack_.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, std::span<const void* const>(&room, 1));
        pack_ = std::move(pack_).finalize();
    }
    void operator()() const {
        gpu::expects_cudnn(cudnnBackendExecute(handle_, plan_.plan.raw(), pack_.raw()), "running a convolution");
    }

 private:
    cudnnHandle_t handle_;
    const gpu::ConvolutionPlan& plan_;
    Tensor<std::uint8_t, Gpu> workspace_;
    gpu::Descriptor pack_;
};

inline void run_plan(Context<Gpu>& context, const gpu::ConvolutionPlan& plan, const void* x, const void* filter,
                     const void* y, SumsOfResult sums = {}) {
    PlanRun(context, plan, x, filter, y, sums)();
}

/// Seconds a run, the least of three times ten without a wait between them: so the host's part of a launch, which is as
/// long as a small kernel, is hidden as it is in a step.
template <class Run> double seconds_a_run(Context<Gpu>& context, const Run& run) {
    constexpr int runs = 10;
    gpu::Stopwatch watch(context.stream());
    run();
    double least = 0;
    for (int round = 0; round < 3; ++round) {
        watch.start();
        for (int i = 0; i < runs; ++i) run();
        const double took = watch.stop() / runs;
        least = round == 0 ? took : std::min(least, took);
    }
    return least;
}

/// Elements between -1 and 1 that differ: over zeros a card runs faster, for it draws less power. A block of random numbers
/// is drawn here and repeated on the card.
template <Element T> Tensor<T, Gpu> noise(Context<Gpu>& context, const Shape& shape, std::uint64_t seed = 1) {
    Tensor<T, Gpu> out(shape, context);
    const std::int64_t block = std::min<std::int64_t>(shape.size(), std::int64_t(1) << 18);
    std::vector<T> drawn;
    Random random(seed);
    for (std::int64_t i = 0; i < block; ++i) drawn.push_back(T(float(random.uniform(-1, 1))));
    T* const at = out.data();
    if (block) context.upload(at, drawn.data(), std::size_t(block) * sizeof(T));
    for (std::int64_t filled = block; filled < shape.size();) {
        const std::int64_t more = std::min(filled, shape.size() - filled);
        context.copy(at + filled, at, std::size_t(more) * sizeof(T));
        filled += more;
    }
    return out;
}

/// Times plans of one convolution over the same random operands.
template <Element T> class PlanTimer {
 public:
    PlanTimer(Context<Gpu>& context, const Shape& x, const Conv2dOptions& o)
        : context_(context),
          image_(noise<T>(context, x)),
          filter_(noise<T>(context, filter_shape(o))),
          result_(noise<T>(context, conv2d_shape(x, o))),
          sums_(scratch<float>(context, 2 * std::int64_t(o.out))) {}

    double operator()(const gpu::ConvolutionPlan& plan) {
        const PlanRun run(context_, plan, image_.data(), filter_.data(), result_.data(),
                          {sums_.data(), sums_.data() + sums_.size() / 2});
        return seconds_a_run(context_, run);
    }
    const Tensor<T, Gpu>& result() const { return result_; }

 private:
    Context<Gpu>& context_;
    Tensor<T, Gpu> image_, filter_, result_;
    Tensor<float, Gpu> sums_;
};

}  // namespace holon::op::gpu_detail
