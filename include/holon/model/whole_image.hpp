// model/whole_image.hpp: the patch classifier's trunk as a part of a classifier of whole images of any size.
#pragma once
#include <holon/layer/heatmap.hpp>
#include <holon/model/patch_classifier.hpp>
#include <holon/model/top.hpp>

namespace holon {

/// trunk -> top blocks, if any -> mean over positions -> linear map to `classes` logits (n, 1, 1, classes) in Accumulate<T>.
/// No size is fixed anywhere: any image that leaves at least one position after the top works.
/// Names: the trunk's, top.<block>.<unit>.*, fc.weight, fc.bias.
template <Element T, Device D>
struct WholeImage {
    using element = T;
    using device = D;
    using A = Accumulate<T>;

    WholeImage(Trunk<T, D> trunk_, const std::vector<TopBlock>& top_, int classes, std::uint64_t seed);
    WholeImage(WholeImage&&) noexcept = default;
    WholeImage& operator=(WholeImage&&) noexcept = default;

    Variable<A, D> operator()(const Variable<T, D>& x, Mode mode);
    /// The answer from what the trunk's first `depth` layers made of the image.
    Variable<A, D> after(std::size_t depth, const Variable<T, D>& map, Mode mode);
    void members(auto& visit) {
        visit(std::string_view(), trunk);
        visit("top", top);
        visit("fc", fc);
    }

    Trunk<T, D> trunk;
    Top<T, D> top;
    Linear<A, D> fc;

 private:
    Variable<A, D> head(const Variable<T, D>& map, Mode mode);
    WholeImage(Trunk<T, D> trunk_, const std::vector<TopBlock>& spec, int classes, Random random);
};

template <Element T, Device D> auto WholeImage<T, D>::operator()(const Variable<T, D>& x, Mode mode) -> Variable<A, D> {
    return head(trunk(x, mode), mode);
}

template <Element T, Device D>
auto WholeImage<T, D>::after(std::size_t depth, const Variable<T, D>& map, Mode mode) -> Variable<A, D> {
    return head(trunk.run(map, mode, depth, trunk.depth()), mode);
}

template <Element T, Device D> auto WholeImage<T, D>::head(const Variable<T, D>& map, Mode mode) -> Variable<A, D> {
    return fc(convert<A>(global_average(top(map, mode))), mode);
}

template <Element T, Device D>
WholeImage<T, D>::WholeImage(Trunk<T, D> trunk_, const std::vector<TopBlock>& top_, int classes, std::uint64_t seed)
    : WholeImage(std::move(trunk_), top_, classes, Random(seed, 3)) {}

template <Element T, Device D>
WholeImage<T, D>::WholeImage(Trunk<T, D> trunk_, const std::vector<TopBlock>& spec, int classes, Random random)
    : trunk(std::move(trunk_)), top(trunk.features, spec, random), fc(top.features, classes, random) {
    he_normal(fc.weight, random);
    fc.weight.decays = true;
    name_layers(*this);
}

/// The conversion this library exists for: keeps the trunk and its weights, drops dropout and fc, puts a new top on.
template <Element T, Device D>
WholeImage<T, D> to_whole_image(PatchClassifier<T, D> patch, const std::vector<TopBlock>& top, int classes,
                                std::uint64_t seed) {
    return WholeImage<T, D>(std::move(patch.trunk), top, classes, seed);
}

/// The patch classifier slid over a whole image: (n, h, w, 3) -> class shares (n, u, v, classes), one for every window of
/// `window` x `window` positions of the last map. At the patch's own size this is its answer.
template <Element T, Device D>
struct PatchHeatmap {
    using element = T;
    using device = D;
    using A = Accumulate<T>;

    PatchHeatmap(PatchClassifier<T, D> patch, Extent window, HeatmapActivation activation);

    Variable<A, D> operator()(const Variable<T, D>& x, Mode mode);
    void members(auto& visit) {
        visit(std::string_view(), trunk);
        visit("heatmap", heatmap);
    }

    Trunk<T, D> trunk;
    Heatmap<T, D> heatmap;

 private:
    PatchHeatmap(PatchClassifier<T, D> patch, Extent window, HeatmapActivation activation, Random unused);
};

template <Element T, Device D>
PatchHeatmap<T, D>::PatchHeatmap(PatchClassifier<T, D> patch, Extent window, HeatmapActivation activation)
    : PatchHeatmap(std::move(patch), window, activation, Random()) {}

template <Element T, Device D>
PatchHeatmap<T, D>::PatchHeatmap(PatchClassifier<T, D> patch, Extent window, HeatmapActivation activation,
                                 Random unused)
    : trunk(std::move(patch.trunk)), heatmap(trunk.features, patch.classes(), window, activation, unused) {
    heatmap.fc = std::move(patch.fc);
    name_layers(*this);
}

template <Element T, Device D>
auto PatchHeatmap<T, D>::operator()(const Variable<T, D>& x, Mode mode) -> Variable<A, D> {
    return heatmap(trunk(x, mode), mode);
}

}  // namespace holon

#ifdef HOLON_COMPILED
#include <holon/model/instances.hpp>
#endif
