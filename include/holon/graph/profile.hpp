// graph/profile.hpp: where a step's time goes, op by op and layer by layer, and what work was done in it.
#pragma once
#include <chrono>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include <holon/core/scope.hpp>
#include <holon/graph/policy.hpp>
#include <holon/op/op.hpp>

namespace holon {

/// Sums over steps of one op of one layer in one pass. Time is a processor's or a card's; arithmetic and traffic are a
/// plan's (see `op::plan::Entry`).
struct ProfileRow {
    std::string layer, op;
    Pass pass = Pass::forward;
    std::int64_t calls = 0;
    double seconds = 0, flops = 0, bytes = 0;
};

namespace detail {

/// Marks on a device's own clock, read together.
template <Device D> class Marks;

template <> class Marks<Cpu> {
 public:
    explicit Marks(Context<Cpu>&) {}
    void mark() { at_.push_back(std::chrono::steady_clock::now()); }
    /// Adds to `rows[i]` what lies between marks i and i + 1; forgets the marks.
    void read(std::vector<ProfileRow>& rows) {
        for (std::size_t i = 0; i < rows.size(); ++i)
            rows[i].seconds += std::chrono::duration<double>(at_[i + 1] - at_[i]).count();
        at_.clear();
    }

 private:
    std::vector<std::chrono::steady_clock::time_point> at_;
};

/// A plan takes no time: its marks tell how much work was written down.
template <> class Marks<Plan> {
 public:
    explicit Marks(Context<Plan>& context) : ledger_(context.state<op::plan::Ledger>()) {}
    void mark() { at_.push_back(ledger_.entries.size()); }
    void read(std::vector<ProfileRow>& rows) {
        for (std::size_t i = 0; i < rows.size(); ++i)
            for (std::size_t e = at_[i]; e < at_[i + 1]; ++e) {
                rows[i].flops += ledger_.entries[e].flops;
                rows[i].bytes += ledger_.entries[e].bytes;
            }
        at_.clear();
    }

 private:
    op::plan::Ledger& ledger_;
    std::vector<std::size_t> at_;
};

#ifdef HOLON_CUDA
/// Events in the stream: the card goes on without a stop until they are read.
template <> class Marks<Gpu> {
 public:
    explicit Marks(Context<Gpu>& context) : stream_(context.stream()) {}
    ~Marks() {
        for (const cudaEvent_t event : events_) cudaEventDestroy(event);
    }
    Marks(const Marks&) = delete;
    Marks& operator=(const Marks&) = delete;

    void mark() {
        if (marked_ == events_.size()) {
            events_.push_back(nullptr);
            gpu::expects_cuda(cudaEventCreate(&events_.back()), "making an event");
        }
        gpu::expects_cuda(cudaEventRecord(events_[marked_++], stream_), "recording an event");
    }
    void read(std::vector<ProfileRow>& rows) {
        gpu::expects_cuda(cudaEventSynchronize(events_[marked_ - 1]), "waiting for the card");
        for (std::size_t i = 0; i < rows.size(); ++i) {
            float milliseconds = 0;
            gpu::expects_cuda(cudaEventElapsedTime(&milliseconds, events_[i], events_[i + 1]), "reading the clock");
            rows[i].seconds += double(milliseconds) * 1e-3;
        }
        marked_ = 0;
    }

 private:
    cudaStream_t stream_;
    std::vector<cudaEvent_t> events_;
    std::size_t marked_ = 0;
};
#endif

}  // namespace detail

/// While it lives, the ops of this thread between `start` and `stop` are measured on `context`'s device: all the time
/// of a step, each stretch given to the op that ended it. On a card by events, so that nothing waits before `stop`.
template <Device D> class Profile final : public Profiler {
 public:
    explicit Profile(Context<D>& context = default_context<D>())
        : marks_(context), before_(std::exchange(detail::policy().profiler, this)) {}
    ~Profile() { detail::policy().profiler = before_; }
    Profile(const Profile&) = delete;
    Profile& operator=(const Profile&) = delete;

    /// A step begins.
    void start() {
        running_ = true;
        marks_.mark();
    }
    void lap(const char* op, Pass pass) override {
        if (!running_) return;
        ++laps_;
        marks_.mark();
        step_.push_back({Scope::current(), op, pass, 1});
    }
    /// The step is over; what was done since the last op is `rest`. Waits for the card.
    void stop() {
        lap("rest", Pass::step);
        running_ = false;
        marks_.read(step_);
        for (const ProfileRow& row : step_) add(row);
        step_.clear();
        ++steps_;
    }

    /// In the order of first appearance.
    const std::vector<ProfileRow>& rows() const { return rows_; }
    std::int64_t steps() const { return steps_; }

    /// Takes arithmetic and traffic of each step from a plan of the same step.
    void take_work(const Profile<Plan>& plan) requires(!std::same_as<D, Plan>) {
        for (const ProfileRow& row : plan.rows()) {
            const auto found = places_.find({row.layer, row.op, row.pass});
            if (found == places_.end()) continue;
            rows_[found->second].flops = row.flops / double(plan.steps()) * double(steps_);
            rows_[found->second].bytes = row.bytes / double(plan.steps()) * double(steps_);
        }
    }

 private:
    void add(const ProfileRow& row) {
        const auto [place, fresh] = places_.try_emplace({row.layer, row.op, row.pass}, rows_.size());
        if (fresh) rows_.push_back({row.layer, row.op, row.pass});
        ProfileRow& sum = rows_[place->second];
        sum.calls += row.calls, sum.seconds += row.seconds, sum.flops += row.flops, sum.bytes += row.bytes;
    }

    detail::Marks<D> marks_;
    Profiler* before_;
    bool running_ = false;
    std::vector<ProfileRow> step_, rows_;
    std::map<std::tuple<std::string, std::string, Pass>, std::size_t> places_;
    std::int64_t steps_ = 0;
};

}  // namespace holon
