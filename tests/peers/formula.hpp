// peers/formula.hpp: parity.py's weights, images and sketches again, to the bit.
#pragma once
#include <array>
#include <span>
#include <string_view>

#include "peers/step.hpp"

namespace holon::test {

/// 64-bit FNV-1a: the key of a tensor's numbers.
inline std::uint64_t fnv1a(std::string_view name) {
    std::uint64_t key = 0xcbf29ce484222325;
    for (const char c : name) key = (key ^ std::uint8_t(c)) * 0x100000001b3;
    return key;
}

/// 24 random bits for element i.
inline std::int32_t word(std::uint64_t key, std::int64_t i, std::uint64_t stream = 0) {
    return std::int32_t(philox(key, std::uint64_t(i), stream)[0] >> 8);
}
/// In [-1, 1), a multiple of 2^-23.
inline float uniform(std::uint64_t key, std::int64_t i, std::uint64_t stream = 0) {
    return float(word(key, i, stream) - (1 << 23)) * 0x1p-23f;
}

/// What is added to a bias so that nearly all activations are above zero, in deviations of the activation.
inline double lift_of(std::string_view name) {
    if (!name.starts_with("layer") && !name.starts_with("features.")) return 0;
    if (name.find(".bn3.") == name.npos && name.find(".downsample.") == name.npos) return 2.75;
    return name.substr(6, 3) == ".0." ? 1.9 : 0.75;
}

/// The value of a parameter or running statistic in the order of a file; why so, says parity.py.
inline std::vector<float> formula(const std::string& name, const std::vector<std::int64_t>& shape, bool lifted) {
    std::int64_t count = 1;
    for (const std::int64_t extent : shape) count *= extent;
    std::vector<float> values(std::size_t(count), 0.0f);
    const std::uint64_t key = fnv1a(name);
    if (shape.size() > 1) {
        const std::int64_t fan_in = count / shape[0], channels = shape[1], taps = fan_in / channels;
        const bool pooled = name == "features.5.weight" || name == "features.10.weight" ||
                            name == "features.17.weight" || name == "features.24.weight";
        const double gain = lifted ? (pooled ? 1.8 : 1.0) : 2.0;
        const float scale = float(std::sqrt(1.5 * gain / double(fan_in)) * 0x1p-23);
        std::vector<std::int32_t> words(values.size());
        for (std::int64_t i = 0; i < count; ++i) words[std::size_t(i)] = word(key, i);
        for (std::int64_t i = 0; i < count; ++i) {
            const bool last = i / taps % channels == channels - 1;
            const std::int64_t next = last ? i - (channels - 1) * taps : i + taps;  // the next input channel, in a ring
            values[std::size_t(i)] = float(words[std::size_t(i)] - words[std::size_t(next)]) * scale;
        }
        return values;
    }
    float base = name.ends_with("running_var") || name.ends_with("weight") ? 1.0f : 0.0f;
    if (name.ends_with("bias") && lifted) base = float(lift_of(name));
    for (std::int64_t i = 0; i < count; ++i) values[std::size_t(i)] = uniform(key, i) * 0.25f + base;
    return values;
}

template <Element T> void fill_by_formula(PatchClassifier<T, Cpu>& net, bool lifted) {
    const auto fill = [&](const std::string& name, Role role, auto tensor) {
        const std::vector<float> values = formula(name, detail::file_shape(role, tensor.shape()), lifted);
        copy_from_host(tensor, cast<Accumulate<T>>(from_nchw(tensor.shape(), values.data())));
    };
    VisitorFor<PatchClassifier<T, Cpu>> visit;
    visit.on_parameter = [&](const std::string& name, auto& p) { fill(name, p.role(), p.writable()); };
    visit.on_state = [&](const std::string& name, auto& s) { fill(name, Role::vector, s.writable()); };
    visit(std::string_view(), net);
}

/// In [-1, 3).
template <Element T> Tensor<T, Cpu> images_by_formula(const Shape& shape, std::uint64_t seed) {
    std::vector<T> values(std::size_t(shape.size()));
    const std::uint64_t key = fnv1a("images");
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = T(uniform(key, std::int64_t(i), seed) * 2 + 1);
    return from_nchw(shape, values.data());
}

/// Sums of a tensor's elements under four rows of random signs. For two tensors a and b the mean square of the sums'
/// differences is |a - b|^2 in expectation, whatever the difference is.
template <class A> std::array<double, 4> sketch(const std::string& name, std::span<const A> values) {
    std::array<double, 4> sums{};
    const std::uint64_t key = fnv1a(name);
    for (std::size_t i = 0; i < values.size(); ++i) {
        const std::uint32_t bits = philox(key, i, 1)[0];
        for (std::size_t j = 0; j < sums.size(); ++j) sums[j] += bits >> j & 1 ? double(values[i]) : -double(values[i]);
    }
    return sums;
}

}  // namespace holon::test
