// pipeline/dataset.hpp: what every source of mammograms is turned into: images, patients, labels, lesions.
#pragma once
#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace holon::pipeline {

/// The five patch classes in the paper's order (the network's output index).
enum class Finding { background, benign_calcification, malignant_calcification, benign_mass, malignant_mass };

inline constexpr std::array<std::string_view, 5> finding_names = {
    "background", "benign_calcification", "malignant_calcification", "benign_mass", "malignant_mass"};

/// Pixels from the top left of the image as stored; x1 and y1 exclusive. x runs along columns.
struct Box {
    int x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

struct Lesion {
    Finding finding = Finding::background;
    Box box;
    std::string mask;  ///< path of a mask image of the same size (> 0 inside), or empty: the box is the region
};

enum class Split { none, train, validation, test };

inline constexpr std::array<std::string_view, 4> split_names = {"", "train", "validation", "test"};

/// One view of one breast.
struct Record {
    std::string image;    ///< path
    std::string patient;  ///< views of one patient never part
    int label = 0;        ///< 1 = malignant
    Split split = Split::none;
    std::vector<Lesion> lesions;
    bool lesions_known = true;  ///< false: abnormal, but where is not told; gives no patches, background neither
};

struct Dataset {
    std::string source;  ///< as given to --data
    std::vector<Record> records;
    std::vector<std::string> notices;  ///< what was left out or interpreted, one sentence each
};

}  // namespace holon::pipeline
