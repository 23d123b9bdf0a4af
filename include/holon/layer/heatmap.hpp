// layer/heatmap.hpp: the patch classifier's head at every position of a map: a sliding window without the sliding.
#pragma once
#include <holon/graph/elementwise.hpp>
#include <holon/graph/pool2d.hpp>
#include <holon/graph/softmax.hpp>
#include <holon/layer/linear.hpp>

namespace holon {

enum class HeatmapActivation { relu, softmax };

/// (n, h, w, features) -> (n, h - k + 1, w - k + 1, classes): a k x k average pool of stride 1, a linear map at each
/// position, then ReLU (inside whole-image networks) or softmax over the classes. With k = patch / 32 each position is the
/// answer of the patch classifier for its window. Scores are in Accumulate<T>.
template <Element T, Device D>
struct Heatmap : Named {
    using element = T;
    using device = D;
    using A = Accumulate<T>;

    Heatmap(int features, int classes, Extent window_, HeatmapActivation activation_, Random& random)
        : window(window_), activation(activation_), fc(features, classes, random) {}

    Variable<A, D> operator()(const Variable<T, D>& x, Mode mode);
    void members(auto& visit) { visit("fc", fc); }

    Extent window;
    HeatmapActivation activation;
    Linear<A, D> fc;
};

template <Element T, Device D> auto Heatmap<T, D>::operator()(const Variable<T, D>& x, Mode mode) -> Variable<A, D> {
    return within(name, [&] {
        const Variable<T, D> pooled = average_pool2d(x, Pool2dOptions{.window = window, .stride = 1});
        const Variable<A, D> scores = fc(convert<A>(pooled), mode);
        return activation == HeatmapActivation::relu ? relu(scores) : softmax(scores);
    });
}

}  // namespace holon
