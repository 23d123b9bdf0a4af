// graph/profile_table.hpp: a profile for a person: the layers in order, then what each kind of op came to.
#pragma once
#include <algorithm>
#include <iomanip>
#include <ostream>

#include <holon/graph/profile.hpp>

namespace holon {

namespace detail {

inline const char* pass_name(Pass pass) {
    switch (pass) {
        case Pass::forward:
            return "forward";
        case Pass::backward:
            return "backward";
        case Pass::to_input:
            return "to input";
        case Pass::to_filter:
            return "to filter";
        case Pass::step:
            return "";
    }
    return "";
}

/// Time in ms, traffic in MB, GB/s, GFLOP/s of one step; blank where there is nothing.
inline void print_rates(std::ostream& out, const ProfileRow& sum, double steps) {
    const auto cell = [&](int width, int digits, bool some, double value) {
        if (some)
            out << std::setw(width) << std::setprecision(digits) << value;
        else
            out << std::setw(width) << "";
    };
    cell(10, 2, sum.calls > 0, sum.seconds / steps * 1e3);
    cell(9, 1, sum.bytes > 0, sum.bytes / steps * 1e-6);
    cell(8, 1, sum.bytes > 0 && sum.seconds > 0, sum.bytes / sum.seconds * 1e-9);
    cell(9, 1, sum.flops > 0 && sum.seconds > 0, sum.flops / sum.seconds * 1e-9);
}

inline void join(ProfileRow& into, const ProfileRow& row) {
    into.calls += row.calls, into.seconds += row.seconds, into.flops += row.flops, into.bytes += row.bytes;
}

/// The row of `all` with this layer and op (and pass, if `passes`), made if it is not there.
inline ProfileRow& row_of(std::vector<ProfileRow>& all, const ProfileRow& like, bool layers, bool passes) {
    for (ProfileRow& row : all)
        if ((!layers || row.layer == like.layer) && row.op == like.op && (!passes || row.pass == like.pass)) return row;
    return all.emplace_back(ProfileRow{layers ? like.layer : "", like.op, like.pass});
}

}  // namespace detail

/// Mean of a step: for each layer forward and backward (to input and to filter together) time, traffic and rates, and
/// its share of the step; then the same for each op over all layers, pass by pass. Traffic and GFLOP/s need
/// `Profile::take_work`; bytes are what the op has to read and write once, as `Plan` counts them.
template <Device D> void print_profile(std::ostream& out, const Profile<D>& profile) {
    using namespace detail;
    const double steps = double(std::max<std::int64_t>(1, profile.steps()));
    std::vector<ProfileRow> forward, backward, ops;
    double total = 0;
    for (const ProfileRow& row : profile.rows()) {
        const bool ahead = row.pass == Pass::forward || row.pass == Pass::step;
        join(row_of(forward, row, true, false), ahead ? row : ProfileRow());
        join(row_of(backward, row, true, false), ahead ? ProfileRow() : row);
        join(row_of(ops, row, false, true), row);
        total += row.seconds;
    }
    const auto flags = out.flags();
    const auto precision = out.precision();
    out << std::fixed << std::left << std::setw(26) << "layer" << std::setw(15) << "op" << std::right << std::setw(10)
        << "forward ms" << std::setw(9) << "MB" << std::setw(8) << "GB/s" << std::setw(9) << "GFLOP/s" << std::setw(12)
        << "backward ms" << std::setw(9) << "MB" << std::setw(8) << "GB/s" << std::setw(9) << "GFLOP/s" << std::setw(8)
        << "share\n";
    for (std::size_t i = 0; i < forward.size(); ++i) {
        out << std::left << std::setw(26) << (forward[i].layer.empty() ? "-" : forward[i].layer) << std::setw(15)
            << forward[i].op << std::right;
        print_rates(out, forward[i], steps);
        out << "  ";
        print_rates(out, backward[i], steps);
        out << std::setw(6) << std::setprecision(1) << 100 * (forward[i].seconds + backward[i].seconds) / total
            << " %\n";
    }
    std::stable_sort(ops.begin(), ops.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
    out << "\n"
        << std::left << std::setw(26) << "op over all layers" << std::right << std::setw(10) << "ms" << std::setw(9)
        << "MB" << std::setw(8) << "GB/s" << std::setw(9) << "GFLOP/s" << std::setw(8) << "share\n";
    for (const ProfileRow& row : ops) {
        out << std::left << std::setw(26) << text(row.op, ' ', pass_name(row.pass)) << std::right;
        print_rates(out, row, steps);
        out << std::setw(6) << std::setprecision(1) << 100 * row.seconds / total << " %\n";
    }
    out << "a step of " << std::setprecision(2) << total / steps * 1e3 << " ms, the mean of " << profile.steps()
        << "\n";
    out.flags(flags);
    out.precision(precision);
}

}  // namespace holon
