// pipeline/predict.hpp: what a network answers to every image of a set.
#pragma once
#include <string>
#include <vector>

#include "pipeline/frozen_front.hpp"
#include "pipeline/interrupt.hpp"
#include "pipeline/loader.hpp"
#include "pipeline/progress.hpp"
#include "pipeline/samples.hpp"

namespace holon::pipeline {

/// Class shares of every sample of a set, n rows of `classes` numbers, in evaluation mode, batch after batch.
/// `flip` says which of the four flips to look at, `front` what is known of the images already.
struct Flip {
    bool horizontal = false, vertical = false;
};
template <class Net>
std::vector<std::vector<double>> predict(Net& net, const SampleSet& set, const FrozenFront<Net>& front, int batch,
                                         int workers, Flip flip = {}, const std::string& title = "evaluating") {
    using T = typename Net::element;
    using D = typename Net::device;
    const NoGrad no_grad;
    std::vector<std::vector<double>> shares(set.size());
    Loader<Sample> loader(
        set.size(),
        [&](std::size_t i, Random&) {
            op::Warp warp;
            warp.flip_horizontal = flip.horizontal;
            warp.flip_vertical = flip.vertical;
            return front.prepare(set.image(i), warp);
        },
        {.batch = std::size_t(batch), .threads = workers, .seed = 0, .shuffle = false},
        [&](std::size_t i) { return set.names[i]; });
    Progress progress(title, set.size());
    std::size_t done = 0;
    loader.start(0);
    while (auto next = loader.next()) {
        BatchInput<T, D> input(std::int64_t(next->items.size()), set.rows, set.columns);
        front.fill(net, input, next->items, Mode::evaluate);
        const auto logits = front.answer(net, input, false, Mode::evaluate);
        const auto y = to_host(op::softmax(logits.context(), logits.value()));
        const std::size_t classes = std::size_t(y.shape().c);
        for (std::size_t k = 0; k < next->items.size(); ++k)
            shares[next->indices[k]].assign(y.data() + k * classes, y.data() + (k + 1) * classes);
        progress.update(done += next->items.size());
        if (Interrupt::received()) break;
    }
    return shares;
}

}  // namespace holon::pipeline
