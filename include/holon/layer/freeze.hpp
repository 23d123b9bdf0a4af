// layer/freeze.hpp: which members learn, said by name.
#pragma once
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
template <class A, Device D>
void set_frozen(const Members<A, D>& members, const char* op, std::string_view prefix, bool frozen,
                Statistics statistics) {
    bool met = false;
    std::string root, roots;
    Visitor<A, D> visit;
    visit.on_parameter = [&](const std::string& name, Parameter<A, D>& parameter) {
        if (root.empty() || !under(name, root)) {
            root = name.substr(0, name.find('.'));
            roots.append(roots.empty() ? "" : ", ").append(root);
        }
        if (!under(name, prefix)) return;
        met = true;
        parameter.set_frozen(frozen);
    };
    visit.on_statistics = [&](const std::string& name, FollowsStatistics& layer) {
        if (under(name, prefix)) layer.statistics = statistics;
    };
    members.tell(visit);
    expects(met, op, ": nothing is named ", prefix, "; the network has ", roots);
}
}  // namespace detail

/// Parameters under `prefix` (a dotted name or the beginning of one; empty = all) get no gradient any more. What becomes of
/// the running statistics of batch norms there has to be said. Refuses a name that meets nothing.
template <class Net>
void freeze(Net& net, std::string_view prefix, Statistics statistics) {
    detail::set_frozen(Members(net), "freeze", prefix, true, statistics);
}

/// Parameters under `prefix` learn again and their batch norms follow the batch.
template <class Net>
void unfreeze(Net& net, std::string_view prefix) {
    detail::set_frozen(Members(net), "unfreeze", prefix, false, Statistics::follow);
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
    Members(net).tell(visit);
    expects(count <= layers.size(), "unfreeze_top: ", count, " layers asked for, the network has ", layers.size());
    freeze(net, "", below);
    for (std::size_t i = layers.size() - count; i < layers.size(); ++i) unfreeze(net, layers[i]);
}

/// Lets go of every gradient. Call it after a step; without it gradients add up over several backward passes.
template <class Net>
void clear_gradients(Net& net) {
    VisitorFor<Net> visit;
    visit.on_parameter = [](const std::string&, auto& parameter) { parameter.clear_gradient(); };
    Members(net).tell(visit);
}

/// Lets go of what backends keep of filters in layouts of their own for the next use (see `Storage::form`).
template <class Net> void forget_forms(Net& net) {
    VisitorFor<Net> visit;
    visit.on_parameter = [](const std::string&, auto& parameter) { parameter.value().storage()->forget_forms(); };
    Members(net).tell(visit);
}

/// Elements of all parameters, or of those that learn.
template <class Net>
std::int64_t count_parameters(Net& net, bool learning_only = false) {
    std::int64_t count = 0;
    VisitorFor<Net> visit;
    visit.on_parameter = [&](const std::string&, auto& p) { count += learning_only && p.frozen() ? 0 : p.shape().size(); };
    Members(net).tell(visit);
    return count;
}

}  // namespace holon
