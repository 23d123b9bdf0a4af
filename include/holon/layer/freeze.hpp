// layer/freeze.hpp: which members learn, said by name.
#pragma once
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <holon/layer/layer.hpp>

namespace holon {

/// True if `name` is `prefix`, lies under it ("layer4" covers "layer4.0.conv1.weight", not "layer40"), or prefix is empty.
inline bool under(std::string_view name, std::string_view prefix) {
    if (prefix.empty() || name == prefix) return true;
    return name.size() > prefix.size() && name.starts_with(prefix) && name[prefix.size()] == '.';
}

namespace detail {
template <class Net, class P, class S>
std::size_t visit_under(Net& net, std::string_view prefix, const P& on_parameter, const S& on_statistics) {
    std::size_t met = 0;
    std::string names;
    VisitorFor<Net> visit;
    visit.on_parameter = [&](const std::string& name, auto& parameter) {
        if (!under(name, prefix)) return;
        ++met;
        on_parameter(parameter);
    };
    visit.on_statistics = [&](const std::string& name, FollowsStatistics& layer) {
        if (under(name, prefix)) on_statistics(layer);
    };
    visit(std::string_view(), net);
    return met;
}
template <class Net>
[[noreturn]] void refuse_name(Net& net, const char* op, std::string_view prefix) {
    std::vector<std::string> roots;
    VisitorFor<Net> visit;
    visit.on_parameter = [&](const std::string& name, auto&) {
        std::string root = name.substr(0, name.find('.'));
        if (std::find(roots.begin(), roots.end(), root) == roots.end()) roots.push_back(std::move(root));
    };
    visit(std::string_view(), net);
    std::string list;
    for (const std::string& root : roots) list += (list.empty() ? "" : ", ") + root;
    throw ShapeError(text(op, ": nothing is named ", prefix, "; the network has ", list));
}
}  // namespace detail

/// Parameters under `prefix` (a dotted name or the beginning of one; empty = all) get no gradient any more. What becomes of
/// the running statistics of batch norms there has to be said. Refuses a name that meets nothing.
template <class Net>
void freeze(Net& net, std::string_view prefix, Statistics statistics) {
    const std::size_t met = detail::visit_under(
        net, prefix, [](auto& parameter) { parameter.set_frozen(true); },
        [&](FollowsStatistics& layer) { layer.statistics = statistics; });
    if (!met) detail::refuse_name(net, "freeze", prefix);
}

/// Parameters under `prefix` learn again and their batch norms follow the batch.
template <class Net>
void unfreeze(Net& net, std::string_view prefix) {
    const std::size_t met = detail::visit_under(
        net, prefix, [](auto& parameter) { parameter.set_frozen(false); },
        [](FollowsStatistics& layer) { layer.statistics = Statistics::follow; });
    if (!met) detail::refuse_name(net, "unfreeze", prefix);
}

/// Unfreezes the last `count` layers that hold parameters, in the order of the member list (a convolution and its batch
/// norm count as two), and freezes the ones before.
template <class Net>
void unfreeze_top(Net& net, std::size_t count, Statistics below) {
    std::vector<std::string> layers;
    VisitorFor<Net> visit;
    visit.on_parameter = [&](const std::string& name, auto&) {
        std::string layer = name.substr(0, name.rfind('.'));
        if (layers.empty() || layers.back() != layer) layers.push_back(std::move(layer));
    };
    visit(std::string_view(), net);
    expects(count <= layers.size(), "unfreeze_top: ", count, " layers asked for, the network has ", layers.size());
    freeze(net, "", below);
    for (std::size_t i = layers.size() - count; i < layers.size(); ++i) unfreeze(net, layers[i]);
}

/// Lets go of every gradient. Call it after a step; without it gradients add up over several backward passes.
template <class Net>
void clear_gradients(Net& net) {
    VisitorFor<Net> visit;
    visit.on_parameter = [](const std::string&, auto& parameter) { parameter.clear_gradient(); };
    visit(std::string_view(), net);
}

/// Lets go of what backends keep of filters in layouts of their own for the next use (see `Storage::form`).
template <class Net> void forget_forms(Net& net) {
    VisitorFor<Net> visit;
    visit.on_parameter = [](const std::string&, auto& parameter) { parameter.value().storage()->forget_forms(); };
    visit(std::string_view(), net);
}

/// Elements of all parameters, or of those that learn.
template <class Net>
std::int64_t count_parameters(Net& net, bool learning_only = false) {
    std::int64_t count = 0;
    VisitorFor<Net> visit;
    visit.on_parameter = [&](const std::string&, auto& p) { count += learning_only && p.frozen() ? 0 : p.shape().size(); };
    visit(std::string_view(), net);
    return count;
}

}  // namespace holon
