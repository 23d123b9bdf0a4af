// pipeline/cbis.hpp: the masses of CBIS-DDSM's training part, resized, with a COCO file of boxes.
#pragma once
#include <string>

#include "pipeline/dataset.hpp"

namespace holon::pipeline {

/// Reads DIR/csv/mass_case_description_train_set.csv, which gives patients and labels, and
/// DIR/images/_annotations.coco.json, which gives a box to each mass, in pixels of the images
/// DIR/images/PPPPP_SIDE_VIEW.jpg.
///
/// An image is positive if any of its rows is MALIGNANT; BENIGN and BENIGN_WITHOUT_CALLBACK are negative. The boxes are
/// not tied to the rows, so an image where benign and malignant masses meet has no known lesions, with a notice, and so
/// has one with fewer boxes than rows. Calcifications are not looked at: an image's label is that of its masses.
///
/// Images that are absent are left out, with a notice. Throws `DataError` for a table or a JSON file that cannot be
/// understood, for a box outside its image, for an image of another size than the JSON file says, and if there is none.
Dataset read_cbis_mass(const std::string& folder);

}  // namespace holon::pipeline
