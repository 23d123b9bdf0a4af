// pipeline/file_bytes.cpp: the system calls behind file_bytes.hpp.
#include "pipeline/file_bytes.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>

#include <holon/checkpoint/disk.hpp>
#include <holon/core/error.hpp>

namespace holon::pipeline {
namespace {

struct Opened {
    OpenFile file;
    std::uint64_t bytes = 0;
};

Opened open_regular(const std::string& path) {
    expects<DataError>(!path.empty(), "a file name is empty");
    // Without O_NONBLOCK opening a pipe would wait for somebody to write into it.
    Opened opened{OpenFile(real_disk(), ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)), 0};
    const int code = errno;
    expects<DataError>(bool(opened.file), path, ": cannot be opened: ", detail::reason(code));
    struct stat found {};
    const int looked = ::fstat(opened.file.get(), &found) == 0 ? 0 : errno;
    expects<DataError>(looked == 0, path, ": cannot be looked at: ", detail::reason(looked));
    expects<DataError>(!S_ISDIR(found.st_mode), path, ": is a directory; a file is needed");
    expects<DataError>(S_ISREG(found.st_mode), path, ": is a pipe, a socket or a device; a regular file is needed");
    expects<DataError>(found.st_size > 0, path, ": is empty");
    opened.bytes = std::uint64_t(found.st_size);
    return opened;
}

std::string read_from(const std::string& path, const Opened& opened, std::size_t count) {
    std::string bytes(count, '\0');
    std::size_t done = 0;
    while (done < count) {
        const ssize_t got =
            detail::uninterrupted([&] { return ::read(opened.file.get(), bytes.data() + done, count - done); });
        const int refused = errno;
        expects<DataError>(got >= 0, path, ": cannot be read: ", detail::reason(refused));
        expects<DataError>(got > 0, path, ": ends at byte ", done, " of ", count,
                           "; it became shorter while it was read");
        done += std::size_t(got);
    }
    return bytes;
}

}  // namespace

std::string read_bytes(const std::string& path, std::uint64_t limit) {
    const Opened opened = open_regular(path);
    expects<DataError>(opened.bytes <= limit, path, ": has ", opened.bytes, " bytes; at most ", limit, " are read");
    return read_from(path, opened, std::size_t(opened.bytes));
}

std::string read_start(const std::string& path, std::size_t count) {
    const Opened opened = open_regular(path);
    return read_from(path, opened, std::size_t(std::min<std::uint64_t>(opened.bytes, count)));
}

void write_bytes(const std::string& path, std::string_view bytes) {
    const std::string aside = path + ".part";
    std::FILE* file = std::fopen(aside.c_str(), "wb");
    const int open_code = errno;
    expects<DataError>(file != nullptr, path, ": cannot be written: ", detail::reason(open_code));
    const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
    const int write_code = errno;
    const bool closed = std::fclose(file) == 0;  // a full disk may be told of only here
    const int close_code = errno;
    const bool renamed = written && closed && std::rename(aside.c_str(), path.c_str()) == 0;
    const int code = !written ? write_code : !closed ? close_code : errno;
    if (!renamed) std::remove(aside.c_str());
    expects<DataError>(renamed, path, ": its ", bytes.size(), " bytes cannot be written: ", detail::reason(code));
}

}  // namespace holon::pipeline
