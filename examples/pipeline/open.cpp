// pipeline/open.cpp: the four schemes.
#include "pipeline/open.hpp"

#include <filesystem>

#include <holon/core/error.hpp>

#include "pipeline/cbis.hpp"
#include "pipeline/manifest.hpp"
#include "pipeline/mias.hpp"

namespace holon::pipeline {

Dataset open_dataset(const std::string& data) {
    const auto colon = data.find(':');
    const std::string scheme = data.substr(0, colon), place = colon == data.npos ? "" : data.substr(colon + 1);
    const bool folder = scheme == "phantom" || scheme == "mias" || scheme == "cbis-ddsm-mass";
    expects<DataError>((folder || scheme == "manifest") && !place.empty(), "--data '", data,
                       "': phantom:DIR, mias:DIR, cbis-ddsm-mass:DIR or manifest:FILE.csv is needed");
    expects<DataError>(!folder || std::filesystem::is_directory(place), "--data ", data, ": there is no folder ",
                       place);
    if (scheme == "mias") return read_mias(place);
    if (scheme == "cbis-ddsm-mass") return read_cbis_mass(place);
    Dataset read = read_manifest(folder ? place + "/manifest.csv" : place);
    read.source = data;
    return read;
}

}  // namespace holon::pipeline
