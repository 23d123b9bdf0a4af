// pipeline/mias.hpp: mini-MIAS (Suckling et al. 1994) as it is distributed: film, one view a breast, circles.
#pragma once
#include <string>

#include "pipeline/dataset.hpp"

namespace holon::pipeline {

/// Reads DIR/Info.txt and the images mdbNNN.png or mdbNNN.pgm in DIR/images or DIR.
///
/// Info.txt has a row for each lesion, `mdbNNN tissue class [severity [x y radius]]`, counted from the bottom left: the
/// row of a centre is 1024 - y. A circle becomes the box around its pixels, clipped to the image. Class CALC is a
/// calcification, the others are masses. An image is positive if any of its rows is M. If one of its rows has no place,
/// its lesions are not known. mdb001 and mdb002, and so on, are one patient. Lines that begin otherwise are prose.
///
/// Images that Info.txt names and that are absent are left out, with a notice. Throws `DataError` for a row that cannot
/// be understood (with its line), for an image that is not 1024x1024, and if there is no image at all.
Dataset read_mias(const std::string& folder);

}  // namespace holon::pipeline
