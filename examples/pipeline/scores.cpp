#include "pipeline/scores.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include <holon/core/error.hpp>

#include "pipeline/csv.hpp"

namespace holon::pipeline {

std::size_t Scores::positives() const { return std::size_t(std::count(label.begin(), label.end(), 1)); }

namespace {

/// The last `parts` parts of a path, without extension: "left/cc" of "/data/left/cc.png" for 2.
std::string end_of(const std::string& path, std::size_t parts) {
    const std::filesystem::path whole = std::filesystem::path(path).replace_extension();
    std::filesystem::path out;
    auto at = whole.end();
    while (parts-- > 0 && at != whole.begin()) out = out.empty() ? *--at : *--at / out;
    return out.generic_string();
}

/// How many parts of the paths' ends it takes so that no image of a patient looks like another; all of them where two
/// are the same.
std::size_t parts_needed(const CsvTable& table, std::size_t image, std::size_t patient) {
    std::size_t most = 1;
    for (std::size_t row = 0; row < table.rows(); ++row) {
        const std::filesystem::path path(table.cell(row, image));
        most = std::max(most, std::size_t(std::distance(path.begin(), path.end())));
    }
    for (std::size_t parts = 1; parts < most; ++parts) {
        std::set<std::pair<std::string, std::string>> seen;
        for (std::size_t row = 0; row < table.rows(); ++row)
            seen.emplace(table.cell(row, patient), end_of(table.cell(row, image), parts));
        if (seen.size() == table.rows()) return parts;
    }
    return most;
}

}  // namespace

Scores read_scores(const std::vector<std::string>& paths) {
    Scores all;
    std::map<std::pair<std::string, std::string>, std::string> places;
    for (const std::string& path : paths) {
        const CsvTable table(path);
        const std::size_t image = table.column("image"), patient = table.column("patient"),
                          label = table.column("label"), score = table.column("score");
        const std::size_t parts = parts_needed(table, image, patient);
        for (std::size_t row = 0; row < table.rows(); ++row) {
            const std::string name = end_of(table.cell(row, image), parts);
            const auto [known, fresh] = places.emplace(std::pair(table.cell(row, patient), name), table.place(row));
            expects<DataError>(fresh, table.place(row), ": image ", name, " stands at ", known->second, " as well");
            const std::string& kind = table.cell(row, label);
            expects<DataError>(kind == "0" || kind == "1", table.place(row), ": label \"", kind,
                               "\"; 0 or 1 is needed");
            const std::string& digits = table.cell(row, score);
            double value = 0;
            const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
            expects<DataError>(error == std::errc() && end == digits.data() + digits.size() && !std::isnan(value),
                               table.place(row), ": score \"", digits, "\" is not a number");
            all.image.push_back(name);
            all.patient.push_back(table.cell(row, patient));
            all.label.push_back(kind == "1");
            all.score.push_back(value);
        }
    }
    return all;
}

Scores in_order_of(const Scores& first, const Scores& other) {
    std::map<std::pair<std::string, std::string>, std::size_t> at;
    for (std::size_t i = 0; i < other.size(); ++i) at[{other.patient[i], other.image[i]}] = i;
    Scores out;
    for (std::size_t i = 0; i < first.size(); ++i) {
        const auto found = at.find({first.patient[i], first.image[i]});
        expects<DataError>(found != at.end(), "image ", first.image[i], " is scored by the first files only");
        const std::size_t k = found->second;
        expects<DataError>(other.label[k] == first.label[i], "image ", first.image[i], " has the label ",
                           first.label[i], " in the first files and ", other.label[k], " in those behind --against");
        out.image.push_back(other.image[k]);
        out.patient.push_back(first.patient[i]);
        out.label.push_back(other.label[k]);
        out.score.push_back(other.score[k]);
    }
    expects<DataError>(other.size() == first.size(), "the files behind --against score ", other.size(),
                       " images, the first ", first.size(), "; a paired difference needs the same images");
    return out;
}

}  // namespace holon::pipeline
