// optim/sgd.hpp: steepest descent with momentum.
#pragma once
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
    template <class Net> void step(Net& net, double gradient_scale = 1) { take(Members(net), nullptr, gradient_scale); }
    template <class Net> void step(Net& net, const Tensor<A, D>& scale) { take(Members(net), &scale, 1); }
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
    void take(const Members<A, D>& members, const Tensor<A, D>* scale, double gradient_scale);
};

template <class A, Device D>
void Sgd<A, D>::take(const Members<A, D>& members, const Tensor<A, D>* scale, double gradient_scale) {
    std::vector<op::SgdOperand<A, D>> operands;
    std::list<detail::Pace> paces;
    Context<D>* context = nullptr;
    Visitor<A, D> visit;
    visit.on_parameter = [&](const std::string& name, Parameter<A, D>& p) {
        if (p.frozen() || !p.gradient()) return;
        context = &p.value().context();
        Tensor<A, D>* velocity = nullptr;
        if (options.momentum != 0) {
            const auto [place, fresh] = velocities.try_emplace(name);
            if (fresh) place->second = detail::first_moment<A>(p.shape(), *context);
            velocity = &place->second;
        }
        operands.push_back({&p.gradient(), &p.writable(), velocity, 0});
        paces.push_back({name, p.decays});
    };
    members.tell(visit);
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

}  // namespace holon
