// pipeline/cbis.cpp: the table by image, the boxes by image, and the two together.
#include "pipeline/cbis.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include <holon/core/error.hpp>

#include "pipeline/csv.hpp"
#include "pipeline/decode.hpp"
#include "pipeline/file_bytes.hpp"

namespace holon::pipeline {
namespace {

namespace fs = std::filesystem;

struct Case {
    std::string patient;
    std::size_t benign = 0, malignant = 0;  // rows
};

struct Annotated {
    ImageHeader size;
    std::vector<Box> boxes;
};

std::map<std::string, Case> read_cases(const std::string& path) {
    const CsvTable table(path);
    const std::size_t patient = table.column("patient_id"), side = table.column("left or right breast"),
                      view = table.column("image view"), pathology = table.column("pathology");
    std::map<std::string, Case> cases;
    for (std::size_t row = 0; row < table.rows(); ++row) {
        const std::string id = trimmed(table.cell(row, patient)), verdict = trimmed(table.cell(row, pathology));
        expects<DataError>(id.size() > 2 && id.starts_with("P_"), table.place(row), ": patient_id '", id,
                           "' is not like P_00001");
        const std::string name =
            id.substr(2) + '_' + trimmed(table.cell(row, side)) + '_' + trimmed(table.cell(row, view)) + ".jpg";
        expects<DataError>(verdict == "MALIGNANT" || verdict == "BENIGN" || verdict == "BENIGN_WITHOUT_CALLBACK",
                           table.place(row), ": pathology '", verdict,
                           "'; MALIGNANT, BENIGN or BENIGN_WITHOUT_CALLBACK is needed");
        Case& one = cases[name];
        one.patient = id;
        ++(verdict == "MALIGNANT" ? one.malignant : one.benign);
    }
    expects<DataError>(!cases.empty(), path, ": no rows below the header");
    return cases;
}

/// Outwards to whole pixels. The boxes are rounded to 1/100 pixel, so at the border one may pass it by that much.
Box whole_pixels(const std::string& path, const std::string& name, ImageHeader size, const std::vector<double>& b) {
    expects<DataError>(b.size() == 4, path, ": a bbox of ", name, " has ", b.size(),
                       " numbers; x, y, width, height are needed");
    constexpr double slack = 0.02;
    expects<DataError>(b[2] > 0 && b[3] > 0 && b[0] >= -slack && b[1] >= -slack &&
                           b[0] + b[2] <= size.columns + slack && b[1] + b[3] <= size.rows + slack,
                       path, ": the bbox ", b[0], ", ", b[1], ", ", b[2], ", ", b[3], " of ", name,
                       " is empty or lies outside its ", size.columns, 'x', size.rows, " pixels, or in part");
    return {std::max(0, int(std::floor(b[0]))), std::max(0, int(std::floor(b[1]))),
            std::min(size.columns, int(std::ceil(b[0] + b[2]))), std::min(size.rows, int(std::ceil(b[1] + b[3])))};
}

std::map<std::string, Annotated> read_coco(const std::string& path) {
    const std::string bytes = read_bytes(path);
    std::map<std::string, Annotated> annotated;
    try {
        const nlohmann::json coco = nlohmann::json::parse(bytes);
        std::map<std::int64_t, std::string> names;
        for (const auto& image : coco.at("images")) {
            const std::string name = image.at("file_name");
            Annotated& entry = annotated[name];
            entry.size = {image.at("height"), image.at("width")};
            const auto id = image.at("id").get<std::int64_t>();
            const auto [other, fresh] = names.emplace(id, name);
            expects<DataError>(fresh, path, ": ", name, " and ", other->second, " have the same id ", id);
        }
        for (const auto& annotation : coco.at("annotations")) {
            const auto id = annotation.at("image_id").get<std::int64_t>();
            const auto name = names.find(id);
            expects<DataError>(name != names.end(), path, ": an annotation is for the image_id ", id,
                               ", which no image has");
            Annotated& entry = annotated[name->second];
            entry.boxes.push_back(
                whole_pixels(path, name->second, entry.size, annotation.at("bbox").get<std::vector<double>>()));
        }
    } catch (const nlohmann::json::exception& error) {
        throw DataError(text(path, ": not the COCO annotations that are needed: ", error.what()));
    }
    return annotated;
}

}  // namespace

Dataset read_cbis_mass(const std::string& folder) {
    const std::string table = folder + "/csv/mass_case_description_train_set.csv";
    const std::string coco = folder + "/images/_annotations.coco.json";
    const auto cases = read_cases(table);
    auto annotated = read_coco(coco);

    Dataset data;
    data.source = "cbis-ddsm-mass:" + folder;
    std::size_t absent = 0, mixed = 0, unboxed = 0;
    for (const auto& [name, one] : cases) {
        Record record;
        record.image = folder + "/images/" + name;
        if (!fs::is_regular_file(record.image)) {
            ++absent;
            continue;
        }
        record.patient = one.patient;
        record.label = one.malignant > 0 ? 1 : 0;
        const auto found = annotated.find(name);
        const bool both = one.benign > 0 && one.malignant > 0;
        const bool boxed = found != annotated.end() && found->second.boxes.size() >= one.benign + one.malignant;
        record.lesions_known = !both && boxed;
        mixed += both;
        unboxed += !both && !boxed;
        if (record.lesions_known) {
            const ImageHeader size = probe_image(record.image), said = found->second.size;
            expects<DataError>(size.rows == said.rows && size.columns == said.columns, record.image, ": is ",
                               size.columns, 'x', size.rows, ", ", coco, " says ", said.columns, 'x', said.rows);
            for (const Box& box : found->second.boxes)
                record.lesions.push_back({record.label == 1 ? Finding::malignant_mass : Finding::benign_mass, box, {}});
        }
        data.records.push_back(std::move(record));
    }
    expects<DataError>(!data.records.empty(), folder, ": none of the ", cases.size(), " images that ", table,
                       " names is in ", folder, "/images");
    if (absent > 0) data.notices.push_back(text(table, " names ", cases.size(), " images, ", absent, " are absent"));
    if (mixed > 0)
        data.notices.push_back(text(mixed,
                                    " images have benign and malignant masses, and no box is tied to one of them; "
                                    "they give no patches"));
    if (unboxed > 0)
        data.notices.push_back(text(coco, ": ", unboxed, " images have fewer boxes than masses; they give no patches"));
    return data;
}

}  // namespace holon::pipeline
