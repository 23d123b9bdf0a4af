// pipeline/patch_set.hpp: the patches of a split: where they lie, what they are, and the classes that there are.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/cases.hpp"
#include "pipeline/sampler.hpp"

namespace holon::pipeline {

/// Windows of a store's images. Pixels are cut when asked for.
class PatchSet {
 public:
    /// Draws the windows of every image whose lesions are known; image i's depend on the seed and its file's name
    /// alone, so that more images, or another order, change no one else's. A lesion too small to keep a pixel at the
    /// store's size gives no windows, which is said aloud.
    PatchSet(const ImageStore& store, const SamplerOptions& options, std::uint64_t seed);
    std::size_t size() const { return places_.size(); }
    Finding finding(std::size_t k) const { return places_[k].patch.finding; }
    Image image(std::size_t k) const;
    std::string name(std::size_t k) const;
    std::array<std::size_t, finding_names.size()> counts() const;
    int missing_background = 0;

 private:
    struct Place {
        std::size_t image;
        Patch patch;
    };

    const ImageStore& store_;
    int size_;
    std::vector<Place> places_;
};

/// Which findings the network tells apart: those that the training split has, in the paper's order.
struct PatchClasses {
    std::vector<Finding> findings;
    std::array<int, finding_names.size()> index{};  ///< -1: not among them

    explicit PatchClasses(const PatchSet& train);
    /// "background,benign_mass,...", as it stands in checkpoints.
    std::string list() const;
    std::vector<std::string> names() const;
};

/// The patches of a set whose class the network knows; how many are left out is said aloud.
SampleSet patch_samples(const PatchSet& patches, const PatchClasses& classes, int size);

}  // namespace holon::pipeline
