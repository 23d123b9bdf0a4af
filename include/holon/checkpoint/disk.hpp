// checkpoint/disk.hpp: the system calls that files rest on, in one place, so that tests can make each of them fail.
#pragma once
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>

namespace holon {

/// How many files a save leaves: the new one, or also the one before it, as `<path>.previous`.
enum class Generations { one, two };

/// Each member is the call of the same name: same arguments, same result, same errno.
class Disk {
 public:
    virtual ~Disk() = default;
    virtual int open(const char* path, int flags, unsigned mode) { return ::open(path, flags, mode); }
    virtual int close(int file) { return ::close(file); }
    virtual int fstat(int file, struct stat* found) { return ::fstat(file, found); }
    virtual int lstat(const char* path, struct stat* found) { return ::lstat(path, found); }
    virtual ssize_t pread(int file, void* to, std::size_t bytes, std::uint64_t offset) {
        return ::pread(file, to, bytes, off_t(offset));
    }
    virtual ssize_t pwrite(int file, const void* from, std::size_t bytes, std::uint64_t offset) {
        return ::pwrite(file, from, bytes, off_t(offset));
    }
    virtual int flock(int file, int operation) { return ::flock(file, operation); }
    virtual int fsync(int file) { return ::fsync(file); }
    virtual int rename(const char* from, const char* to) { return ::rename(from, to); }
    virtual int link(const char* from, const char* to) { return ::link(from, to); }
    virtual int unlink(const char* path) { return ::unlink(path); }
};

/// The machine's own.
inline Disk& real_disk() {
    static Disk disk;
    return disk;
}

/// An open file, closed at the end of its life. Errors of that close are not seen: sync first where they matter.
class OpenFile {
 public:
    OpenFile() = default;
    OpenFile(Disk& disk, int file) : disk_(&disk), file_(file) {}
    OpenFile(OpenFile&& other) noexcept : disk_(other.disk_), file_(std::exchange(other.file_, -1)) {}
    OpenFile& operator=(OpenFile&& other) noexcept {
        std::swap(disk_, other.disk_);
        std::swap(file_, other.file_);
        return *this;
    }
    ~OpenFile() { reset(); }

    explicit operator bool() const { return file_ >= 0; }
    int get() const { return file_; }
    void reset() {
        if (file_ >= 0) disk_->close(std::exchange(file_, -1));  // never retried: after EINTR Linux has closed it
    }

 private:
    Disk* disk_ = nullptr;
    int file_ = -1;
};

namespace detail {

/// Calls again for as long as a signal came in between.
template <class Call> auto uninterrupted(Call call) {
    auto result = call();
    while (result == -1 && errno == EINTR) result = call();
    return result;
}

/// `No space left on device (errno 28)`.
inline std::string reason(int code) {
    return std::generic_category().message(code) + " (errno " + std::to_string(code) + ")";
}

/// What stands before the last slash: the directory a file is in.
inline std::string directory_of(const std::string& path) {
    const auto slash = path.rfind('/');
    return slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace detail
}  // namespace holon
