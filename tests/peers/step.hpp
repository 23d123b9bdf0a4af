// peers/step.hpp: what one pass and three steps of Adam make of a network, by name and in PyTorch's layouts.
#pragma once
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <holon/checkpoint/network.hpp>
#include <holon/model/patch_classifier.hpp>
#include <holon/optim/adam.hpp>

namespace holon::test {

/// A tensor as PyTorch would print it: its shape, and its elements in C order.
template <class A> struct PeerTensor {
    std::vector<std::int64_t> shape;
    std::vector<A> values;
};

/// `logits`, `loss`, `gradient.<parameter>` and `statistics.<running statistic>` of the first pass,
/// `weight.<parameter>` after three steps.
template <class A> using PeerTensors = std::map<std::string, PeerTensor<A>>;

/// Trains `net` for three steps on one batch (n, h, w, 3) and says what came of it.
template <Element T>
PeerTensors<Accumulate<T>> train_three_steps(PatchClassifier<T, Cpu>& net, const Tensor<T, Cpu>& images,
                                             const std::vector<int>& labels, double rate) {
    using A = Accumulate<T>;
    PeerTensors<A> out;
    const auto put = [&](const std::string& name, Role role, const Tensor<A, Cpu>& value) {
        out[name] = {detail::file_shape(role, value.shape()), to_nchw(value)};
    };
    auto adam = make_adam(net, {.rate = rate});
    for (int step = 0; step < 3; ++step) {
        const Variable<A, Cpu> logits = net(Variable<T, Cpu>(images), Mode::train);
        const Variable<A, Cpu> loss = cross_entropy(logits, std::span<const int>(labels));
        loss.backward();
        if (step == 0) {
            put("logits", Role::matrix, logits.value());
            out["loss"] = {{}, to_nchw(loss.value())};
            VisitorFor<PatchClassifier<T, Cpu>> visit;
            visit.on_parameter = [&](const std::string& name, auto& p) {
                put("gradient." + name, p.role(), p.gradient());
            };
            visit.on_state = [&](const std::string& name, auto& s) {
                put("statistics." + name, Role::vector, s.value());
            };
            visit(std::string_view(), net);
        }
        adam.step(net);
        clear_gradients(net);
    }
    VisitorFor<PatchClassifier<T, Cpu>> visit;
    visit.on_parameter = [&](const std::string& name, auto& p) { put("weight." + name, p.role(), p.value()); };
    visit(std::string_view(), net);
    return out;
}

}  // namespace holon::test
