// model/stage.hpp: the paper's training schedules as data.
#pragma once
#include <string>
#include <vector>

#include <holon/layer/freeze.hpp>
#include <holon/model/trunk.hpp>

namespace holon {

/// A stretch of epochs with one set of learning layers, one rate and one decay. The optimizer starts anew at each.
struct Stage {
    std::string name;
    std::vector<std::string> learns;      ///< names or beginnings of names; empty = everything
    std::string from;                     ///< if not empty, everything from this layer on in member order learns as well
    double rate = 1e-3;
    double l2 = 0;                        ///< lambda of lambda * sum(w^2) over the kernels that decay
    int epochs = 1;
};

/// Patch classifier, from pretrained weights: the head, then the top layers (res4f and on; block4 and on), then all.
inline std::vector<Stage> patch_stages(const std::string& top, double l2 = 1e-4) {
    return {{"head", {"fc"}, "", 1e-3, l2, 3}, {"top", {"fc"}, top, 1e-4, l2, 10}, {"all", {}, "", 1e-5, l2, 37}};
}
/// Patch classifier from random weights: one stage, everything.
inline std::vector<Stage> patch_stages_from_scratch(double l2 = 1e-4) { return {{"all", {}, "", 1e-3, l2, 50}}; }

/// Whole image: the new top (fc alone if there are no blocks) with the trunk frozen, then all.
inline std::vector<Stage> whole_image_stages(bool blocks = true) {
    std::vector<std::string> top = blocks ? std::vector<std::string>{"top", "fc"} : std::vector<std::string>{"fc"};
    return {{"top", std::move(top), "", 1e-4, 1e-3, 30}, {"all", {}, "", 1e-5, 1e-2, 20}};
}

/// Freezes and unfreezes for `stage`. `frozen` says what the batch norms of frozen layers do: `follow` is what the paper's
/// program did ("legacy"), `fixed` what frozen means today.
template <class Net>
void enter_stage(Net& net, const Stage& stage, Statistics frozen) {
    if (stage.learns.empty() && stage.from.empty()) {
        unfreeze(net, "");
        return;
    }
    std::vector<std::string> layers;
    bool reached = false;
    VisitorFor<Net> visit;
    visit.on_parameter = [&](const std::string& name, auto&) {
        reached = reached || (!stage.from.empty() && under(name, stage.from));
        if (reached) layers.push_back(name.substr(0, name.rfind('.')));
    };
    Members(net).tell(visit);
    expects(stage.from.empty() || reached, "stage ", stage.name, ": no layer is named ", stage.from);
    freeze(net, "", frozen);
    for (const std::string& name : stage.learns) unfreeze(net, name);
    for (const std::string& name : layers) unfreeze(net, name);
}

/// How many layers at the beginning of a row (`RowOf`) give the same answer in every step of a stage that was entered:
/// none of their parameters learns, and no batch norm among them follows the batch.
template <class Row> std::size_t resting_depth(Row& row) {
    std::size_t depth = 0;
    bool rests = true;
    VisitorFor<Row> visit;
    visit.on_parameter = [&](const std::string&, auto& p) { rests = rests && p.frozen(); };
    visit.on_statistics = [&](const std::string&, FollowsStatistics& layer) {
        rests = rests && layer.statistics == Statistics::fixed;
    };
    for (; depth < row.depth(); ++depth) {
        row.members_of(depth, visit);
        if (!rests) break;
    }
    return depth;
}

}  // namespace holon
