// pipeline/scores.hpp: tables of image,patient,label,score, as evaluate writes them.
#pragma once
#include <string>
#include <vector>

namespace holon::pipeline {

/// What networks said of images. Vectors of one length.
struct Scores {
    std::vector<std::string> image;  ///< the end of its path, without extension, that tells a file's rows apart
    std::vector<std::string> patient;
    std::vector<int> label;  ///< 1 malignant
    std::vector<double> score;
    std::size_t size() const { return score.size(); }
    std::size_t positives() const;
};

/// The rows of all files. An image is known by its patient and by its file's name, with as many folders in front as it
/// takes to tell the rows of its file apart, so that data may move between runs. Throws `DataError` with file and line
/// for a column that is missing, a label or score that cannot be read, and an image that stands in two places (it would
/// be counted twice).
Scores read_scores(const std::vector<std::string>& paths);

/// `other`'s rows in the order of `first`'s. Throws `DataError` unless both hold the same images with the same labels.
Scores in_order_of(const Scores& first, const Scores& other);

}  // namespace holon::pipeline
