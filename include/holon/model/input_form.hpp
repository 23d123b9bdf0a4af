// model/input_form.hpp: what numbers a trunk's weights expect for a grey value; travels in the checkpoint.
#pragma once
#include <array>
#include <charconv>
#include <map>
#include <string>
#include <string_view>

#include <holon/op/types.hpp>

namespace holon {

/// Channel k of the input is (grey - mean[k]) * scale[k], grey in 0..255 copied to three channels.
struct InputForm {
    std::string name = "paper";
    std::array<float, 3> mean{52.18f, 52.18f, 52.18f}, scale{1, 1, 1};

    op::WarpOptions warp(bool bilinear) const { return {.channels = 3, .bilinear = bilinear, .mean = mean, .scale = scale}; }
};

inline constexpr std::string_view input_form_names = "torchvision, keras, paper";

/// torchvision: (grey/255 - mean_k) / deviation_k, R G B. keras ("caffe"): grey - mean_k, B G R, no scaling.
/// paper: (grey - mean) * scale, the same for all channels (mean 52.18 on the paper's DDSM training set, scale 1;
/// 1/57.6 for weights that expect unit variance).
inline InputForm input_form(std::string_view name, float paper_mean = 52.18f, float paper_scale = 1) {
    if (name == "torchvision")
        return {"torchvision",
                {255 * 0.485f, 255 * 0.456f, 255 * 0.406f},
                {1 / (255 * 0.229f), 1 / (255 * 0.224f), 1 / (255 * 0.225f)}};
    if (name == "keras") return {"keras", {103.939f, 116.779f, 123.68f}, {1, 1, 1}};
    if (name == "paper")
        return {"paper", {paper_mean, paper_mean, paper_mean}, {paper_scale, paper_scale, paper_scale}};
    throw DataError(text("input form ", name, " is not known; there are ", input_form_names));
}

/// Adds `holon.input` and, for the paper's form, `holon.input.mean` and `.scale`, written so that they read back exactly.
inline void add_input_form(std::map<std::string, std::string>& metadata, const InputForm& form) {
    const auto exact = [](float value) {
        char digits[32];
        return std::string(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
    };
    metadata["holon.input"] = form.name;
    if (form.name == "paper") {
        metadata["holon.input.mean"] = exact(form.mean[0]);
        metadata["holon.input.scale"] = exact(form.scale[0]);
    }
}

/// The form that a file states, or `fallback` (the command line's); refused if neither says, or if they differ.
inline InputForm read_input_form(const std::string& path, const std::map<std::string, std::string>& metadata,
                                 std::string_view fallback) {
    const auto stated = metadata.find("holon.input");
    expects<DataError>(stated != metadata.end() || !fallback.empty(), path,
                       " does not say what input its weights expect (no holon.input); give --input-form ",
                       input_form_names);
    expects<DataError>(stated == metadata.end() || fallback.empty() || stated->second == fallback, path,
                       " was made for the input form ", stated == metadata.end() ? "" : stated->second,
                       ", --input-form says ", fallback, "; leave the option out");
    const auto number = [&](const char* key, float otherwise) {
        const auto found = metadata.find(key);
        if (found == metadata.end()) return otherwise;
        const std::string& value = found->second;
        float read = 0;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), read);
        expects<DataError>(error == std::errc() && end == value.data() + value.size(), path, ": ", key, " = \"", value,
                           "\" is not a number");
        return read;
    };
    const float mean = number("holon.input.mean", 52.18f), scale = number("holon.input.scale", 1);
    return input_form(stated != metadata.end() ? std::string_view(stated->second) : fallback, mean, scale);
}

}  // namespace holon
