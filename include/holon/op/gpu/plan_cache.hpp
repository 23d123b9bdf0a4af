// op/gpu/plan_cache.hpp: cuDNN in a context's stream, and the convolutions it has planned, the latest used kept.
#pragma once
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <tuple>

#include <holon/op/gpu/choices.hpp>
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

    /// The plan of this convolution, made if need be: the one that was remembered, else the first of `candidates` or,
    /// if there are more, the one for which `seconds(plan)` is least.
    template <class Seconds>
    std::shared_ptr<const ConvolutionPlan> find(const Convolution& what, const Settings& settings,
                                                const Seconds& seconds) {
        return kept(what, settings, [&](std::int64_t budget, std::size_t candidates) {
            auto plan = as_remembered(what, budget);
            return plan ? plan : chosen(plan_convolutions(target_, what, budget, candidates), seconds).plan;
        });
    }

    /// The plan of a convolution that gives the sums of its result too, if it was remembered or, where engines are timed,
    /// the fastest takes less than `apart()` seconds, which is what convolution and sums take one after the other; else null.
    template <class Seconds, class Apart>
    std::shared_ptr<const ConvolutionPlan> find_with_sums(const Convolution& what, const Settings& settings,
                                                          const Seconds& seconds, const Apart& apart) {
        if (settings.timed_engines <= 1 && !remembered_.contains(key_of(what))) return nullptr;
        return kept(what, settings, [&](std::int64_t budget, std::size_t candidates) -> std::shared_ptr<const ConvolutionPlan> {
            const auto found = remembered_.find(key_of(what));
            if (found != remembered_.end() && found->second == not_used) return nullptr;
            if (auto plan = as_remembered(what, budget)) return plan;
            if (candidates == 1) return nullptr;
            std::vector<ConvolutionPlan> offered;
            try {
                offered = plan_convolutions(target_, what, budget, candidates);
            } catch (const DeviceError&) {
                return nullptr;  // many cards and types have none
            }
            const Chosen fastest = chosen(std::move(offered), seconds);
            return fastest.seconds < apart() ? fastest.plan : nullptr;
        });
    }

    /// Text that `remember` takes: which engines the convolutions that are kept run on, and those remembered that were
    /// not asked for yet.
    std::string choices() const { return format_choices(good_for(), choices_); }
    /// From here on convolutions take the engines of such text, and none of them is chosen or timed again. Engines that
    /// were chosen on another card or by another cuDNN are left alone; says why then, else nothing. Throws `DataError`
    /// for what is no such text.
    std::string remember(const std::string& lines) {
        const std::string first_line = lines.substr(0, lines.find('\n'));
        if (first_line != good_for())
            return text("convolution engines are chosen anew: those stored are for (", first_line, "), here is (",
                        good_for(), ')');
        remembered_ = parse_choices(lines);
        choices_ = remembered_;
        plans_.clear();
        places_.clear();
        return {};
    }
    /// Told of engines that were remembered and cannot be had, and of those chosen that do not use tensor cores.
    std::function<void(const std::string&)> say;

    const Target& target() const { return target_; }
    std::size_t size() const { return plans_.size(); }

    /// `remembered` are those misses whose engine had been chosen before.
    std::uint64_t hits = 0, misses = 0, evictions = 0, remembered = 0;

 private:
    std::string good_for() const {
        const auto& card = context_.card();
        return choices_are_for(card.name, card.capability, card.multiprocessors);
    }
    std::shared_ptr<const ConvolutionPlan> as_remembered(const Convolution& what, std::int64_t budget) {
        const auto found = remembered_.find(key_of(what));
        if (found == remembered_.end()) return nullptr;
        try {
            auto plan = std::make_shared<const ConvolutionPlan>(plan_convolution(target_, what, budget, found->second));
            ++remembered;
            return plan;
        } catch (const DeviceError& error) {
            if (say)
                say(text("a convolution's engine is chosen anew, because the one stored cannot be had: ",
                         error.what()));
            remembered_.erase(found);
            return nullptr;
        }
    }
    struct Chosen {
        std::shared_ptr<const ConvolutionPlan> plan;
        double seconds = 0;  ///< not asked of one that is offered alone, unless it gives sums
    };
    template <class Seconds> Chosen chosen(std::vector<ConvolutionPlan> offered, const Seconds& seconds) {
        std::size_t best = 0;
        double least = 0;
        for (std::size_t i = 0; i < offered.size() && (offered.size() > 1 || offered[0].sums); ++i) {
            const double took = seconds(offered[i]);
            if (i == 0 || took < least) best = i, least = took;
        }
        if (say && !offered[best].note.empty()) say(offered[best].note);
        return {std::make_shared<const ConvolutionPlan>(std::move(offered[best])), least};
    }
    /// What is kept for a convolution, else what `choose(budget, candidates)` gives, which is kept; it may be null.
    template <class Choose>
    std::shared_ptr<const ConvolutionPlan> kept(const Convolution& what, const Settings& settings, const Choose& choose) {
        const std::int64_t budget = settings.workspace_budget;
        const std::size_t candidates = std::size_t(std::max(1, settings.timed_engines));
        const Key key{key_of(what), budget, candidates};
        if (const auto known = places_.find(key); known != places_.end()) {
            ++hits;
            plans_.splice(plans_.begin(), plans_, known->second);
            return plans_.front().second;
        }
        context_.expects_live("a convolution is planned");
        ++misses;
        auto plan = choose(budget, candidates);
        if (plan || candidates > 1) choices_.insert_or_assign(key_of(what), plan ? plan->choice : not_used);
        plans_.emplace_front(key, plan);
        places_[key] = plans_.begin();
        if (plans_.size() > capacity) {
            choices_.erase(std::get<0>(plans_.back().first));
            places_.erase(plans_.back().first);
            plans_.pop_back();
            ++evictions;
        }
        return plan;
    }
    /// The choice of no engine: convolution and sums one after the other.
    static inline const EngineChoice not_used{};

    using Key = std::tuple<ConvolutionKey, std::int64_t, std::size_t>;
    using Plans = std::list<std::pair<Key, std::shared_ptr<const ConvolutionPlan>>>;
    Context<Gpu>& context_;
    Dnn dnn_;
    Target target_;
    Plans plans_;
    std::map<Key, Plans::iterator> places_;
    Choices choices_, remembered_;
};

}  // namespace holon::gpu
