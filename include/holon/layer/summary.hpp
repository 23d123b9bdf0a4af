// layer/summary.hpp: the table of a network: names, shapes, counts, and what is frozen.
#pragma once
#include <iomanip>
#include <ostream>

#include <holon/layer/freeze.hpp>

namespace holon {

/// One line a parameter (k, r, s, c for filters), one a batch norm whose statistics are fixed, and the sums.
template <class Net>
void print_summary(std::ostream& out, Net& net) {
    VisitorFor<Net> visit;
    visit.on_parameter = [&](const std::string& name, auto& p) {
        out << std::left << std::setw(40) << name << std::setw(18) << text(p.shape()) << std::right << std::setw(12)
            << p.shape().size() << (p.frozen() ? "  frozen" : "") << (p.decays ? "  decays" : "") << '\n';
    };
    visit.on_statistics = [&](const std::string& name, FollowsStatistics& layer) {
        if (layer.statistics == Statistics::fixed)
            out << std::left << std::setw(40) << name << "running statistics fixed\n" << std::right;
    };
    Members(net).tell(visit);
    out << "parameters " << count_parameters(net) << ", learning " << count_parameters(net, true) << '\n';
}

}  // namespace holon
