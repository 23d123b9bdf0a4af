// pipeline/sampler.hpp: which windows of an image become patches: the paper's sets S1 and S10.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include <holon/core/random.hpp>

#include "pipeline/region.hpp"

namespace holon::pipeline {

/// A window of the image by its top left corner, which may lie outside: what is outside is zero.
struct Patch {
    int row = 0, column = 0;
    Finding finding = Finding::background;
};

struct LabeledRegion {
    Region region;
    Finding finding;
};

struct SamplerOptions {
    int patch = 224;
    int per_lesion = 10;   ///< 1: the centroid (S1); more: random windows (S10)
    int background = 10;   ///< windows of background, for the image, not for each lesion
    double overlap = 0.9;  ///< of the lesion inside the window, or of the window inside the lesion
    double background_overlap = 0.35;
    double min_breast = 0;  ///< least share of a background window above `breast_grey`; 0 = the paper's rule
    std::uint16_t breast_grey = 16 * 257;
};

struct SampledPatches {
    std::vector<Patch> patches;
    int missing_background = 0;             ///< background windows that could not be placed
    std::vector<std::size_t> lost_lesions;  ///< regions without a pixel, by index: too small for this resolution
};

/// Copies a window, zeros outside of the image.
Image copy_patch(const Image& image, const Patch& patch, int size);

/// Lesion windows: with per_lesion = 1 the one centred on the largest part's centroid; else centres drawn uniformly
/// from its bounding box, taken if more than `overlap` of the lesion is inside or more than `overlap` of the window is
/// lesion; after 1000 failures in a row `overlap` sinks by 0.05 for the rest of that lesion, and at 0 a `DataError`
/// says where. Background windows: centres drawn uniformly from the image, refused if of any lesion, or of all
/// together, either share is above `background_overlap`, or if too little breast is inside; given up after 10000
/// refusals in a row, and counted.
SampledPatches sample_patches(const Image& image, std::span<const LabeledRegion> regions,
                                     const SamplerOptions& o, Random& random);

}  // namespace holon::pipeline
