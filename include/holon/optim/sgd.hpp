// optim/sgd.hpp: steepest descent with momentum.
#pragma once
#include <deque>

#include <holon/optim/optimizer.hpp>

namespace holon {

struct SgdOptions {
    double rate = 1e-2;
    double momentum = 0;
    bool nesterov = false;
    Decay decay = {};
    std::vector<ParameterGroup> groups = {};
};

/// Formula: `op::SgdStep`. Frozen parameters and those without a gradient stand still.
template <class A, Device D> class Sgd {
 public:
    explicit Sgd(SgdOptions o) : options(std::move(o)) {}

    /// As `Adam::step`, both.
    template <class Net> void step(Net& net, double gradient_scale = 1) { take(net, nullptr, gradient_scale); }
    template <class Net> void step(Net& net, const Tensor<A, D>& scale) { take(net, &scale, 1); }
    /// The last step was left out.
    void take_back() { --steps; }

    /// Calls on(tensor) for each velocity.
    template <class On> void each_moment(const On& on) const {
        for (const auto& [name, velocity] : velocities) on(velocity);
    }

    SgdOptions options;
    std::int64_t steps = 0;
    std::map<std::string, Tensor<A, D>> velocities;

 private:
    template <class Net> void take(Net& net, const Tensor<A, D>* scale, double gradient_scale) {
        std::vector<op::SgdOperand<A, D>> operands;
        std::deque<Tensor<A, D>> values;  // operands point into it
        std::vector<detail::Pace> paces;
        Context<D>* context = nullptr;
        VisitorFor<Net> visit;
        visit.on_parameter = [&](const std::string& name, Parameter<A, D>& p) {
            if (p.frozen() || !p.gradient()) return;
            context = &p.value().context();
            Tensor<A, D>* velocity = nullptr;
            if (options.momentum != 0) {
                const auto [place, fresh] = velocities.try_emplace(name);
                if (fresh) place->second = detail::first_moment<A>(p.shape(), *context);
                velocity = &place->second;
            }
            values.push_back(p.writable());
            operands.push_back({&p.gradient(), &values.back(), velocity, 0});
            paces.push_back({name, p.decays});
        };
        visit(std::string_view(), net);
        const auto now = [this, paces = std::move(paces), gradient_scale](std::span<op::Rates> rates) {
            ++steps;
            detail::pace(options, paces, rates);
            return op::SgdStep{options.momentum, options.nesterov, gradient_scale};
        };
        if (context)
            op::sgd(*context, std::move(operands), now, scale);
        else
            now({});
        detail::lap("sgd", Pass::step);
    }
};

}  // namespace holon
