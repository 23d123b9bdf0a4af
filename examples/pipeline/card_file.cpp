#include "pipeline/card_file.hpp"

#include <nlohmann/json.hpp>

#include "pipeline/file_bytes.hpp"

namespace holon::pipeline {

op::plan::Card read_card(const std::string& name) {
    if (!name.ends_with(".json")) return op::plan::find_card(name);
    const auto json = nlohmann::json::parse(read_bytes(name), nullptr, /*allow_exceptions*/ false);
    expects<DataError>(json.is_object(), name,
                       ": not a JSON object; `plan --list` has cards, `plan --describe FILE.json` writes the one at hand");
    const auto number = [&](const char* member, auto& value, double least) {
        const auto found = json.find(member);
        expects<DataError>(found != json.end(), name, ": no \"", member, "\"");
        expects<DataError>(found->is_number() && found->template get<double>() >= least, name, ": \"", member, "\" is ",
                           found->dump(), "; a number of at least ", least, " is needed");
        value = found->template get<std::remove_reference_t<decltype(value)>>();
    };
    op::plan::Card card;
    card.key = name;
    expects<DataError>(json.contains("name") && json["name"].is_string(), name, ": no \"name\"");
    card.name = json["name"];
    expects<DataError>(card.name.find_first_of("\"\\\n") == std::string::npos, name, ": \"name\" has quotes in it");
    card.source = json.value("source", std::string("from ") + name);
    number("compute_capability", card.compute_capability, 500);
    number("multiprocessors", card.multiprocessors, 1);
    number("memory", card.memory, 1);
    number("l2_cache", card.l2_cache, 0);
    number("shared_memory_per_block", card.shared_memory_per_block, 1);
    number("threads_per_multiprocessor", card.threads_per_multiprocessor, 1);
    number("blocks_per_multiprocessor", card.blocks_per_multiprocessor, 1);
    number("core_khz", card.core_khz, 1);
    number("memory_khz", card.memory_khz, 1);
    number("bandwidth", card.bandwidth, 1);
    number("rate_16bit", card.rate_16bit, 1);
    number("rate_tf32", card.rate_tf32, 1);
    number("rate_fp32", card.rate_fp32, 1);
    return card;
}

}  // namespace holon::pipeline
