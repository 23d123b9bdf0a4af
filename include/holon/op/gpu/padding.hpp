// op/gpu/padding.hpp: channels of zeros that an image is given before a GPU convolves it. Plain arithmetic: plans of a step
// ask too, on machines without CUDA.
#pragma once
#include <holon/op/geometry.hpp>
#include <holon/tensor/tensor.hpp>

namespace holon::gpu {

/// Whether images of few channels are padded. In bfloat16 cuDNN's engines on tensor cores take multiples of 8 channels;
/// others they pad in their workspace, once forward and once for the filter's gradient. In float16 there are engines that
/// take few channels as they are (bench/results/gpu-kernels.md).
template <Element T> constexpr bool pads_channels = std::same_as<T, bfloat16>;

/// Channels that an image of `channels` has when a GPU convolves it.
template <Element T> constexpr int padded_channels(int channels) {
    return pads_channels<T> && channels < 8 ? 8 : channels;
}

/// A convolution by `o` of an image that has o.in channels or is padded.
struct PaddedConv2d {
    Shape image;            ///< without the channels that were added
    Conv2dOptions options;  ///< with as many channels in as the image has
};
template <Element T> PaddedConv2d padded_conv2d(const Shape& x, const Conv2dOptions& o) {
    PaddedConv2d out{x, o};
    if (x.c == padded_channels<T>(o.in)) out.image.c = o.in, out.options.in = int(x.c);
    return out;
}

}  // namespace holon::gpu
