// loss/balance.hpp: weights that make every class of a batch count the same.
#pragma once
#include <span>
#include <vector>

#include <holon/core/error.hpp>

namespace holon {

/// w_i = B / n_k for sample i of class k, where n_k of the batch's B samples are of that class: with these weights
/// `cross_entropy` is the sum, over the classes present, of each class's mean (Shen et al.'s program).
inline std::vector<float> balanced_weights(std::span<const int> labels) {
    std::vector<std::size_t> count;
    for (std::size_t i = 0; i < labels.size(); ++i) {
        expects(labels[i] >= 0, "balanced_weights: label ", labels[i], " at ", i, " is negative");
        if (count.size() <= std::size_t(labels[i])) count.resize(std::size_t(labels[i]) + 1);
        ++count[std::size_t(labels[i])];
    }
    std::vector<float> weights(labels.size());
    for (std::size_t i = 0; i < labels.size(); ++i)
        weights[i] = float(double(labels.size()) / double(count[std::size_t(labels[i])]));
    return weights;
}

}  // namespace holon
