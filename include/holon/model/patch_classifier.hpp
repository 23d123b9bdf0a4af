// model/patch_classifier.hpp: trunk, mean over positions, and one linear map to the patch classes.
#pragma once
#include <holon/layer/activation.hpp>
#include <holon/layer/linear.hpp>
#include <holon/layer/pool2d.hpp>
#include <holon/model/trunk.hpp>

namespace holon {

/// (n, h, w, 3) -> logits (n, 1, 1, classes) in Accumulate<T>. Names: the trunk's, then fc.weight, fc.bias.
template <Element T, Device D>
struct PatchClassifier {
    using element = T;
    using device = D;
    using A = Accumulate<T>;

    PatchClassifier(std::string_view network, int classes, double dropout_rate, std::uint64_t seed);
    PatchClassifier(PatchClassifier&&) noexcept = default;
    PatchClassifier& operator=(PatchClassifier&&) noexcept = default;

    Variable<A, D> operator()(const Variable<T, D>& x, Mode mode);
    /// The answer from what the trunk's first `depth` layers made of the image.
    Variable<A, D> after(std::size_t depth, const Variable<T, D>& map, Mode mode);
    void members(auto& visit) {
        visit(std::string_view(), trunk);
        visit("dropout", dropout);
        visit("fc", fc);
    }
    int classes() const { return int(fc.weight.shape().n); }

    Trunk<T, D> trunk;
    Dropout<A, D> dropout;
    Linear<A, D> fc;

 private:
    Variable<A, D> head(const Variable<T, D>& map, Mode mode);
    PatchClassifier(std::string_view network, int classes, double rate, std::uint64_t seed, Random random);
};

template <Element T, Device D>
auto PatchClassifier<T, D>::operator()(const Variable<T, D>& x, Mode mode) -> Variable<A, D> {
    return head(trunk(x, mode), mode);
}

template <Element T, Device D>
auto PatchClassifier<T, D>::after(std::size_t depth, const Variable<T, D>& map, Mode mode) -> Variable<A, D> {
    return head(trunk.run(map, mode, depth, trunk.depth()), mode);
}

template <Element T, Device D>
auto PatchClassifier<T, D>::head(const Variable<T, D>& map, Mode mode) -> Variable<A, D> {
    return fc(dropout(convert<A>(global_average(map)), mode), mode);
}

template <Element T, Device D>
PatchClassifier<T, D>::PatchClassifier(std::string_view network, int classes, double dropout_rate, std::uint64_t seed)
    : PatchClassifier(network, classes, dropout_rate, seed, Random(seed, 1)) {}

template <Element T, Device D>
PatchClassifier<T, D>::PatchClassifier(std::string_view network, int classes, double rate, std::uint64_t seed,
                                       Random random)
    : trunk(make_trunk<T, D>(network, random)), dropout(rate, seed, 2), fc(trunk.features, classes, random) {
    fc.weight.decays = true;
    name_layers(*this);
}

}  // namespace holon
