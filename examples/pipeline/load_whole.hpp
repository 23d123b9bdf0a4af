// pipeline/load_whole.hpp: checkpoints back into the networks they came from, by what they tell about themselves.
#pragma once
#include <holon/model/whole_image.hpp>

#include "pipeline/models.hpp"

namespace holon::pipeline {

/// Refuses a checkpoint of another kind, saying what it is.
inline void expects_kind(const SafetensorsFile& file, const std::string& kind) {
    const std::string& found = metadata_value(file, "holon.kind");
    expects<DataError>(found == kind, file.path(), " holds a ", found, " classifier, a ", kind,
                       " classifier is needed here");
}

/// The whole-image classifier of a checkpoint.
template <Element T, Device D>
WholeImage<T, D> load_whole(const SafetensorsFile& file) {
    expects_kind(file, "whole");
    Random unused;
    WholeImage<T, D> net(make_trunk<T, D>(metadata_value(file, "holon.network"), unused),
                           parse_top(metadata_value(file, "holon.top")), 2, 0);
    load_network(file, net);
    return net;
}

/// Whether the file is a whole-image classifier with this top, so that training can go on from all of it, on other data
/// perhaps; said aloud, as is that one with another top gives its trunk alone.
inline bool goes_on_from_whole(const SafetensorsFile& file, const std::string& top) {
    const auto kind = file.metadata().find("holon.kind");
    if (kind == file.metadata().end() || kind->second != "whole") return false;
    const std::string& theirs = metadata_value(file, "holon.top");
    std::cout << "note: " << file.path() << " is a whole-image classifier "
              << (theirs == top ? "with this top; training goes on from all of it, head and all"
                                : text("with the top ", theirs, ", not ", top, "; only its trunk is taken"))
              << '\n';
    return theirs == top;
}

/// The patch classifier of a checkpoint.
template <Element T, Device D>
PatchClassifier<T, D> load_patch(const SafetensorsFile& file) {
    expects_kind(file, "patch");
    const std::string& classes = metadata_value(file, "holon.classes");
    const int count = int(std::count(classes.begin(), classes.end(), ',')) + 1;
    PatchClassifier<T, D> net(metadata_value(file, "holon.network"), count, 0.0, 0);
    load_network(file, net);
    return net;
}

}  // namespace holon::pipeline
