// support/networks.hpp: inputs and small networks that several tests train.
#pragma once
#include <holon/model/whole_image.hpp>

#include "support/numbers.hpp"

namespace holon::test {

/// Images whose class shows as a brighter first channel.
template <class T>
Variable<T, Cpu> labelled_images(Shape s, const std::vector<int>& labels, std::uint64_t seed) {
    Tensor<T, Cpu> x = random_tensor<T>(s, seed);
    T* to = x.data();
    for (std::int64_t n = 0; n < s.n; ++n)
        for (std::int64_t p = 0; p < s.h * s.w; ++p)
            to[(n * s.h * s.w + p) * s.c] = T(float(to[(n * s.h * s.w + p) * s.c]) + 1.5f * float(labels[std::size_t(n)]));
    return Variable<T, Cpu>(x);
}

/// Every parameter and running statistic of a network, by name.
template <class Net>
std::map<std::string, std::vector<double>> contents(Net& net) {
    std::map<std::string, std::vector<double>> all;
    const auto put = [&](const std::string& name, const auto& tensor) {
        for (const auto v : tensor.elements()) all[name].push_back(double(v));
    };
    VisitorFor<Net> visit;
    visit.on_parameter = [&](const std::string& name, auto& p) { put(name, p.value()); };
    visit.on_state = [&](const std::string& name, auto& s) { put(name, s.value()); };
    visit(std::string_view(), net);
    return all;
}

}  // namespace holon::test
