// pipeline/patch_set.cpp: the patches of a split drawn, named and given to a network.
#include "pipeline/patch_set.hpp"

#include <cmath>
#include <iostream>
#include <memory>

#include <holon/core/error.hpp>

#include "pipeline/decode.hpp"
#include "pipeline/resize.hpp"

namespace holon::pipeline {

namespace {

std::uint64_t hash(const std::string& path) {  // FNV-1a over the file's name; folders may move
    std::uint64_t h = 14695981039346656037ull;
    for (const char c : path.substr(path.rfind('/') + 1)) h = (h ^ std::uint8_t(c)) * 1099511628211ull;
    return h;
}

/// Boxes and masks at the size of the store.
std::vector<LabeledRegion> regions_of(const Record& record, const Image& image) {
    std::vector<LabeledRegion> regions;
    if (record.lesions.empty()) return regions;
    ImageHeader stored;
    bool probed = false;
    for (const Lesion& lesion : record.lesions) {
        if (!lesion.mask.empty()) {
            regions.push_back(
                {Region(resize_nearest(read_image(lesion.mask), image.rows, image.columns)), lesion.finding});
            continue;
        }
        if (!probed) stored = probe_image(record.image), probed = true;
        const double y = double(image.rows) / stored.rows, x = double(image.columns) / stored.columns;
        const Box box{int(lesion.box.x0 * x), int(lesion.box.y0 * y), int(std::ceil(lesion.box.x1 * x)),
                      int(std::ceil(lesion.box.y1 * y))};
        regions.push_back({Region(image.rows, image.columns, box), lesion.finding});
    }
    return regions;
}

}  // namespace

PatchSet::PatchSet(const ImageStore& store, const SamplerOptions& options, std::uint64_t seed)
    : store_(store), size_(options.patch) {
    Image scratch;
    for (std::size_t i = 0; i < store.size(); ++i) {
        const Record& record = store.record(i);
        if (!record.lesions_known) continue;
        const Image& image = store.view(i, scratch);
        const std::vector<LabeledRegion> regions = regions_of(record, image);
        Random random(seed, hash(record.image));
        SampledPatches sampled;
        try {
            sampled = sample_patches(image, regions, options, random);
        } catch (Error& error) {
            error.within(record.image);
            throw;
        }
        missing_background += sampled.missing_background;
        for (const std::size_t k : sampled.lost_lesions)
            std::cout << "note: " << record.image << ": lesion " << k + 1 << " has no pixel left at " << image.rows
                      << 'x' << image.columns << "; it gives no patches\n";
        for (const Patch& patch : sampled.patches) places_.push_back({i, patch});
    }
}

Image PatchSet::image(std::size_t k) const {
    Image scratch;
    return copy_patch(store_.view(places_[k].image, scratch), places_[k].patch, size_);
}

std::string PatchSet::name(std::size_t k) const {
    return text(store_.record(places_[k].image).image, " at row ", places_[k].patch.row, ", column ",
                places_[k].patch.column);
}

std::array<std::size_t, finding_names.size()> PatchSet::counts() const {
    std::array<std::size_t, finding_names.size()> out{};
    for (const Place& place : places_) ++out[std::size_t(place.patch.finding)];
    return out;
}

PatchClasses::PatchClasses(const PatchSet& train) {
    const auto counts = train.counts();
    index.fill(-1);
    for (std::size_t f = 0; f < counts.size(); ++f) {
        if (!counts[f]) {
            std::cout << "note: the training split has no " << finding_names[f]
                      << "; the class is dropped from the head\n";
            continue;
        }
        index[f] = int(findings.size());
        findings.push_back(Finding(f));
    }
    expects<DataError>(index[0] >= 0,
                       "no background patch could be placed in any image: the breasts are too small for "
                       "--patch, or --min-breast asks for too much");
    expects<DataError>(findings.size() >= 2,
                       "the training split has background only; lesions with boxes or masks are needed");
}

std::string PatchClasses::list() const {
    std::string out;
    for (const Finding f : findings) out += (out.empty() ? "" : ",") + std::string(finding_names[std::size_t(f)]);
    return out;
}

std::vector<std::string> PatchClasses::names() const {
    std::vector<std::string> out;
    for (const Finding f : findings) out.emplace_back(finding_names[std::size_t(f)]);
    return out;
}

SampleSet patch_samples(const PatchSet& patches, const PatchClasses& classes, int size) {
    SampleSet set;
    set.rows = set.columns = size;
    auto kept = std::make_shared<std::vector<std::size_t>>();
    for (std::size_t k = 0; k < patches.size(); ++k) {
        const int label = classes.index[std::size_t(patches.finding(k))];
        if (label < 0) continue;
        kept->push_back(k);
        set.labels.push_back(label);
        set.names.push_back(patches.name(k));
    }
    if (kept->size() < patches.size())
        std::cout << "note: " << patches.size() - kept->size() << " patches of " << patches.size()
                  << " are of findings that the training split does not have; they are left out\n";
    set.image = [&patches, kept](std::size_t i) { return patches.image((*kept)[i]); };
    return set;
}

}  // namespace holon::pipeline
