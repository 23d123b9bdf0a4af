// checkpoint/atomic_file.hpp: whatever is killed and whenever, the path holds the whole old file or the whole new one.
#pragma once
#include <dirent.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include <holon/checkpoint/disk.hpp>
#include <holon/core/error.hpp>

namespace holon {

/// A file written aside, in the same directory, that takes its name only when it is complete and on the disk. Until
/// `commit` returns the path holds what it held before; without `commit` nothing is left behind. A symbolic link is
/// followed. What a killed process left unfinished is removed by the next save to the same path.
///
/// Everything throws `DataError` with the path, the system's reason and, on a full disk, bytes needed and free.
class AtomicFile {
 public:
    /// `bytes` is how long the file will be; it serves the messages only.
    AtomicFile(const std::string& path, std::uint64_t bytes, Generations keep = Generations::one,
               Disk& disk = real_disk())
        : disk_(disk), path_(path), bytes_(bytes), keep_(keep) {
        find_place();
        remove_leftovers();
        create();
    }
    ~AtomicFile() { discard(); }
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    /// Appends.
    void write(std::span<const std::byte> data) {
        write_at(size_, data);
        size_ += data.size();
    }
    /// Writes over what is there; bytes appended later still go to the end.
    void write_at(std::uint64_t offset, std::span<const std::byte> data) {
        while (!data.empty()) {
            const ssize_t done =
                detail::uninterrupted([&] { return disk_.pwrite(file_.get(), data.data(), data.size(), offset); });
            if (done <= 0) fail("writing", done == 0 ? EIO : errno);
            data = data.subspan(std::size_t(done));
            offset += std::uint64_t(done);
        }
    }
    /// Bytes appended so far.
    std::uint64_t size() const { return size_; }

    /// Gives the file its name. When it returns, the file survives a loss of power.
    void commit() {
        if (detail::uninterrupted([&] { return disk_.fsync(file_.get()); }) != 0) fail("fsync", errno);
        if (keep_ == Generations::two && replaces_) keep_previous();
        if (disk_.rename(temporary_.c_str(), target_.c_str()) != 0) fail("renaming", errno);
        temporary_.clear();
        file_.reset();  // only now: the lock guards the unfinished name, and after fsync a close has nothing to lose
        if (detail::uninterrupted([&] { return disk_.fsync(directory_file_.get()); }) != 0 && errno != EINVAL) {
            throw DataError(text("saved ", path_, " whole, but fsync of its directory ", directory_, " failed: ",
                                 detail::reason(errno), "; until the disk is well it may not survive a loss of power"));
        }
    }

 private:
    void find_place() {
        std::unique_ptr<char, void (*)(void*)> followed(nullptr, std::free);
        struct stat found {};
        target_ = path_;
        if (disk_.lstat(path_.c_str(), &found) == 0 && S_ISLNK(found.st_mode)) {
            followed.reset(::realpath(path_.c_str(), nullptr));
            expects<DataError>(followed != nullptr, "cannot save ", path_, ": it is a symbolic link to nowhere");
            target_ = followed.get();
        }
        directory_ = detail::directory_of(target_);
        directory_file_ = OpenFile(disk_, detail::uninterrupted([&] {
                                       return disk_.open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
                                   }));
        if (!directory_file_) {
            const int code = errno;
            throw DataError(text("cannot save ", path_, ": opening its directory ", directory_,
                                 " failed: ", detail::reason(code),
                                 code == ENOENT    ? "; make the directory first"
                                 : code == ENOTDIR ? "; a file stands where a directory is needed"
                                                   : "; make it readable or choose another place"));
        }
        expects<DataError>(!target_.empty() && target_.back() != '/', "cannot save '", path_,
                           "': that names a directory; name a file inside it");
        replaces_ = disk_.lstat(target_.c_str(), &found) == 0;
        if (!replaces_ && errno != ENOENT) fail("looking at it", errno);
        expects<DataError>(!replaces_ || !S_ISDIR(found.st_mode), "cannot save ", path_,
                           ": it is a directory; name a file inside it");
        expects<DataError>(!replaces_ || S_ISREG(found.st_mode), "cannot save ", path_,
                           ": it is neither new nor a regular file, and would be replaced; choose another path");
    }

    // Other hosts share directories, so a process id in a name says nothing about life; a lock on the file does.
    void remove_leftovers() {
        const std::string stem = target_.substr(target_.rfind('/') + 1) + ".tmp-";
        const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(directory_.c_str()), ::closedir);
        std::vector<std::string> leftovers;
        while (const dirent* entry = listing ? ::readdir(listing.get()) : nullptr) {
            const std::string_view name(entry->d_name);
            if (!name.starts_with(stem)) continue;
            const std::string_view rest = name.substr(stem.size());
            const std::size_t digits = std::min(rest.find_first_not_of("0123456789-"), rest.size());
            if (digits == 0 || (digits != rest.size() && rest.substr(digits) != previous_suffix)) continue;
            leftovers.emplace_back(directory_ + '/' + std::string(name));
        }
        for (const std::string& name : leftovers) {
            const std::string owner =
                name.ends_with(previous_suffix) ? name.substr(0, name.size() - previous_suffix.size()) : name;
            const OpenFile file(disk_, disk_.open(owner.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0));
            const bool dead = file ? disk_.flock(file.get(), LOCK_EX | LOCK_NB) == 0 : errno == ENOENT;
            if (dead) disk_.unlink(name.c_str());
        }
    }

    void create() {
        // A name is used once: someone who removes leftovers may be late, and must not meet a later file of that name.
        static std::atomic<std::uint64_t> created{0};
        for (int attempt = 0; attempt < 10000; ++attempt) {
            temporary_ = target_ + ".tmp-" + std::to_string(::getpid()) + '-' + std::to_string(created++);
            file_ = OpenFile(disk_, detail::uninterrupted([&] {
                                 return disk_.open(temporary_.c_str(),
                                                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
                             }));
            if (!file_) {
                const int code = errno;
                temporary_.clear();
                if (code == EEXIST) continue;
                fail("creating a file beside it", code);
            }
            // Someone who removes leftovers may have seen the file before the lock was on it: then it has no name left.
            const bool locked = detail::uninterrupted([&] { return disk_.flock(file_.get(), LOCK_EX); }) == 0;
            struct stat found {};
            if (disk_.fstat(file_.get(), &found) != 0) fail("looking at the new file", errno);
            if (!locked || found.st_nlink > 0) return;
        }
        fail("creating a file beside it", EEXIST);
    }

    // In this order both names hold a whole file at every instant, and in whatever order the disk keeps the two
    // renames.
    void keep_previous() {
        const std::string previous = target_ + std::string(previous_suffix),
                          aside = temporary_ + std::string(previous_suffix);
        struct stat found {};
        int linked = disk_.link(target_.c_str(), aside.c_str());
        // ENOENT is what Linux also answers when another save takes the name between finding the file and linking it.
        for (int again = 0; linked != 0 && errno == ENOENT && again < 1000; ++again) {
            if (disk_.lstat(target_.c_str(), &found) != 0 && errno == ENOENT) return;  // removed: there is none to keep
            linked = disk_.link(target_.c_str(), aside.c_str());
        }
        if (linked != 0) {
            const int code = errno;
            if (code != EPERM && code != EOPNOTSUPP && code != ENOSYS && code != EMLINK && code != EXDEV)
                fail("linking the old file", code);
            copy_to(previous);  // a file system without hard links
            return;
        }
        const bool renamed = disk_.rename(aside.c_str(), previous.c_str()) == 0;
        const int code = errno;
        disk_.unlink(aside.c_str());  // rename leaves it where both names are one file already
        if (!renamed) fail("renaming the old file", code);
    }

    void copy_to(const std::string& previous) {
        const OpenFile old(disk_,
                           detail::uninterrupted([&] { return disk_.open(target_.c_str(), O_RDONLY | O_CLOEXEC, 0); }));
        if (!old) fail("opening the old file", errno);
        struct stat found {};
        if (disk_.fstat(old.get(), &found) != 0) fail("looking at the old file", errno);
        AtomicFile copy(previous, std::uint64_t(found.st_size), Generations::one, disk_);
        std::vector<std::byte> block(std::size_t(1) << 20);
        for (;;) {
            const ssize_t got =
                detail::uninterrupted([&] { return disk_.pread(old.get(), block.data(), block.size(), copy.size()); });
            if (got < 0) fail("reading the old file", errno);
            if (got == 0) break;
            copy.write(std::span(block).first(std::size_t(got)));
        }
        copy.commit();
    }

    void discard() noexcept {
        if (!temporary_.empty()) disk_.unlink(temporary_.c_str());
        temporary_.clear();
        file_.reset();
    }

    [[noreturn]] void fail(const char* doing, int code) {
        discard();  // first, so that the free bytes below are those that the next attempt will find
        std::string advice;
        if (code == ENOSPC || code == EDQUOT) {
            struct statvfs place {};
            advice = text("; it needs ", bytes_, " bytes and ");
            advice += ::statvfs(directory_.c_str(), &place) == 0
                          ? text(std::uint64_t(place.f_bavail) * place.f_frsize, " are free in ", directory_)
                          : text("the free space of ", directory_, " is unknown");
            advice += "; make room or choose another place";
        } else if (code == EFBIG) {
            advice = text("; its ", bytes_,
                          " bytes are more than the limit of this process (ulimit -f) or of the file system");
        } else if (code == EACCES || code == EPERM || code == EROFS) {
            advice = text("; make ", directory_, " writable or choose another place");
        }
        throw DataError(text("cannot save ", path_, ": ", doing, " failed: ", detail::reason(code), advice,
                             replaces_ ? "; the file that was there is unchanged" : ""));
    }

    static constexpr std::string_view previous_suffix = ".previous";

    Disk& disk_;
    std::string path_, target_, directory_, temporary_;
    std::uint64_t bytes_, size_ = 0;
    Generations keep_;
    bool replaces_ = false;
    OpenFile directory_file_, file_;
};

}  // namespace holon
