// pipeline/open.hpp: what --data names, opened.
#pragma once
#include <string>

#include "pipeline/dataset.hpp"

namespace holon::pipeline {

/// `phantom:DIR` (a manifest, DIR/manifest.csv), `mias:DIR`, `cbis-ddsm-mass:DIR` or `manifest:FILE.csv`. Nothing is
/// decoded yet beyond headers. Throws `DataError` for another form, and for all that the source refuses.
Dataset open_dataset(const std::string& data);

}  // namespace holon::pipeline
