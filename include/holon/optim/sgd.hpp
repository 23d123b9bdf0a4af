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
template <class A, Device D>
class Sgd {
 public:
    explicit Sgd(SgdOptions o) : options(std::move(o)) {}

    /// As `Adam::step`.
    template <class Net>
    void step(Net& net, double gradient_scale = 1) {
        ++steps;
        VisitorFor<Net> visit;
        visit.on_parameter = [&](const std::string& name, Parameter<A, D>& p) {
            if (p.frozen() || !p.gradient()) return;
            Context<D>& context = p.value().context();
            Tensor<A, D>* velocity = nullptr;
            if (options.momentum != 0) {
                auto [place, fresh] = velocities.try_emplace(name);
                if (fresh) {
                    const Lasting lasting;
                    place->second = zeros<A, D>(p.shape(), context);
                }
                velocity = &place->second;
            }
            Tensor<A, D> value = p.writable();
            const op::SgdOperand<A, D> operand{&p.gradient(), &value, velocity,
                                               options.rate * detail::rate_factor(options.groups, name),
                                               p.decays ? 2 * options.decay.l2 : 0,
                                               p.decays ? options.decay.decoupled : 0};
            op::sgd(context, std::span<const op::SgdOperand<A, D>>(&operand, 1),
                    {options.momentum, options.nesterov, gradient_scale});
        };
        visit(std::string_view(), net);
        detail::lap("sgd", Pass::step);
    }

    SgdOptions options;
    std::int64_t steps = 0;
    std::map<std::string, Tensor<A, D>> velocities;
};

}  // namespace holon
