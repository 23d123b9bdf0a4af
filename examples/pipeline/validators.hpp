// pipeline/validators.hpp: checks of numbers on a command line that the command-line library's own readers let pass.
#pragma once
#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>

#include <holon/core/error.hpp>

namespace holon::pipeline {

/// A check of an option's text that is refused with `needed`.
template <class Holds> CLI::Validator must(const char* needed, const Holds& holds) {
    return CLI::Validator(
        [=](std::string& value) { return holds(value) ? std::string() : text(value, ": ", needed, " is needed"); }, "");
}
inline const CLI::Validator at_least_0 = must("a number of at least 0", [](const std::string& value) {
    double number = -1;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    return error == std::errc() && end == value.data() + value.size() && number >= 0 && std::isfinite(number);
});
inline const CLI::Validator share_above_0 = must("a number above 0 and at most 1", [](const std::string& value) {
    double number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    return error == std::errc() && end == value.data() + value.size() && number > 0 && number <= 1;
});
inline const CLI::Validator seed_range = must("a whole number from 0 to 18446744073709551615", [](const std::string& value) {
    std::uint64_t number = 0;  // the command line's own reader takes -1 for the largest
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    return error == std::errc() && end == value.data() + value.size();
});

}  // namespace holon::pipeline
