// pipeline/frozen_front.hpp: what the layers at the beginning of a trunk that do not learn make of each image, computed
// once and kept as files (--cache-frozen): an epoch then costs what the learning layers cost.
#pragma once
#include <concepts>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <set>
#include <string>
#include <vector>

#include <holon/checkpoint/safetensors.hpp>
#include <holon/model/stage.hpp>

#include "pipeline/samples.hpp"

namespace holon::pipeline {

/// A network whose trunk can be left after any of its layers, and gone on with from there.
template <class Net>
concept Divided = requires(Net& net, const Variable<typename Net::element, typename Net::device>& map) {
    { net.trunk.depth() } -> std::same_as<std::size_t>;
    net.after(net.trunk.depth(), map, Mode::train);
};

namespace detail {

/// FNV-1a, 64 bits.
class Fingerprint {
 public:
    Fingerprint& add(const void* data, std::size_t bytes) {
        const auto* at = static_cast<const unsigned char*>(data);
        for (std::size_t i = 0; i < bytes; ++i) state_ = (state_ ^ at[i]) * 1099511628211ull;
        return *this;
    }
    template <class V>
        requires std::is_arithmetic_v<V>
    Fingerprint& add(V value) {
        return add(&value, sizeof value);
    }
    std::uint64_t value() const { return state_; }
    std::string hex() const {
        char digits[17];
        std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(state_));
        return digits;
    }

 private:
    std::uint64_t state_ = 14695981039346656037ull;
};

template <Element T> constexpr const char* element_in_files() {
    if constexpr (std::same_as<T, bfloat16>) return "BF16";
    if constexpr (std::same_as<T, float16>) return "F16";
    if constexpr (std::same_as<T, float>) return "F32";
    if constexpr (std::same_as<T, double>) return "F64";
}

}  // namespace detail

/// The maps of a trunk's frozen front, at one depth for each number of layers that the stages of a run leave frozen.
/// A deeper map is made from a shallower one, so that layers that rest in every stage run once.
///
/// A file's name tells all that its map was made from: the folder the layers' parameters, element type and input form,
/// the file the image's pixels and flips. So a folder serves all runs, folds and stages whose front is the same, whatever
/// they are named, and is never out of date for them; it may be deleted at any time. Another version of the backend or
/// another processor may round otherwise: a folder belongs to one machine.
///
/// An image's map is what the same layers make of it in any batch, so the bits of a run are those without the folder as
/// long as the backend's convolutions treat every image of a batch alike, which oneDNN's do (a test holds them to it).
template <class Net> class FrozenFront {
    using T = typename Net::element;
    using D = typename Net::device;

 public:
    /// Keeps nothing: every pass goes through the whole network.
    explicit FrozenFront(InputForm form = {}) : form_(std::move(form)) {}

    /// Keeps maps in `folder`; empty: nothing. `net` is entered into each stage to see what rests there. Refused, with the
    /// reason, where nothing does.
    FrozenFront(std::string folder, InputForm form, Net& net, const std::vector<Stage>& stages, Statistics frozen)
        requires Divided<Net>
        : folder_(std::move(folder)), form_(std::move(form)) {
        if (folder_.empty()) return;
        std::set<std::size_t> depths;
        for (const Stage& stage : stages) {
            if (stage.epochs == 0) continue;
            enter_stage(net, stage, frozen);
            depths.insert(resting_depth(net.trunk));
        }
        depths.erase(0);
        expects<DataError>(!depths.empty(), "--cache-frozen ", folder_,
                           ": in no stage does the trunk begin with layers that stay as they are; --from freezes more, and "
                           "batch norms of frozen layers rest only with --bn-mode frozen");
        depths_.assign(depths.begin(), depths.end());
    }

    /// A stage was entered: which depth serves it, under which names. To be called before samples are prepared.
    void enter(Net& net) {
        level_ = 0;
        folders_.clear();
        if constexpr (Divided<Net>) {
            const std::size_t rests = depths_.empty() ? 0 : resting_depth(net.trunk);
            while (level_ < depths_.size() && depths_[level_] <= rests)
                folders_.push_back(folder_ + '/' + name_of_front(net, depths_[level_++]));
            for (const std::string& folder : folders_) std::filesystem::create_directories(folder);
            if (level_ > 0)
                std::cout << "frozen front: the first " << depths_[level_ - 1] << " of " << net.trunk.depth()
                          << " layers of the trunk run once an image; their maps are kept in " << folders_.back() << '\n';
        }
    }

    /// A sample with the deepest map that is kept of it. Safe for several threads.
    Sample prepare(Image image, const op::Warp& warp) const {
        Sample sample{std::move(image), warp};
        if (level_ == 0) return sample;
        const std::string name = name_of_image(sample);
        for (std::size_t level = level_; level > 0 && sample.maps == 0; --level) {
            const std::string path = folders_[level - 1] + '/' + name;
            if (!std::filesystem::exists(path)) continue;
            read(path, sample);
            sample.maps = level;
        }
        return sample;
    }

    /// Fills the batch's input with prepared samples: their images, or what the front makes of them.
    void fill(Net& net, BatchInput<T, D>& batch, std::vector<Sample>& samples, Mode mode) const {
        if (level_ == 0) return batch.set(samples);
        if constexpr (Divided<Net>) {
            for (std::size_t level = 0; level < level_; ++level) deepen(net, samples, level, mode);
            batch.set_maps(samples);
        }
    }

    /// The network's answer to a filled batch.
    auto answer(Net& net, const BatchInput<T, D>& batch, bool bilinear, Mode mode) const {
        if constexpr (Divided<Net>)
            if (level_ > 0) return net.after(depths_[level_ - 1], Variable<T, D>(batch.maps), mode);
        const auto x = network_input(batch, form_, bilinear);
        holon::detail::lap("input", Pass::forward);
        return net(x, mode);
    }

 private:
    std::string name_of_front(Net& net, std::size_t depth) const {
        detail::Fingerprint print;
        const std::string type = detail::element_in_files<T>();
        print.add(type.data(), type.size()).add(net.trunk.network.data(), net.trunk.network.size()).add(std::uint64_t(depth));
        for (int k = 0; k < 3; ++k) print.add(form_.mean[std::size_t(k)]).add(form_.scale[std::size_t(k)]);
        const auto add = [&](const std::string&, auto& member) {
            const auto values = to_host(member.value());
            print.add(values.data(), std::size_t(values.size()) * sizeof *values.data());
        };
        VisitorFor<Net> visit;
        visit.on_parameter = add;
        visit.on_state = add;
        for (std::size_t i = 0; i < depth; ++i) net.trunk.members_of(i, visit);
        return print.hex();
    }
    static std::string name_of_image(const Sample& sample) {
        detail::Fingerprint print;
        print.add(std::int32_t(sample.image.rows)).add(std::int32_t(sample.image.columns));
        print.add(sample.image.pixels.data(), sample.image.pixels.size() * sizeof(sample.image.pixels[0]));
        return print.hex() + (sample.warp.flip_horizontal ? "h" : "") + (sample.warp.flip_vertical ? "v" : "") + ".safetensors";
    }

    static void read(const std::string& path, Sample& sample) {
        const SafetensorsFile file(path);
        const TensorEntry* entry = file.find("map");
        expects<DataError>(entry && entry->dtype == detail::element_in_files<T>() && entry->shape.size() == 4, path,
                           ": this is not a map of --cache-frozen; delete the file");
        sample.map_shape = {entry->shape[0], entry->shape[1], entry->shape[2], entry->shape[3]};
        sample.map.resize(std::size_t(entry->end - entry->begin));
        file.read(*entry, sample.map);
    }
    static void write(const std::string& path, const Sample& sample) {
        SafetensorsWriter file;
        const Shape& s = sample.map_shape;
        file.add("map", detail::element_in_files<T>(), {s.n, s.h, s.w, s.c}, std::span(sample.map));
        file.write(path);
    }

    /// The samples that stand at `level` go on to the next, and what they have there is kept.
    void deepen(Net& net, std::vector<Sample>& samples, std::size_t level, Mode mode) const {
        std::vector<std::size_t> places;
        std::vector<Sample> group;
        for (std::size_t k = 0; k < samples.size(); ++k)
            if (samples[k].maps == level) places.push_back(k), group.push_back(std::move(samples[k]));
        if (group.empty()) return;
        const NoGrad no_grad;
        BatchInput<T, D> batch(std::int64_t(group.size()), group[0].image.rows, group[0].image.columns);
        if (level == 0)
            batch.set(group);
        else
            batch.set_maps(group);
        const auto x = level == 0 ? network_input(batch, form_, false) : Variable<T, D>(batch.maps);
        const std::size_t first = level == 0 ? 0 : depths_[level - 1];
        const Tensor<T, D> made = net.trunk.run(x, mode, first, depths_[level]).value();
        const Shape each{1, made.shape().h, made.shape().w, made.shape().c};
        const auto bytes = std::ptrdiff_t(std::size_t(each.size()) * sizeof(T));
        std::vector<std::byte> all(group.size() * std::size_t(bytes));
        made.context().download(all.data(), made.data(), all.size());
        for (std::size_t k = 0; k < group.size(); ++k) {
            Sample& sample = samples[places[k]] = std::move(group[k]);
            sample.map_shape = each;
            sample.map.assign(all.begin() + std::ptrdiff_t(k) * bytes, all.begin() + std::ptrdiff_t(k + 1) * bytes);
            ++sample.maps;
            write(folders_[level] + '/' + name_of_image(sample), sample);
        }
    }

    std::string folder_;
    InputForm form_;
    std::vector<std::size_t> depths_;   ///< of the levels of maps, ascending
    std::size_t level_ = 0;             ///< that serves the stage: depths_[level_ - 1]; 0: the image itself
    std::vector<std::string> folders_;  ///< of levels 1 .. level_
};

}  // namespace holon::pipeline
