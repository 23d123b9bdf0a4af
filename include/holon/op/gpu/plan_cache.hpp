// op/gpu/plan_cache.hpp: cuDNN in a context's stream, and the convolutions it has planned, the latest used kept.
#pragma once
#include <list>
#include <map>
#include <memory>
#include <tuple>

#include <holon/op/gpu/convolution.hpp>
#include <holon/op/gpu/queue.hpp>
#include <holon/op/gpu/settings.hpp>

namespace holon::gpu {

/// cuDNN's handle. Throws `DeviceError` where the library that runs is older than the one compiled against.
class Dnn {
 public:
    explicit Dnn(Context<Gpu>& context) {
        const std::size_t runs = cudnnGetVersion();
        if (runs < CUDNN_VERSION)
            throw DeviceError(text("cuDNN ", cudnn_version_text(), " runs, but this was built with ", CUDNN_MAJOR, '.',
                                   CUDNN_MINOR, '.', CUDNN_PATCHLEVEL,
                                   "; put the newer one first in LD_LIBRARY_PATH, or build against the older"));
        expects_cudnn(cudnnCreate(&handle_), "starting");
        expects_cudnn(cudnnSetStream(handle_, context.stream()), "choosing the stream");
    }
    ~Dnn() { cudnnDestroy(handle_); }
    Dnn(const Dnn&) = delete;
    Dnn& operator=(const Dnn&) = delete;
    cudnnHandle_t handle() const { return handle_; }

 private:
    cudnnHandle_t handle_ = nullptr;
};

/// Plans of convolutions by what they compute. Image sizes that never come back do not pile up.
class PlanCache {
 public:
    static constexpr std::size_t capacity = 512;

    explicit PlanCache(Context<Gpu>& context)
        : context_(context), dnn_(context), target_{dnn_.handle(), nullptr, context.card().name} {}

    cudnnHandle_t handle() const { return dnn_.handle(); }

    /// The plan of this convolution, made if need be: the first of `candidates` or, if there are more, the one for
    /// which `seconds(plan)` is least.
    template <class Seconds>
    std::shared_ptr<const ConvolutionPlan> find(const Convolution& what, const Settings& settings,
                                                const Seconds& seconds) {
        const std::int64_t budget = settings.workspace_budget;
        const std::size_t candidates = std::size_t(std::max(1, settings.timed_engines));
        const Key key{int(what.direction), int(what.type), what.x.n,      what.x.h, what.x.w,  what.x.c,
                      what.options,        what.add,       what.numerics, budget,   candidates};
        if (const auto known = places_.find(key); known != places_.end()) {
            ++hits;
            plans_.splice(plans_.begin(), plans_, known->second);
            return plans_.front().second;
        }
        context_.expects_live("a convolution is planned");
        ++misses;
        std::vector<ConvolutionPlan> offered = plan_convolutions(target_, what, budget, candidates);
        std::size_t best = 0;
        double least = 0;
        for (std::size_t i = 0; i < offered.size() && offered.size() > 1; ++i) {
            const double took = seconds(offered[i]);
            if (i == 0 || took < least) best = i, least = took;
        }
        auto plan = std::make_shared<const ConvolutionPlan>(std::move(offered[best]));
        plans_.emplace_front(key, plan);
        places_[key] = plans_.begin();
        if (plans_.size() > capacity) {
            places_.erase(plans_.back().first);
            plans_.pop_back();
            ++evictions;
        }
        return plan;
    }
    const Target& target() const { return target_; }
    std::size_t size() const { return plans_.size(); }

    std::uint64_t hits = 0, misses = 0, evictions = 0;

 private:
    using Key = std::tuple<int, int, std::int64_t, std::int64_t, std::int64_t, std::int64_t, Conv2dOptions, bool,
                           Numerics, std::int64_t, std::size_t>;
    using Plans = std::list<std::pair<Key, std::shared_ptr<const ConvolutionPlan>>>;
    Context<Gpu>& context_;
    Dnn dnn_;
    Target target_;
    Plans plans_;
    std::map<Key, Plans::iterator> places_;
};

}  // namespace holon::gpu
