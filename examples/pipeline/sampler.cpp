// pipeline/sampler.cpp: windows drawn around lesions and from the background.
#include "pipeline/sampler.hpp"

#include <algorithm>
#include <optional>

#include <holon/core/error.hpp>

namespace holon::pipeline {

namespace {

/// Which windows are background: of no lesion, nor of all of them together, more than `background_overlap` lies inside,
/// or fills that share of the window; and enough breast is there. All together matter where several lesions share a
/// window, each by itself where a small one would vanish in the area of the others.
class BackgroundRule {
 public:
    BackgroundRule(const Image& image, std::span<const LabeledRegion> regions, const SamplerOptions& options)
        : regions_(regions), options_(options) {
        if (regions.size() > 1)
            all_.emplace(image.rows, image.columns, [&](int y, int x) {
                return std::any_of(regions.begin(), regions.end(),
                                   [&](const LabeledRegion& lesion) { return lesion.region.holds(y, x); });
            });
        if (options.min_breast > 0)
            breast_.emplace(image.rows, image.columns,
                            [&](int y, int x) { return image.at(y, x) > options.breast_grey; });
    }
    bool accepts(const Patch& p) const {
        return (!all_ || clear_of(p, *all_)) &&
               std::all_of(regions_.begin(), regions_.end(), [&](const auto& l) { return clear_of(p, l.region); }) &&
               (!breast_ || seen(p, *breast_) >= options_.min_breast * window());
    }

 private:
    double window() const { return double(options_.patch) * double(options_.patch); }
    double seen(const Patch& p, const PixelSet& set) const {
        return double(set.within(p.row, p.column, p.row + options_.patch, p.column + options_.patch));
    }
    bool clear_of(const Patch& p, const PixelSet& set) const {
        const double both = seen(p, set), most = options_.background_overlap;
        return both == 0 || (both / double(set.area()) <= most && both / window() <= most);
    }

    std::span<const LabeledRegion> regions_;
    const SamplerOptions& options_;
    std::optional<PixelSet> all_, breast_;
};

}  // namespace

Image copy_patch(const Image& image, const Patch& patch, int size) {
    Image out(size, size);
    for (int y = 0; y < size; ++y) {
        const int row = patch.row + y;
        if (row < 0 || row >= image.rows) continue;
        const int begin = std::max(0, -patch.column), end = std::min(size, image.columns - patch.column);
        for (int x = begin; x < end; ++x) out.at(y, x) = image.at(row, patch.column + x);
    }
    return out;
}

SampledPatches sample_patches(const Image& image, std::span<const LabeledRegion> regions,
                                     const SamplerOptions& o, Random& random) {
    expects<DataError>(o.patch >= 1 && o.per_lesion >= 1 && o.background >= 0, "patches of ", o.patch, " pixels, ",
                       o.per_lesion, " a lesion, ", o.background, " of background: at least 1, 1 and 0 are needed");
    SampledPatches out;
    const int half = o.patch / 2;
    const double window = double(o.patch) * double(o.patch);
    const auto corner = [&](int row, int column, Finding finding) { return Patch{row - half, column - half, finding}; };
    for (std::size_t i = 0; i < regions.size(); ++i) {
        const auto& [region, finding] = regions[i];
        expects(region.rows() == image.rows && region.columns() == image.columns, "sample_patches: region ", i,
                " is of ", region.rows(), 'x', region.columns(), " pixels, the image of ", image.rows, 'x',
                image.columns);
        const double area = double(region.area());
        if (area == 0) {
            out.lost_lesions.push_back(i);
            continue;
        }
        if (o.per_lesion == 1) {
            out.patches.push_back(corner(region.centre_row(), region.centre_column(), finding));
            continue;
        }
        const Box box = region.box();
        double overlap = o.overlap;
        for (int taken = 0, failures = 0; taken < o.per_lesion;) {
            const int row = box.y0 + int(random.below(std::uint64_t(box.y1 - box.y0)));
            const int column = box.x0 + int(random.below(std::uint64_t(box.x1 - box.x0)));
            const Patch p = corner(row, column, finding);
            const double both = double(region.within(p.row, p.column, p.row + o.patch, p.column + o.patch));
            if (both / area > overlap || both / window > overlap) {
                out.patches.push_back(p);
                ++taken;
                failures = 0;
            } else if (++failures == 1000) {
                overlap -= 0.05;
                failures = 0;
                expects<DataError>(overlap > 0, "no window of ", o.patch, " pixels around the lesion at rows ", box.y0,
                                   "..", box.y1 - 1, ", columns ", box.x0, "..", box.x1 - 1,
                                   " holds enough of it; a larger --patch does");
            }
        }
    }
    const BackgroundRule rule(image, regions, o);
    for (int taken = 0; taken < o.background; ++taken) {
        bool found = false;
        for (int tries = 0; tries < 10000 && !found; ++tries) {
            const int row = int(random.below(std::uint64_t(image.rows)));
            const int column = int(random.below(std::uint64_t(image.columns)));
            const Patch p = corner(row, column, Finding::background);
            if ((found = rule.accepts(p))) out.patches.push_back(p);
        }
        if (!found) ++out.missing_background;
    }
    return out;
}

}  // namespace holon::pipeline
