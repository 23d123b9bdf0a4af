// pipeline/manifest.hpp: anybody's own mammograms: a CSV with one row a lesion.
#pragma once
#include <string>

#include "pipeline/dataset.hpp"

namespace holon::pipeline {

/// Reads `image,patient,label,split,class,x0,y0,x1,y1,mask`, the columns in any order; an empty cell means none.
///
/// - image, mask: PNG, JPEG or PGM, relative to the CSV's folder. A mask has its image's size, > 0 inside the lesion.
/// - label, of the image: 1, positive or malignant; 0, negative, benign or normal. The same in each of the image's
/// rows.
/// - split: train, validation or test, the same for all images of a patient; empty in all rows: to be drawn.
/// - class: benign_calcification, malignant_calcification, benign_mass or malignant_mass.
/// - x0, y0, x1, y1: pixels from the top left, x along columns, x1 and y1 exclusive. With a mask they may be empty:
/// then
///   they are what bounds the mask.
///
/// An image without lesions is one row with no class. If it is labelled benign or malignant then, or has no malignant
/// lesion though labelled 1, then where its lesion lies is not known (`lesions_known` false); 0, negative and normal
/// mean there is none. Throws `DataError` with file and line for everything that does not fit, missing files included.
Dataset read_manifest(const std::string& path);

/// Writes what `read_manifest` reads back: the same records in the same order, the paths relative to the CSV's folder
/// where they lie in it. Lesions of a record with unknown lesions are not written. Atomic; throws `DataError`.
void write_manifest(const std::string& path, const Dataset& data);

}  // namespace holon::pipeline
