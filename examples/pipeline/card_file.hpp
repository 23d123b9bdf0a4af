// pipeline/card_file.hpp: descriptions of graphics cards, by name or from a file.
#pragma once
#include <string>

#include <holon/op/plan/card.hpp>

namespace holon::pipeline {

/// A known card, or the one that a .json file describes. The file has the members of `op::plan::Card` by their names,
/// all of them but `key` and `source`. Throws `DataError` naming the file and what is missing or no number.
op::plan::Card read_card(const std::string& name);

}  // namespace holon::pipeline
