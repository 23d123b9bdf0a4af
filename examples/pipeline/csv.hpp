// pipeline/csv.hpp: tables as spreadsheets write them, with the line of every row for the messages.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace holon::pipeline {

struct CsvRow {
    std::size_t line = 0;  ///< where it begins, from 1
    std::vector<std::string> cells;
};

/// Splits text into rows (RFC 4180): cells may be quoted and then hold commas, line ends and doubled quotes. Lines end
/// with LF, CRLF or CR; the last may lack its end; empty lines and a UTF-8 byte order mark are passed over. Throws
/// `DataError` with `name` and the line for a quote that never closes or stands inside an open cell, for text after a
/// closing quote, and for a NUL.
std::vector<CsvRow> parse_csv(std::string_view text, const std::string& name);

/// A cell as it must be written so that `parse_csv` gives it back.
std::string csv_cell(const std::string& value);

/// A CSV file whose first row names its columns. The rows all have as many cells as the header, or it is refused.
class CsvTable {
 public:
    /// Throws `DataError` for what `read_bytes` and `parse_csv` refuse, for no header, and for a column named twice.
    explicit CsvTable(const std::string& path);

    const std::string& path() const { return path_; }
    std::size_t rows() const { return rows_.size(); }
    const std::vector<std::string>& columns() const { return columns_; }

    /// The index of a column. Throws `DataError` that lists the columns there are.
    std::size_t column(const std::string& name) const;
    const std::string& cell(std::size_t row, std::size_t column) const { return rows_[row].cells[column]; }

    /// The row's first line, from 1.
    std::size_t line(std::size_t row) const { return rows_[row].line; }
    /// "cases.csv line 7", for a message.
    std::string place(std::size_t row) const;

 private:
    std::string path_;
    std::vector<std::string> columns_;
    std::vector<CsvRow> rows_;
};

/// Without white space at both ends.
std::string trimmed(std::string_view text);

}  // namespace holon::pipeline
