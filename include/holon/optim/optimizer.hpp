// optim/optimizer.hpp: what optimizers share: which parameters move, how fast, and how their state is named.
#pragma once
#include <cmath>
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
    double l2 = 0;         ///< lambda of a penalty lambda * sum(w^2) in the loss: 2 lambda w joins the gradient (coupled)
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
}  // namespace detail

/// The L2 norm over all gradients of a network, in double.
template <class Net>
double gradient_norm(Net& net) {
    using Gradients = Tensor<Accumulate<typename Net::element>, typename Net::device>;
    std::vector<const Gradients*> all;
    VisitorFor<Net> visit;
    visit.on_parameter = [&](const std::string&, auto& p) {
        if (p.gradient()) all.push_back(&p.gradient());
    };
    visit(std::string_view(), net);
    if (all.empty()) return 0;
    return std::sqrt(op::squared_norm(all.front()->context(), std::span<const Gradients* const>(all)));
}

/// Scales all gradients so that their common norm is at most `limit`; returns the norm before.
template <class Net>
double clip_gradients(Net& net, double limit) {
    expects(limit > 0, "clip_gradients: the limit ", limit, " must be above 0");
    const double norm = gradient_norm(net);
    if (norm > limit) {
        VisitorFor<Net> visit;
        visit.on_parameter = [&](const std::string&, auto& p) {
            if (!p.gradient()) return;
            auto g = p.writable_gradient();
            op::scale(g.context(), g, limit / norm);
        };
        visit(std::string_view(), net);
    }
    return norm;
}

/// lambda * sum(w^2) over the kernels that decay and learn: the penalty that `Decay::l2` puts into the loss.
template <class Net>
double l2_penalty(Net& net, double lambda) {
    double sum = 0;
    VisitorFor<Net> visit;
    visit.on_parameter = [&](const std::string&, auto& p) {
        if (p.decays && !p.frozen()) sum += op::squared_norm(p.value().context(), p.value());
    };
    visit(std::string_view(), net);
    return lambda * sum;
}

}  // namespace holon
