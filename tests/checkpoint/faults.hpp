// checkpoint/faults.hpp: disks that fail: one real disk with a fault at call k, and one in memory that a crash can hit.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include <holon/checkpoint/disk.hpp>

namespace scratch {

enum class Fault { none, die_before, die_after, short_write, io_error, no_space, interrupted };

/// The real disk, but call number `at` (from 1) goes wrong. After a death no call has an effect until `revive`, which
/// also does what the system does for a dead process: it closes its files.
class FaultyDisk : public holon::Disk {
 public:
    FaultyDisk(Fault fault, int at) : fault_(fault), at_(at) {}
    ~FaultyDisk() override { revive(); }

    int calls() const { return calls_; }
    bool dead() const { return dead_; }
    /// Whether the call that went wrong is one that a signal may interrupt, so that it has to be called again.
    bool hit_interruptible() const { return hit_interruptible_; }
    void revive() {
        fault_ = Fault::none, dead_ = false;
        for (const int file : open_) ::close(file);
        open_.clear();
    }

    int open(const char* path, int flags, unsigned mode) override {
        return int(interruptible([&] {
            const int opened = Disk::open(path, flags, mode);
            if (opened >= 0) open_.insert(opened);
            return opened;
        }));
    }
    int close(int file) override {
        if (dead_) return -1;
        const int result = int(faulty([] { return 0; }));  // the system gives the number back whatever close returns
        if (!dead_ && open_.erase(file)) ::close(file);
        return result;
    }
    int fstat(int file, struct stat* found) override {
        return int(faulty([&] { return Disk::fstat(file, found); }));
    }
    int lstat(const char* path, struct stat* found) override {
        return int(faulty([&] { return Disk::lstat(path, found); }));
    }
    ssize_t pread(int file, void* to, std::size_t bytes, std::uint64_t offset) override {
        return interruptible([&] { return Disk::pread(file, to, bytes, offset); },
                             [&] { return Disk::pread(file, to, (bytes + 1) / 2, offset); });
    }
    ssize_t pwrite(int file, const void* from, std::size_t bytes, std::uint64_t offset) override {
        return interruptible([&] { return Disk::pwrite(file, from, bytes, offset); },
                             [&] { return Disk::pwrite(file, from, (bytes + 1) / 2, offset); });
    }
    int flock(int file, int operation) override {
        return int(interruptible([&] { return Disk::flock(file, operation); }));
    }
    int fsync(int file) override {
        return int(interruptible([&] { return Disk::fsync(file); }));
    }
    int rename(const char* from, const char* to) override {
        return int(faulty([&] { return Disk::rename(from, to); }));
    }
    int link(const char* from, const char* to) override {
        return int(faulty([&] { return Disk::link(from, to); }));
    }
    int unlink(const char* path) override {
        return int(faulty([&] { return Disk::unlink(path); }));
    }

 private:
    template <class... Real> ssize_t interruptible(Real... real) {
        hit_interruptible_ |= calls_ + 1 == at_;
        return faulty(real...);
    }
    template <class Real> ssize_t faulty(Real real) { return faulty(real, real); }
    template <class Real, class Short> ssize_t faulty(Real real, Short part) {
        const auto failed = [](int code) { return errno = code, ssize_t(-1); };
        if (dead_) return failed(EIO);
        if (++calls_ != at_) return real();
        switch (fault_) {
            case Fault::none:
                break;
            case Fault::die_before:
                dead_ = true;
                return failed(EIO);
            case Fault::die_after:
                real(), dead_ = true;
                return failed(EIO);
            case Fault::short_write:
                return part();
            case Fault::io_error:
                return failed(EIO);
            case Fault::no_space:
                return failed(ENOSPC);
            case Fault::interrupted:
                return failed(EINTR);
        }
        return real();
    }

    Fault fault_;
    int at_, calls_ = 0;
    bool dead_ = false, hit_interruptible_ = false;
    std::set<int> open_;
};

/// One directory in memory. It remembers the order of all writes, names and syncs, and gives what a disk may hold after
/// a loss of power: everything synced, and any part of the rest.
class CrashDisk : public holon::Disk {
 public:
    using Names = std::map<std::string, std::string>;  // path to content

    explicit CrashDisk(const Names& before) {
        for (const auto& [path, content] : before) {
            names_[path] = int(contents_.size());
            contents_.push_back(content);
        }
        first_names_ = names_, first_contents_ = contents_;
    }

    /// How many events a crash can come between.
    std::size_t events() const { return events_.size(); }

    /// Events before `crash` that no sync made safe.
    std::vector<std::size_t> unsafe(std::size_t crash) const {
        std::vector<std::size_t> list;
        for (std::size_t i = 0; i < crash; ++i) {
            if (events_[i].kind == Event::sync) continue;
            bool safe = false;
            for (std::size_t later = i + 1; later < crash && !safe; ++later) {
                safe = events_[later].kind == Event::sync && events_[later].node == events_[i].node;
            }
            if (!safe) list.push_back(i);
        }
        return list;
    }
    /// What is there after a crash before event `crash`, when the events in `lost` never reached the disk.
    Names after(std::size_t crash, const std::set<std::size_t>& lost) const {
        auto names = first_names_;
        auto contents = first_contents_;
        contents.resize(contents_.size());
        for (std::size_t i = 0; i < crash; ++i) {
            if (lost.count(i)) continue;
            const Event& e = events_[i];
            if (e.kind == Event::data) {
                std::string& content = contents[std::size_t(e.node)];
                content.resize(std::max(content.size(), e.offset + e.bytes.size()), '\0');
                content.replace(e.offset, e.bytes.size(), e.bytes);
            } else if (e.kind == Event::naming) {
                if (!e.to.empty()) names[e.to] = e.target;
                if (!e.from.empty()) names.erase(e.from);
            }
        }
        Names found;
        for (const auto& [path, node] : names) found[path] = contents[std::size_t(node)];
        return found;
    }

    int open(const char* path, int flags, unsigned) override {
        if (flags & O_DIRECTORY) return directory;
        const auto known = names_.find(path);
        if (known != names_.end()) return flags & O_EXCL ? failed(EEXIST) : known->second;
        if (!(flags & O_CREAT)) return failed(ENOENT);
        contents_.emplace_back();
        name(path, int(contents_.size()) - 1, "");
        return int(contents_.size()) - 1;
    }
    int close(int) override { return 0; }
    int flock(int, int) override { return 0; }
    int fstat(int file, struct stat* found) override {
        found->st_mode = S_IFREG;
        found->st_nlink = 1;
        found->st_size = off_t(contents_[std::size_t(file)].size());
        return 0;
    }
    int lstat(const char* path, struct stat* found) override {
        const auto known = names_.find(path);
        return known == names_.end() ? failed(ENOENT) : fstat(known->second, found);
    }
    ssize_t pread(int file, void* to, std::size_t bytes, std::uint64_t offset) override {
        const std::string& content = contents_[std::size_t(file)];
        return ssize_t(offset >= content.size() ? 0 : content.copy(static_cast<char*>(to), bytes, offset));
    }
    ssize_t pwrite(int file, const void* from, std::size_t bytes, std::uint64_t offset) override {
        bytes = std::min(bytes, block - std::size_t(offset) % block);  // blocks reach the disk one by one
        const std::string part(static_cast<const char*>(from), bytes);
        std::string& content = contents_[std::size_t(file)];
        content.resize(std::max(content.size(), std::size_t(offset) + bytes), '\0');
        content.replace(std::size_t(offset), bytes, part);
        events_.push_back({Event::data, file, std::size_t(offset), part, "", "", -1});
        return ssize_t(bytes);
    }
    int fsync(int file) override {
        events_.push_back({Event::sync, file, 0, "", "", "", -1});
        return 0;
    }
    int rename(const char* from, const char* to) override {
        const auto known = names_.find(from);
        if (known == names_.end()) return failed(ENOENT);
        name(to, known->second, from);
        return 0;
    }
    int link(const char* from, const char* to) override {
        if (names_.count(to)) return failed(EEXIST);
        name(to, names_.at(from), "");
        return 0;
    }
    int unlink(const char* path) override {
        if (!names_.count(path)) return failed(ENOENT);
        name("", -1, path);
        return 0;
    }

 private:
    static constexpr int directory = 1 << 20;
    static constexpr std::size_t block = 64;

    struct Event {
        enum Kind { data, naming, sync } kind;
        int node;  // the file, or the directory for names: what has to be synced
        std::size_t offset;
        std::string bytes, to, from;
        int target;
    };

    static int failed(int code) {
        errno = code;
        return -1;
    }
    void name(const std::string& to, int target, const std::string& from) {
        if (!to.empty()) names_[to] = target;
        if (!from.empty()) names_.erase(from);
        events_.push_back({Event::naming, directory, 0, "", to, from, target});
    }

    std::map<std::string, int> names_, first_names_;
    std::vector<std::string> contents_, first_contents_;
    std::vector<Event> events_;
};

}  // namespace scratch
