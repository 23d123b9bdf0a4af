// optim/optimizer.hpp: what optimizers share: which parameters move, how fast, and how their state is named.
#pragma once
#include <cmath>
#include <list>
#include <map>
#include <string>
#include <vector>

#include <holon/layer/freeze.hpp>

namespace holon {

/// Parameters under `prefix` step at `rate_factor` times the rate. The longest prefix that fits decides.
struct ParameterGroup {
    std::string prefix;
    double rate_factor = 1;
};

/// How weights are pulled to zero, and which: those whose layers marked them (`Parameter::decays`).
struct Decay {
    double l2 = 0;  ///< lambda of a penalty lambda * sum(w^2) in the loss: 2 lambda w joins the gradient (coupled)
    double decoupled = 0;  ///< value -= rate * decoupled * value, beside the gradient (Loshchilov and Hutter 2019)
};

namespace detail {
inline double rate_factor(const std::vector<ParameterGroup>& groups, const std::string& name) {
    double factor = 1;
    std::size_t longest = 0;
    for (const ParameterGroup& group : groups)
        if (under(name, group.prefix) && group.prefix.size() >= longest) {
            longest = group.prefix.size();
            factor = group.rate_factor;
        }
    return factor;
}

/// What a parameter's rates follow from, besides the options.
struct Pace {
    std::string name;
    bool decays;
};
/// Rates of one step by the options as they are now.
template <class Options> void pace(const Options& options, const std::list<Pace>& paces, std::span<op::Rates> rates) {
    std::size_t i = 0;
    for (const Pace& p : paces)
        rates[i++] = {options.rate * rate_factor(options.groups, p.name), p.decays ? 2 * options.decay.l2 : 0,
                      p.decays ? options.decay.decoupled : 0};
}

/// Zeros that stay with an optimizer. A recording would make zeros of them again at each launch.
template <class A, Device D> Tensor<A, D> first_moment(const Shape& shape, Context<D>& context) {
    if constexpr (std::same_as<D, Gpu>) context.expects_live("an optimizer's moments are made");
    const Lasting lasting;
    return zeros<A, D>(shape, context);
}

template <class Net> using GradientOf = Tensor<Accumulate<typename Net::element>, typename Net::device>;

/// The gradients that a network's parameters have.
template <class Net> std::vector<const GradientOf<Net>*> gradients_of(Net& net) {
    std::vector<const GradientOf<Net>*> all;
    VisitorFor<Net> visit;
    visit.on_parameter = [&](const std::string&, auto& p) {
        if (p.gradient()) all.push_back(&p.gradient());
    };
    Members(net).tell(visit);
    return all;
}
}  // namespace detail

/// The L2 norm over all gradients of a network, in double.
template <class Net> double gradient_norm(Net& net) {
    const auto all = detail::gradients_of(net);
    if (all.empty()) return 0;
    return std::sqrt(op::squared_norm(all.front()->context(), std::span<const detail::GradientOf<Net>* const>(all)));
}

/// Decides on the device how the gradients at hand are taken, without waiting for it: see `op::step_scale`, whose
/// answer goes to an optimizer's `step`. A step is left out where `loss` is not finite, or, if `by_norm`, where their
/// norm is not; only with `by_norm` can the limit clip.
template <class Net>
detail::GradientOf<Net> step_scale(Net& net, const detail::GradientOf<Net>& loss, bool by_norm,
                                   const op::LimitNow& limit) {
    std::vector<const detail::GradientOf<Net>*> gradients;
    if (by_norm) gradients = detail::gradients_of(net);
    return op::step_scale(loss.context(), std::span<const detail::GradientOf<Net>* const>(gradients), &loss, limit);
}

/// Scales all gradients so that their common norm is at most `limit`; returns the norm before.
template <class Net> double clip_gradients(Net& net, double limit) {
    expects(limit > 0, "clip_gradients: the limit ", limit, " must be above 0");
    const double norm = gradient_norm(net);
    if (norm > limit) {
        VisitorFor<Net> visit;
        visit.on_parameter = [&](const std::string&, auto& p) {
            if (!p.gradient()) return;
            auto g = p.writable_gradient();
            op::scale(g.context(), g, limit / norm);
        };
        Members(net).tell(visit);
    }
    return norm;
}

/// lambda * sum(w^2) over the kernels that decay and learn: the penalty that `Decay::l2` puts into the loss.
template <class Net> double l2_penalty(Net& net, double lambda) {
    std::vector<const detail::GradientOf<Net>*> kernels;
    VisitorFor<Net> visit;
    visit.on_parameter = [&](const std::string&, auto& p) {
        if (p.decays && !p.frozen()) kernels.push_back(&p.value());
    };
    Members(net).tell(visit);
    if (kernels.empty()) return 0;
    return lambda *
           op::squared_norm(kernels.front()->context(), std::span<const detail::GradientOf<Net>* const>(kernels));
}

}  // namespace holon
