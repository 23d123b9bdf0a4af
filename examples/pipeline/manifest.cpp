// pipeline/manifest.cpp: rows to records, each rule with its sentence.
#include "pipeline/manifest.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>
#include <span>

#include <holon/checkpoint/atomic_file.hpp>
#include <holon/core/error.hpp>

#include "pipeline/csv.hpp"
#include "pipeline/decode.hpp"

namespace holon::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 10> column_names = {"image", "patient", "label", "split", "class",
                                                      "x0",    "y0",      "x1",    "y1",    "mask"};

/// What is remembered of an image beside its record.
struct Known {
    std::size_t record = 0;
    std::size_t line = 0;        // of its first row
    bool told_abnormal = false;  // labelled benign or malignant, in words
    std::optional<ImageHeader> size;
};

class Reader {
 public:
    explicit Reader(const std::string& path) : table_(path), folder_(fs::path(path).parent_path()) {
        data_.source = "manifest:" + path;
        for (std::size_t i = 0; i < column_names.size(); ++i) columns_[i] = table_.column(column_names[i]);
        for (const std::string& column : table_.columns())
            if (std::find(column_names.begin(), column_names.end(), column) == column_names.end())
                data_.notices.push_back(text(path, ": the column '", column, "' is not used"));
    }

    Dataset read() {
        for (row_ = 0; row_ < table_.rows(); ++row_) add_row();
        std::size_t unknown = 0;
        for (auto& [path, known] : images_) {
            Record& record = data_.records[known.record];
            const bool malignant = std::any_of(record.lesions.begin(), record.lesions.end(), is_malignant);
            const bool located = record.label == 1 ? malignant : !record.lesions.empty() || !known.told_abnormal;
            record.lesions_known = located;
            unknown += !located;
        }
        if (unknown > 0)
            data_.notices.push_back(text(table_.path(), ": ", unknown,
                                         " images are abnormal, but where is not told; they give no patches"));
        return std::move(data_);
    }

 private:
    static bool is_malignant(const Lesion& lesion) {
        return lesion.finding == Finding::malignant_calcification || lesion.finding == Finding::malignant_mass;
    }

    std::string cell(std::size_t column) const { return trimmed(table_.cell(row_, columns_[column])); }

    template <class... Pieces> void must(bool holds, const Pieces&... pieces) const {
        if (!holds) throw DataError(text(table_.place(row_), ": ", pieces...));
    }

    std::string resolved(const std::string& name) const { return (folder_ / name).lexically_normal().string(); }

    /// The size of a picture, with the row's place in front of whatever is wrong with it.
    ImageHeader probed(const std::string& path) const {
        try {
            return probe_image(path);
        } catch (const DataError& error) {
            throw DataError(text(table_.place(row_), ": ", error.what()));
        }
    }

    int label(bool& told_abnormal) const {
        const std::string value = cell(2);
        told_abnormal = value == "benign" || value == "malignant";
        if (value == "1" || value == "positive" || value == "malignant") return 1;
        must(value == "0" || value == "negative" || value == "benign" || value == "normal", "label '", value,
             "'; 0, 1, negative, positive, normal, benign or malignant is needed");
        return 0;
    }

    Split split() const {
        const std::string value = cell(3);
        const auto found = std::find(split_names.begin(), split_names.end(), value);
        must(found != split_names.end(), "split '", value, "'; train, validation, test or nothing is needed");
        return Split(found - split_names.begin());
    }

    void add_row() {
        Record record;
        must(!cell(0).empty(), "no image is named");
        record.image = resolved(cell(0));
        record.patient = cell(1);
        must(!record.patient.empty(), "no patient is named; images of one patient need one name, others another");
        bool told_abnormal = false;
        record.label = label(told_abnormal);
        record.split = split();

        const auto [found, fresh] = images_.try_emplace(record.image);
        Known& known = found->second;
        if (fresh) {
            must(fs::is_regular_file(record.image), "there is no file ", record.image);
            known.record = data_.records.size();
            known.line = table_.line(row_);
            data_.records.push_back(record);
        }
        Record& first = data_.records[known.record];
        must(record.patient == first.patient, "image ", record.image, " has the patient ", record.patient, ", on line ",
             known.line, " it has ", first.patient);
        must(record.label == first.label, "image ", record.image, " has the label ", record.label, ", on line ",
             known.line, " it has ", first.label, "; the label is that of the whole image");
        must(record.split == first.split, "image ", record.image, " is in the split '", split_name(record.split),
             "', on line ", known.line, " in '", split_name(first.split), "'");
        known.told_abnormal |= told_abnormal;

        const auto [patient, unseen] = patients_.try_emplace(record.patient, record.split, table_.line(row_));
        must(patient->second.first == record.split, "patient ", record.patient, " is in the split '",
             split_name(record.split), "', on line ", patient->second.second, " in '",
             split_name(patient->second.first), "'; a patient must not be in two");

        if (std::optional<Lesion> lesion = read_lesion(record, known)) {
            must(fresh || !first.lesions.empty(), "image ", record.image, " has a lesion, line ", known.line,
                 " says it has none");
            must(cell(2) != "normal", "image ", record.image, " is labelled normal and has a lesion");
            must(!is_malignant(*lesion) || first.label == 1, "image ", record.image, " is labelled ", cell(2),
                 " and has a malignant lesion");
            first.lesions.push_back(std::move(*lesion));
        } else {
            must(fresh, "image ", record.image, " has a second row without a lesion; the first is line ", known.line);
        }
    }

    std::optional<Lesion> read_lesion(const Record& record, Known& known) const {
        const std::string finding = cell(4), mask = cell(9);
        const bool any = !cell(5).empty() || !cell(6).empty() || !cell(7).empty() || !cell(8).empty();
        if (finding.empty()) {
            must(!any && mask.empty(), "a box or a mask without a class");
            return std::nullopt;
        }
        const auto found = std::find(finding_names.begin() + 1, finding_names.end(), finding);
        must(found != finding_names.end(), "class '", finding, "'; ", finding_names[1], ", ", finding_names[2], ", ",
             finding_names[3], " or ", finding_names[4], " is needed");
        must(any || !mask.empty(), "a lesion of class ", finding, " without a box or a mask");

        Lesion lesion;
        lesion.finding = Finding(found - finding_names.begin());
        if (!known.size) known.size = probed(record.image);
        if (!mask.empty()) {
            lesion.mask = resolved(mask);
            const ImageHeader size = probed(lesion.mask);
            must(size.rows == known.size->rows && size.columns == known.size->columns, "mask ", lesion.mask, " is ",
                 size.columns, 'x', size.rows, ", its image is ", known.size->columns, 'x', known.size->rows);
        }
        lesion.box = any ? read_box(record, *known.size) : box_of_mask(lesion.mask);
        return lesion;
    }

    int coordinate(std::size_t column) const {
        const std::string value = cell(column);
        int number = 0;
        const auto end = std::from_chars(value.data(), value.data() + value.size(), number);
        must(end.ec == std::errc() && end.ptr == value.data() + value.size(), column_names[column], " is '", value,
             "'; a whole number of pixels is needed");
        return number;
    }

    Box read_box(const Record& record, ImageHeader size) const {
        const Box box{coordinate(5), coordinate(6), coordinate(7), coordinate(8)};
        must(box.x1 > box.x0 && box.y1 > box.y0, "the box ", shown(box), " is empty: x1 and y1 must exceed x0 and y0");
        must(box.x0 >= 0 && box.y0 >= 0 && box.x1 <= size.columns && box.y1 <= size.rows, "the box ", shown(box),
             " lies outside the image ", record.image, " of ", size.columns, 'x', size.rows,
             " (width x height), or in part");
        return box;
    }

    Box box_of_mask(const std::string& path) const {
        const Image mask = [&] {
            try {
                return read_image(path);
            } catch (const DataError& error) {
                throw DataError(text(table_.place(row_), ": ", error.what()));
            }
        }();
        Box box{mask.columns, mask.rows, 0, 0};
        for (int y = 0; y < mask.rows; ++y)
            for (int x = 0; x < mask.columns; ++x)
                if (mask.at(y, x) > 0)
                    box = {std::min(box.x0, x), std::min(box.y0, y), std::max(box.x1, x + 1), std::max(box.y1, y + 1)};
        must(box.x1 > 0, "mask ", path, " is empty: no pixel is above 0");
        return box;
    }

    static std::string shown(const Box& box) { return text(box.x0, ',', box.y0, ',', box.x1, ',', box.y1); }
    static std::string_view split_name(Split split) { return split_names[std::size_t(split)]; }

    CsvTable table_;
    fs::path folder_;
    std::array<std::size_t, column_names.size()> columns_{};
    std::size_t row_ = 0;
    Dataset data_;
    std::map<std::string, Known> images_;
    std::map<std::string, std::pair<Split, std::size_t>> patients_;  // with the line of the first row
};

/// Relative to `folder` if it lies in it, else absolute.
std::string written_path(const fs::path& folder, const std::string& path) {
    const fs::path whole = fs::absolute(path).lexically_normal();
    const fs::path relative = whole.lexically_relative(fs::absolute(folder).lexically_normal());
    return !relative.empty() && *relative.begin() != ".." ? relative.string() : whole.string();
}

}  // namespace

Dataset read_manifest(const std::string& path) { return Reader(path).read(); }

void write_manifest(const std::string& path, const Dataset& data) {
    const fs::path folder = fs::absolute(path).parent_path();
    std::string out = "image,patient,label,split,class,x0,y0,x1,y1,mask\n";
    for (const Record& record : data.records) {
        const bool lesions = record.lesions_known && !record.lesions.empty();
        const char* label = record.label == 1 ? "malignant" : lesions || !record.lesions_known ? "benign" : "normal";
        const std::string start = text(csv_cell(written_path(folder, record.image)), ',', csv_cell(record.patient), ',',
                                       label, ',', split_names[std::size_t(record.split)], ',');
        if (!lesions)
            out += start + ",,,,,\n";
        else
            for (const Lesion& lesion : record.lesions)
                out += text(start, finding_names[std::size_t(lesion.finding)], ',', lesion.box.x0, ',', lesion.box.y0,
                            ',', lesion.box.x1, ',', lesion.box.y1, ',',
                            lesion.mask.empty() ? "" : csv_cell(written_path(folder, lesion.mask)), '\n');
    }
    AtomicFile file(path, out.size());
    file.write(std::as_bytes(std::span(out)));
    file.commit();
}

}  // namespace holon::pipeline
