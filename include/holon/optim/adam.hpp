// optim/adam.hpp: Adam with its moments kept by name; time belongs to the step.
#pragma once
#include <holon/optim/optimizer.hpp>

namespace holon {

struct AdamOptions {
    double rate = 1e-3;
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
    Decay decay = {};
    std::vector<ParameterGroup> groups = {};
};

/// Kingma and Ba 2015 (formula: `op::AdamStep`). Frozen parameters and those without a gradient stand still and keep no
/// moments.
template <class A, Device D> class Adam {
 public:
    explicit Adam(AdamOptions o) : options(std::move(o)) {}

    /// Makes the moments of every learning parameter, so that already the first step needs all the memory of later
    /// ones.
    template <class Net> void prepare(Net& net) {
        VisitorFor<Net> visit;
        visit.on_parameter = [&](const std::string& name, Parameter<A, D>& p) {
            if (!p.frozen()) moments_of(name, p);
        };
        Members(net).tell(visit);
    }

    /// Moves every learning parameter of `net` one step along its gradient, times `gradient_scale` (which takes back a
    /// scaled loss).
    template <class Net> void step(Net& net, double gradient_scale = 1) { take(Members(net), nullptr, gradient_scale); }
    /// The same by `op::step_scale`'s answer. A step that it leaves out counts all the same, until `take_back`.
    template <class Net> void step(Net& net, const Tensor<A, D>& scale) { take(Members(net), &scale, 1); }
    /// The last step was left out.
    void take_back() { --steps; }

    struct Moments {
        Tensor<A, D> first, second;
    };

    /// Calls on(tensor) for each moment.
    template <class On> void each_moment(const On& on) const {
        for (const auto& [name, m] : moments) on(m.first), on(m.second);
    }

    AdamOptions options;
    std::int64_t steps = 0;
    std::map<std::string, Moments> moments;

 private:
    Moments& moments_of(const std::string& name, const Parameter<A, D>& p);
    void take(const Members<A, D>& members, const Tensor<A, D>* scale, double gradient_scale);
};

template <class A, Device D>
typename Adam<A, D>::Moments& Adam<A, D>::moments_of(const std::string& name, const Parameter<A, D>& p) {
    auto [place, fresh] = moments.try_emplace(name);
    if (fresh) {
        place->second.first = detail::first_moment<A>(p.shape(), p.value().context());
        place->second.second = detail::first_moment<A>(p.shape(), p.value().context());
    }
    return place->second;
}

template <class A, Device D>
void Adam<A, D>::take(const Members<A, D>& members, const Tensor<A, D>* scale, double gradient_scale) {
    std::vector<op::AdamOperand<A, D>> operands;
    std::list<detail::Pace> paces;
    Context<D>* context = nullptr;
    Visitor<A, D> visit;
    visit.on_parameter = [&](const std::string& name, Parameter<A, D>& p) {
        if (p.frozen() || !p.gradient()) return;
        context = &p.value().context();
        Moments& at = moments_of(name, p);
        operands.push_back({&p.gradient(), &p.writable(), &at.first, &at.second, 0});
        paces.push_back({name, p.decays});
    };
    members.tell(visit);
    const auto now = [this, paces = std::move(paces), gradient_scale](std::span<op::Rates> rates) {
        ++steps;
        detail::pace(options, paces, rates);
        return op::AdamStep{options.beta1, options.beta2, options.epsilon, steps, gradient_scale};
    };
    if (context)
        op::adam(*context, std::move(operands), now, scale);
    else
        now({});
    detail::lap("adam", Pass::step);
}

/// The Adam for a network's parameters.
template <class Net>
Adam<Accumulate<typename Net::element>, typename Net::device> make_adam(const Net&, AdamOptions options) {
    return Adam<Accumulate<typename Net::element>, typename Net::device>(std::move(options));
}

}  // namespace holon
