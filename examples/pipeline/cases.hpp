// pipeline/cases.hpp: from --data to images of one size with their split: what every program starts with.
#pragma once
#include <string>
#include <vector>

#include "pipeline/dataset.hpp"
#include "pipeline/options.hpp"
#include "pipeline/samples.hpp"

namespace holon::pipeline {

/// The records of a split; `Split::none` means all.
std::vector<const Record*> records_of(const Dataset& data, Split split);

/// Opens --data and gives every patient a split: the data's own if it states one; else --splits; else, when a run goes
/// on, its own `splits.csv`; else --fold, which must not contradict the `splits.csv` in `beside`, the folder of the weights that
/// training begins with; else that file (so that a whole-image network tests on patients that its patch classifier never
/// saw); else a new stratified draw. The result is written to --out, and what was done is printed. Of the training patients
/// --train-share stay; the file lists them all.
Dataset open_cases(const Options& options, const std::string& beside = "");

/// Images of records at one size. Kept in memory up to `budget` bytes, read anew each time beyond. Safe for several threads.
class ImageStore {
 public:
    ImageStore(std::vector<const Record*> records, ImageSize size, int threads, std::size_t budget = std::size_t(6) << 30);
    std::size_t size() const { return records_.size(); }
    const Record& record(std::size_t i) const { return *records_[i]; }
    Image image(std::size_t i) const { return images_[i].pixels.empty() ? read(i) : images_[i]; }
    /// The image as kept, or read into `scratch`.
    const Image& view(std::size_t i, Image& scratch) const;
    ImageSize image_size() const { return size_; }

 private:
    Image read(std::size_t i) const;

    std::vector<const Record*> records_;
    ImageSize size_;
    std::vector<Image> images_;
};

/// Whole images with their malignant / not malignant labels.
SampleSet whole_images(const ImageStore& store);

/// Mean grey level, 0..255, over the images of a store, in double.
double mean_grey(const ImageStore& store);

/// Refuses a split without images.
void expects_split(const SampleSet& set, const Options& options, const char* split);

/// Refuses to test a network on patients that it was trained or chosen on: where its folder keeps the splits of a run
/// on the same --data, no patient of `records` may be in another split there.
void expects_unseen(const std::string& folder, const std::vector<const Record*>& records);

/// The folder of a file, "." if it has none.
std::string folder_of(const std::string& path);

}  // namespace holon::pipeline
