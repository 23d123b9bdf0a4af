// pipeline/csv.cpp: one pass over the characters.
#include "pipeline/csv.hpp"

#include <algorithm>

#include <holon/core/error.hpp>

#include "pipeline/file_bytes.hpp"

namespace holon::pipeline {
namespace {

class Parser {
 public:
    Parser(std::string_view text, const std::string& name) : text_(text), name_(name) {
        if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
        for (std::size_t i = 0, line = 1; i < text_.size(); ++i) {
            expects<DataError>(text_[i] != '\0', name_, " line ", line,
                               ": a NUL byte; this is no CSV text in UTF-8 (save it as CSV UTF-8)");
            if (text_[i] == '\n') ++line;
        }
    }

    std::vector<CsvRow> rows() {
        std::vector<CsvRow> rows;
        while (at_ < text_.size()) {
            CsvRow row{line_, {}};
            do row.cells.push_back(cell(row.cells.size() + 1));
            while (ended_by_comma_);
            if (row.cells.size() > 1 || !row.cells[0].empty()) rows.push_back(std::move(row));
        }
        return rows;
    }

 private:
    /// One cell and the comma or the line end after it.
    std::string cell(std::size_t number) {
        std::string value;
        if (at_ < text_.size() && text_[at_] == '"')
            value = quoted(number);
        else
            for (; at_ < text_.size() && !ends_cell(text_[at_]); ++at_) {
                expects<DataError>(
                    text_[at_] != '"', name_, " line ", line_, ", cell ", number,
                    ": a quote inside a cell that did not begin with one; quote the cell and double the quote");
                value += text_[at_];
            }
        expects<DataError>(at_ == text_.size() || ends_cell(text_[at_]), name_, " line ", line_, ", cell ", number,
                           ": text after the closing quote");
        ended_by_comma_ = at_ < text_.size() && text_[at_] == ',';
        if (ended_by_comma_)
            ++at_;
        else
            line_end();
        return value;
    }

    std::string quoted(std::size_t number) {
        const std::size_t begin = line_;
        std::string value;
        for (++at_;;) {
            expects<DataError>(at_ < text_.size(), name_, " line ", begin, ", cell ", number,
                               ": a quote that is opened here is never closed");
            const char c = text_[at_];
            if (c == '"') {
                if (at_ + 1 >= text_.size() || text_[at_ + 1] != '"') break;
                ++at_;
            }
            value += c;
            if (c == '\n') ++line_;
            ++at_;
        }
        ++at_;
        return value;
    }

    void line_end() {
        if (at_ == text_.size()) return;
        if (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n') ++at_;
        ++at_;
        ++line_;
    }

    static bool ends_cell(char c) { return c == ',' || c == '\n' || c == '\r'; }

    std::string_view text_;
    const std::string& name_;
    std::size_t at_ = 0, line_ = 1;
    bool ended_by_comma_ = false;
};

}  // namespace

std::vector<CsvRow> parse_csv(std::string_view text, const std::string& name) { return Parser(text, name).rows(); }

std::string csv_cell(const std::string& value) {
    if (value.find_first_of(",\"\r\n") == value.npos) return value;
    std::string out = "\"";
    for (const char c : value) {
        if (c == '"') out += '"';
        out += c;
    }
    return out + '"';
}

CsvTable::CsvTable(const std::string& path) : path_(path), rows_(parse_csv(read_bytes(path), path)) {
    expects<DataError>(!rows_.empty(), path, ": a CSV without a header; its first row must name the columns");
    const std::size_t header = rows_.front().line;
    for (const std::string& name : rows_.front().cells) {
        const std::string column = trimmed(name);
        expects<DataError>(std::find(columns_.begin(), columns_.end(), column) == columns_.end(), path, " line ",
                           header, ": two columns are named '", column, "'");
        columns_.push_back(column);
    }
    rows_.erase(rows_.begin());
    for (const CsvRow& row : rows_)
        expects<DataError>(row.cells.size() == columns_.size(), path, " line ", row.line, ": ", row.cells.size(),
                           " cells, the header has ", columns_.size());
}

std::size_t CsvTable::column(const std::string& name) const {
    const auto found = std::find(columns_.begin(), columns_.end(), name);
    if (found != columns_.end()) return std::size_t(found - columns_.begin());
    std::string all;
    for (const std::string& column : columns_) all += (all.empty() ? "" : ", ") + column;
    const bool semicolons = columns_.size() == 1 && all.find(';') != all.npos;
    throw DataError(text(path_, ": no column '", name, "'; there are: ", all,
                         semicolons ? " (cells must be separated by commas, not semicolons)" : ""));
}

std::string CsvTable::place(std::size_t row) const { return text(path_, " line ", rows_[row].line); }

std::string trimmed(std::string_view value) {
    constexpr const char* white = " \t\r\n\v\f";
    const std::size_t begin = value.find_first_not_of(white);
    if (begin == value.npos) return {};
    return std::string(value.substr(begin, value.find_last_not_of(white) - begin + 1));
}

}  // namespace holon::pipeline
