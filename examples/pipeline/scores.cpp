#include "pipeline/scores.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>

#include <holon/core/error.hpp>

#include "pipeline/csv.hpp"

namespace holon::pipeline {

std::size_t Scores::positives() const { return std::size_t(std::count(label.begin(), label.end(), 1)); }

Scores read_scores(const std::vector<std::string>& paths) {
    Scores all;
    std::map<std::string, std::string> places;
    for (const std::string& path : paths) {
        const CsvTable table(path);
        const std::size_t image = table.column("image"), patient = table.column("patient"),
                          label = table.column("label"), score = table.column("score");
        for (std::size_t row = 0; row < table.rows(); ++row) {
            const std::string name = std::filesystem::path(table.cell(row, image)).stem().string();
            const auto [known, fresh] = places.emplace(name, table.place(row));
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
    std::map<std::string, std::size_t> at;
    for (std::size_t i = 0; i < other.size(); ++i) at[other.image[i]] = i;
    Scores out;
    for (std::size_t i = 0; i < first.size(); ++i) {
        const auto found = at.find(first.image[i]);
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
