// pipeline/resize.hpp: images and masks at the network's size, exact to the last bit on any machine.
#pragma once
#include "pipeline/image.hpp"

namespace holon::pipeline {

/// `image` at `rows` x `columns`, each axis for itself. Where an axis shrinks, a pixel is the mean of the area it
/// covers, fractions of pixels included, so no pattern aliases and the mean of the image is kept; where it grows, it is
/// bilinear between pixel centres, held at the border. All in integers, rounded once at the end: a same-sized result is
/// a copy. Throws `DataError` for an image without pixels and for sizes outside 1..32768.
Image resize(const Image& image, int rows, int columns);

/// For masks: each pixel from the one that its centre falls on; no value arises that was not there.
Image resize_nearest(const Image& image, int rows, int columns);

}  // namespace holon::pipeline
