// optim/captured_step.hpp: a whole training step, recorded once as a CUDA graph and launched again where all that it
// stands on is as it was. On other devices, and where it cannot be recorded, the step is simply run.
#pragma once
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include <holon/optim/optimizer.hpp>

namespace holon {

struct CapturedStepOptions {
    bool recorded = true;                         ///< false: every step is run op by op
    std::size_t kept = 4;                         ///< recordings; the least recently launched goes first
    std::function<void(const std::string&)> say;  ///< told once each: that a step was recorded, and why one was not
};

namespace gpu {
struct Settings;
}

namespace detail {

/// What a recorded step stands on, word by word: places, shapes and switches. Where all are as they were when the step
/// was recorded, launching the recording does what the step would do.
class StepKey {
 public:
    StepKey& add(std::uint64_t word) {
        words_.push_back(word);
        return *this;
    }
    StepKey& add(const void* place) { return add(std::uint64_t(reinterpret_cast<std::uintptr_t>(place))); }
    template <std::integral N> StepKey& add(N number) { return add(std::uint64_t(number)); }
    template <class T, Device D> StepKey& add(const Tensor<T, D>& x) {
        const Shape& s = x.shape();
        return add(static_cast<const void*>(x.data())).add(s.n).add(s.h).add(s.w).add(s.c);
    }
    template <class T, Device D> StepKey& add(const Variable<T, D>& x) { return add(x.value()); }
    template <std::same_as<Gpu> D> StepKey& add(const op::Targets<D>& targets) {
        return add(targets.size()).add(targets.classes()).add(targets.labels()).add(targets.weights());
    }
    template <std::same_as<Gpu> D> StepKey& add(const op::Warps<D>& warps) {
        return add(warps.size()).add(warps.images()).add(warps.shifted());
    }
    template <std::same_as<gpu::Settings> S> StepKey& add(const S& settings) {
        return add(settings.numerics.tf32)
            .add(settings.numerics.deterministic)
            .add(settings.workspace_budget)
            .add(settings.timed_engines);
    }
    friend bool operator==(const StepKey&, const StepKey&) = default;

 private:
    std::vector<std::uint64_t> words_;
};

/// A device's recorded steps; most devices have none.
template <Device D> struct Recorded {
    struct Need {};
    struct Recording {};
};
#ifdef HOLON_CUDA
template <> struct Recorded<Gpu> {
    using Need = gpu::RecordingNeed;
    using Recording = gpu::Recording;
};
#endif

}  // namespace detail

/// Runs a training step again and again. On a GPU the first run of a kind is a rehearsal, the second is recorded, and
/// from there on the recording is launched: one call instead of hundreds, with the same bits as result. A change of the
/// inputs' places or shapes, of what is frozen or has a gradient, of batch norm's switches, of the optimizer, of the
/// recompute policy or of `gpu::Settings` makes it another kind, and old ones are kept for their return.
///
/// What the step reads on the host it reads when it is recorded. What changes from step to step comes by the inputs,
/// which the caller writes over before each run, or is asked for before each launch: dropout's masks, the optimizer's
/// options and count, `provided` tensors. `Result` holds tensors that the step makes; they are good until the next run.
/// Network, optimizer and whatever `provided` asks must stay where they are, and outlive this.
///
/// Recordings keep memory of their own, within the context's limit; they give it back when something else needs it.
template <class Net, class Result> class CapturedStep {
    using A = Accumulate<typename Net::element>;
    using D = typename Net::device;

 public:
    explicit CapturedStep(Net& net, CapturedStepOptions options = {}, Context<D>& context = default_context<D>())
        : net_(net), options_(std::move(options)), context_(context) {
        if constexpr (on_gpu) spare_ = context.memory().ask_on_shortage([this] { return give_back(); });
    }
    ~CapturedStep() {
        forget();
        if constexpr (on_gpu) context_.memory().forget(spare_);
    }
    CapturedStep(const CapturedStep&) = delete;
    CapturedStep& operator=(const CapturedStep&) = delete;

    /// One step: what `step()`, which gives a `Result`, would do. `inputs`, a tuple, are all that it reads from outside
    /// of network and optimizer: tensors, `op::Targets`, `op::Warps`, and whole numbers that decide what it does. A
    /// step that throws while it is recorded is run instead, and throws again there if it was not the recording's
    /// fault: so it must do nothing on the host that may not be done twice.
    template <class Optimizer, class... Inputs, class Step>
    const Result& run([[maybe_unused]] const Optimizer& optimizer, [[maybe_unused]] const std::tuple<Inputs...>& inputs,
                      const Step& step) {
        if constexpr (on_gpu) {
            if (options_.recorded && !detail::policy().check_finite && !detail::policy().profiler)
                return run_on_gpu(optimizer, inputs, step);
        }
        ++runs_;
        return result_ = step();
    }

    /// Steps that were run op by op, recorded, and launched.
    std::uint64_t runs() const { return runs_; }
    std::uint64_t recordings() const { return recordings_; }
    std::uint64_t launches() const { return launches_; }

    /// Kernels, copies and fills of the recording that was launched last; 0 before there was one.
    std::uint64_t nodes() const { return nodes_; }

    /// Drops all recordings and results, and with them their memory.
    void forget() {
        kinds_.clear();
        result_ = {};
    }

 private:
    static constexpr bool on_gpu = std::same_as<D, Gpu>;

    struct Kind {
        detail::StepKey key;
        std::optional<typename detail::Recorded<D>::Need> need;
        Result result;
        std::vector<Tensor<A, D>> gradients;  // that parameters have after the step
        std::vector<bool> copied;             // whose copies in 16 bits are as new as they after the step
        std::unique_ptr<typename detail::Recorded<D>::Recording> recording;
        bool refused = false;
    };

    template <class Optimizer, class... Inputs, class Step>
    const Result& run_on_gpu(const Optimizer& optimizer, const std::tuple<Inputs...>& inputs, const Step& step) {
        std::vector<Parameter<A, D>*> parameters;
        Kind& kind = find(key(optimizer, inputs, parameters));
        if (!kind.recording && kind.need && !kind.refused) record(kind, parameters, step);
        if (kind.recording) {
            kind.recording->launch();
            for (std::size_t i = 0; i < parameters.size(); ++i) {
                parameters[i]->set_gradient(kind.gradients[i]);
                if (kind.copied[i]) parameters[i]->value().storage()->copy_written();
            }
            ++launches_;
            nodes_ = kind.recording->nodes();
            return kind.result;
        }
        ++runs_;
        result_ = {};
        if (kind.refused)
            result_ = step();
        else
            kind.need = context_.rehearse([&] { result_ = step(); });
        return result_;
    }

    template <class Step> void record(Kind& kind, const std::vector<Parameter<A, D>*>& parameters, const Step& step) {
        std::vector<Tensor<A, D>> before;
        for (const auto* p : parameters) before.push_back(p->gradient());
        const auto refuse = [&](const char* why) {
            kind.result = {};
            kind.gradients.clear();
            kind.refused = true;
            for (std::size_t i = 0; i < parameters.size(); ++i) {
                parameters[i]->set_gradient(before[i]);
                parameters[i]->value().storage()->forget_copy();  // it counts as written, but nothing ran
            }
            say(text("a training step is run op by op, because it could not be recorded: ", why));
        };
        try {
            result_ = {};
            kind.recording = context_.record(*kind.need, [&] { kind.result = step(); });
        } catch (const std::exception& error) {
            return refuse(error.what());
        }
        kind.copied.clear();
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            kind.copied.push_back(parameters[i]->value().storage()->copy().first);
            kind.gradients.push_back(parameters[i]->gradient());
            parameters[i]->set_gradient(before[i]);
        }
        ++recordings_;
        say("training steps are recorded, and launched as one CUDA graph each");
    }

    template <class Optimizer, class... Inputs>
    detail::StepKey key(const Optimizer& optimizer, const std::tuple<Inputs...>& inputs,
                        std::vector<Parameter<A, D>*>& parameters) {
        detail::StepKey key;
        key.add(context_.template state<gpu::Settings>());
        key.add(static_cast<const void*>(&optimizer)).add(int(detail::policy().recompute)).add(detail::policy().record);
        std::apply([&](const auto&... input) { (key.add(input), ...); }, inputs);
        VisitorFor<Net> visit;
        visit.on_parameter = [&](const std::string&, Parameter<A, D>& p) {
            parameters.push_back(&p);
            const auto [copy, type] = p.value().storage()->copy();
            key.add(p.value().data()).add(p.gradient().data()).add(p.frozen()).add(p.decays);
            key.add(copy ? copy->data() : nullptr).add(type);
        };
        visit.on_state = [&](const std::string&, State<A, D>& s) { key.add(s.value().data()); };
        visit.on_random = [&](const std::string&, Random& random) { key.add(static_cast<const void*>(&random)); };
        visit.on_statistics = [&](const std::string&, FollowsStatistics& s) { key.add(int(s.statistics)); };
        visit(std::string_view(), net_);
        optimizer.each_moment([&](const Tensor<A, D>& moment) { key.add(moment.data()); });
        return key;
    }

    Kind& find(detail::StepKey key) {
        for (auto kind = kinds_.begin(); kind != kinds_.end(); ++kind)
            if (kind->key == key) {
                kinds_.splice(kinds_.begin(), kinds_, kind);
                return kinds_.front();
            }
        kinds_.emplace_front();
        kinds_.front().key = std::move(key);
        if (kinds_.size() > options_.kept) kinds_.pop_back();
        return kinds_.front();
    }

    /// True if there were recordings. What they need is known, so the next step of their kind records them again.
    bool give_back() {
        bool any = false;
        for (Kind& kind : kinds_) {
            if (!kind.recording) continue;
            any = true;
            kind.result = {};
            kind.gradients.clear();
            kind.recording.reset();
        }
        if (any) say("recorded training steps gave their memory back, because something else needed it");
        return any;
    }

    void say(const std::string& sentence) {
        if (options_.say && said_.insert(sentence).second) options_.say(sentence);
    }

    std::list<Kind> kinds_;
    std::set<std::string> said_;
    int spare_ = 0;
    Net& net_;
    CapturedStepOptions options_;
    Context<D>& context_;
    Result result_{};
    std::uint64_t runs_ = 0, recordings_ = 0, launches_ = 0, nodes_ = 0;
};

}  // namespace holon
