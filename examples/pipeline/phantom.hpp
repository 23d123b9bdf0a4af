// pipeline/phantom.hpp: mammograms that never were: tissue, lesions and their masks from a seed.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "pipeline/dataset.hpp"
#include "pipeline/image.hpp"

namespace holon::pipeline {

/// One view of a made-up breast.
struct PhantomView {
    Image image;
    struct Drawn {
        Finding finding;
        Box box;
        Image mask;  ///< 0 or 65535, of the image's size
    };
    std::vector<Drawn> lesions;
};

struct PhantomOptions {
    int rows = 256, columns = 192;
    int train = 160, validation = 40, test = 100;  ///< patients, half of each with a malignant lesion; two views each
    std::uint64_t seed = 1;
};

/// View `view` (0 CC, 1 MLO) of patient `number`. It depends on the seed, the number, the view, the label and the size, and
/// on nothing else: patient 7 is the same in a set of ten and of a thousand.
///
/// Tissue is noise whose power falls as 1/f^3 (Burgess et al., Med. Phys. 28, 2001: mammograms) inside a breast-shaped
/// outline with fat at the skin, a pectoral muscle in MLO, vessels and dense spots. Lesions of both kinds are drawn with the
/// same sizes, contrasts and places; what differs is the margin (masses: smooth outline or jagged with spicules) and the
/// specks (calcifications: few, round, coarse or many, fine, crowded).
PhantomView draw_phantom(const PhantomOptions& options, std::uint64_t number, int view, bool malignant);

/// Writes images/ and masks/ (PNG) and manifest.csv into `folder`, and returns what the manifest says.
Dataset write_phantoms(const std::string& folder, const PhantomOptions& options);

}  // namespace holon::pipeline
