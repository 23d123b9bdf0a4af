// pipeline/samples.hpp: grey images with classes, and batches of them where the device reads them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <holon/graph/elementwise.hpp>
#include <holon/graph/affine_warp.hpp>
#include <holon/model/input_form.hpp>
#include <holon/tensor/transfer.hpp>

#include "pipeline/image.hpp"

namespace holon::pipeline {

/// What a network is trained or judged on: grey images of one size, each with a class.
struct SampleSet {
    int rows = 0, columns = 0;
    std::vector<int> labels;
    std::vector<std::string> names;               ///< for messages
    std::function<Image(std::size_t)> image;      ///< safe to call from several threads
    std::size_t size() const { return labels.size(); }
};

/// One prepared image of a batch. `FrozenFront` may add what layers made of it already.
struct Sample {
    Image image;
    op::Warp warp;
    std::size_t maps = 0;  ///< how many of the front's levels stand behind `map`; 0: there is none
    Shape map_shape{};
    std::vector<std::byte> map{};
};

/// Grey pixels 0..255 of a batch as n x h x w x 1.
inline Tensor<float, Cpu> grey_batch(const std::vector<Sample>& samples, int rows, int columns) {
    Tensor<float, Cpu> grey({std::int64_t(samples.size()), rows, columns, 1});
    float* to = grey.data();
    for (const Sample& sample : samples)
        for (const std::uint16_t pixel : sample.image.pixels) *to++ = grey255(pixel);
    return grey;
}

/// Batches of so many images, one after the other where the device reads them: a recorded step finds the next one in the
/// place of the last. With `copies`, images are uploaded while the device still works on the batch before; maps are not,
/// because plans of a step's memory know the size of images only.
template <Element T, Device D> class BatchInput {
 public:
    BatchInput(std::int64_t images, int rows, int columns, std::int64_t classes = 1, DeviceCopies<D>* copies = nullptr)
        : grey({images, rows, columns, 1}), targets(classes), copies_(copies) {}

    /// Of as many samples as there are images.
    void set(const std::vector<Sample>& samples) {
        const auto host = grey_batch(samples, int(grey.shape().h), int(grey.shape().w));
        if (copies_)
            copies_->copy(grey, host);
        else
            copy_from_host(grey, host);
        std::vector<op::Warp> list;
        for (const Sample& sample : samples) list.push_back(sample.warp);
        warps.set(list);
    }
    /// The same of samples with maps.
    void set_maps(const std::vector<Sample>& samples) {
        Shape shape = samples.front().map_shape;
        shape.n = std::int64_t(samples.size());
        std::vector<std::byte> all;
        for (const Sample& sample : samples) {
            expects(sample.map_shape == samples.front().map_shape, "a batch's maps differ: ", sample.map_shape, " and ",
                    samples.front().map_shape);
            all.insert(all.end(), sample.map.begin(), sample.map.end());
        }
        if (!maps || maps.shape() != shape) maps = Tensor<T, D>(shape);
        maps.context().upload(maps.data(), all.data(), all.size());
    }

    Tensor<float, D> grey;
    Tensor<T, D> maps;
    op::Warps<D> warps;
    op::Targets<D> targets;

 private:
    DeviceCopies<D>* copies_;
};

/// The network's input: warped, copied to three channels, in the form its weights expect.
template <Element T, Device D>
Variable<T, D> network_input(const BatchInput<T, D>& batch, const InputForm& form, bool bilinear) {
    auto& context = batch.grey.context();
    return Variable<T, D>(op::template convert<T>(
        context, op::affine_warp(context, batch.grey, batch.warps, form.warp(bilinear))));
}
template <Element T, Device D>
Variable<T, D> network_input(const std::vector<Sample>& samples, int rows, int columns, const InputForm& form,
                             bool bilinear) {
    BatchInput<T, D> batch(std::int64_t(samples.size()), rows, columns);
    batch.set(samples);
    return network_input(batch, form, bilinear);
}

}  // namespace holon::pipeline
