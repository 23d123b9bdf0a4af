// pipeline/sampler.hpp: which windows of an image become patches: the paper's sets S1 and S10.
#pragma once
#include <span>
#include <vector>

#include <holon/core/error.hpp>
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
    int per_lesion = 10;            ///< 1: the centroid (S1); more: random windows (S10)
    int background = 10;            ///< windows of background, for the image, not for each lesion
    double overlap = 0.9;           ///< of the lesion inside the window, or of the window inside the lesion
    double background_overlap = 0.35;
    double min_breast = 0;          ///< least share of a background window above `breast_grey`; 0 = the paper's rule
    std::uint16_t breast_grey = 16 * 257;
};

struct SampledPatches {
    std::vector<Patch> patches;
    int missing_background = 0;  ///< background windows that could not be placed
};

/// Copies a window, zeros outside of the image.
inline Image copy_patch(const Image& image, const Patch& patch, int size) {
    Image out(size, size);
    for (int y = 0; y < size; ++y) {
        const int row = patch.row + y;
        if (row < 0 || row >= image.rows) continue;
        const int begin = std::max(0, -patch.column), end = std::min(size, image.columns - patch.column);
        for (int x = begin; x < end; ++x) out.at(y, x) = image.at(row, patch.column + x);
    }
    return out;
}

/// Lesion windows: with per_lesion = 1 the one centred on the largest part's centroid; else centres drawn uniformly from its
/// bounding box, taken if more than `overlap` of the lesion is inside or more than `overlap` of the window is lesion; after
/// 1000 failures in a row `overlap` sinks by 0.05 for the rest of that lesion. Background windows: centres drawn uniformly
/// from the image, refused if for any lesion either share is above `background_overlap`, or if too little breast is inside.
inline SampledPatches sample_patches(const Image& image, std::span<const LabeledRegion> regions, const SamplerOptions& o,
                                     Random& random) {
    SampledPatches out;
    const int half = o.patch / 2;
    const double window = double(o.patch) * double(o.patch);
    const auto corner = [&](int row, int column, Finding finding) { return Patch{row - half, column - half, finding}; };
    const auto shared = [&](const Region& region, const Patch& p) {
        return double(region.within(p.row, p.column, p.row + o.patch, p.column + o.patch));
    };
    for (const LabeledRegion& lesion : regions) {
        const double area = double(lesion.region.area());
        if (area == 0) continue;
        if (o.per_lesion == 1) {
            out.patches.push_back(corner(lesion.region.centre_row(), lesion.region.centre_column(), lesion.finding));
            continue;
        }
        const Box box = lesion.region.box();
        double overlap = o.overlap;
        for (int taken = 0, failures = 0; taken < o.per_lesion;) {
            const int row = box.y0 + int(random.below(std::uint64_t(box.y1 - box.y0)));
            const int column = box.x0 + int(random.below(std::uint64_t(box.x1 - box.x0)));
            const Patch p = corner(row, column, lesion.finding);
            const double both = shared(lesion.region, p);
            if (both / area > overlap || both / window > overlap) {
                out.patches.push_back(p);
                ++taken;
                failures = 0;
            } else if (++failures == 1000) {
                overlap -= 0.05;
                failures = 0;
                expects<DataError>(overlap > 0, "no window of ", o.patch, " pixels around the lesion at rows ", box.y0, "..",
                                   box.y1, ", columns ", box.x0, "..", box.x1, " holds any of it");
            }
        }
    }
    const auto enough_breast = [&](const Patch& p) {
        if (o.min_breast <= 0) return true;
        std::int64_t bright = 0;
        for (int y = std::max(0, p.row); y < std::min(image.rows, p.row + o.patch); ++y)
            for (int x = std::max(0, p.column); x < std::min(image.columns, p.column + o.patch); ++x)
                bright += image.at(y, x) > o.breast_grey;
        return double(bright) >= o.min_breast * window;
    };
    for (int taken = 0; taken < o.background; ++taken) {
        bool found = false;
        for (int tries = 0; tries < 1000 && !found; ++tries) {
            const Patch p = corner(int(random.below(std::uint64_t(image.rows))), int(random.below(std::uint64_t(image.columns))),
                                   Finding::background);
            const bool clear = std::none_of(regions.begin(), regions.end(), [&](const LabeledRegion& lesion) {
                const double both = shared(lesion.region, p), area = double(lesion.region.area());
                return area > 0 && (both / area > o.background_overlap || both / window > o.background_overlap);
            });
            if (!clear || !enough_breast(p)) continue;
            out.patches.push_back(p);
            found = true;
        }
        if (!found) ++out.missing_background;
    }
    return out;
}

}  // namespace holon::pipeline
