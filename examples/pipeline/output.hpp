// pipeline/output.hpp: the folder a run writes to, and its CSV log.
#pragma once
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <holon/core/error.hpp>

namespace holon::pipeline {

/// Makes `folder` and proves, by writing a file, that it can be written to. Throws `DataError` otherwise.
inline void prepare_output(const std::string& folder) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    std::error_code unseen;
    expects<DataError>(std::filesystem::is_directory(folder, unseen), "--out ", folder, ": cannot be made a folder (",
                       error ? error.message() : "a file of that name is in the way", "); choose another");
    const std::string probe = folder + "/.writable";
    std::FILE* file = std::fopen(probe.c_str(), "wb");
    const bool written = file && std::fputs("x", file) >= 0;
    const bool closed = file && std::fclose(file) == 0;
    const int reason = errno;
    std::remove(probe.c_str());
    expects<DataError>(written && closed, "--out ", folder, ": cannot be written to (", std::strerror(reason),
                       "); choose another");
}

/// A CSV file that rows are added to, flushed row by row. On resume the rows after the resumed epoch are cut off by the
/// caller, who gives the rows to keep.
class CsvLog {
 public:
    CsvLog(std::string path, const std::string& header, const std::vector<std::string>& keep = {})
        : path_(std::move(path)), file_(std::fopen(path_.c_str(), "wb")) {
        expects<DataError>(file_ != nullptr, path_, ": cannot be written (", std::strerror(errno), ")");
        row(header);
        for (const std::string& line : keep) row(line);
    }
    ~CsvLog() {
        if (file_) std::fclose(file_);
    }
    CsvLog(const CsvLog&) = delete;
    CsvLog& operator=(const CsvLog&) = delete;

    void row(const std::string& line) {
        const bool good = std::fputs(line.c_str(), file_) >= 0 && std::fputc('\n', file_) != EOF && std::fflush(file_) == 0;
        expects<DataError>(good, path_, ": cannot be written (", std::strerror(errno), "); is the disk full?");
    }

 private:
    std::string path_;
    std::FILE* file_;
};

/// The first `count` rows after the header of a CSV log, for going on with it; fewer if there are fewer.
inline std::vector<std::string> read_log_rows(const std::string& path, std::size_t count) {
    std::vector<std::string> rows;
    if (std::FILE* file = std::fopen(path.c_str(), "rb")) {
        std::string line;
        bool header = true;
        for (int c; (c = std::fgetc(file)) != EOF;) {
            if (c != '\n') {
                line += char(c);
                continue;
            }
            if (!header && rows.size() < count) rows.push_back(line);
            header = false;
            line.clear();
        }
        std::fclose(file);
    }
    return rows;
}

}  // namespace holon::pipeline
