// convolutions.hpp: every convolution that a training step of the paper's networks does, with where it was met.
#pragma once
#include <holon/model/whole_image.hpp>

#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace holon::bench {

struct Query {
    op::Direction direction;
    Shape image;
    Conv2dOptions options;
    bool add = false;
    bool operator<(const Query& other) const {
        const auto key = [](const Query& q) {
            return std::tuple(q.image.n, q.image.h, q.image.w, q.image.c, q.options, q.direction, q.add);
        };
        return key(*this) < key(other);
    }
};

/// Networks and tops of the paper.
inline const std::vector<const char*> paper_networks{"resnet50", "vgg16"},
    paper_tops{"256x1,128x1", "[512-512-1024]x2,[512-512-1024]x2"};

/// Every convolution of a training step of these networks in elements T, at these image shapes, on a GPU or this processor:
/// the one may pad images that the other takes as they are.
template <class T>
std::map<Query, std::string> convolutions(const std::vector<const char*>& networks, const std::vector<const char*>& tops,
                                          const std::vector<Shape>& images, bool on_gpu) {
    std::map<Query, std::string> all;
    auto& ledger = default_context<Plan>().state<op::plan::Ledger>();
    const bool before = std::exchange(ledger.on_gpu, on_gpu);
    for (const char* network : networks)
        for (const char* top : tops)
            for (const Shape image : images) {
                auto net = to_whole_image(PatchClassifier<T, Plan>(network, 1, 0.0, 1), parse_top(top), 2, 1);
                ledger.choose = [&](std::string_view, op::Direction direction, const Shape& x, const Conv2dOptions& o,
                                    bool add) {
                    all.try_emplace({direction, x, o, add}, text(network, " + ", top, ": ", Scope::current()));
                    return op::plan::Choice{};
                };
                const std::vector<int> labels(std::size_t(image.n), 0);
                cross_entropy(net(Variable<T, Plan>(Tensor<T, Plan>(image)), Mode::train),
                              std::span<const int>(labels))
                    .backward();
            }
    ledger.choose = nullptr;
    ledger.on_gpu = before;
    return all;
}

}  // namespace holon::bench
