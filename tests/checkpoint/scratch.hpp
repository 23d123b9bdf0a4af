// checkpoint/scratch.hpp: a directory of its own for each test that needs files, and the bytes in them.
#pragma once
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <holon/checkpoint/safetensors.hpp>

namespace scratch {

inline std::vector<std::string> names_in(const std::string& directory) {
    std::vector<std::string> names;
    DIR* listing = ::opendir(directory.c_str());
    while (const dirent* entry = listing ? ::readdir(listing) : nullptr) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..") names.push_back(name);
    }
    if (listing) ::closedir(listing);
    std::sort(names.begin(), names.end());
    return names;
}

/// Removed with everything in it.
class Directory {
 public:
    Directory() {
        const char* root = std::getenv("TMPDIR");
        path_ = std::string(root && *root ? root : "/tmp") + "/holon-test-XXXXXX";
        if (!::mkdtemp(path_.data())) throw std::runtime_error("no directory for tests: " + path_);
        ::chmod(path_.c_str(), 0755);
    }
    ~Directory() { remove(path_); }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;

    const std::string& path() const { return path_; }
    std::string operator/(const std::string& name) const { return path_ + '/' + name; }
    std::vector<std::string> names() const { return names_in(path_); }

 private:
    static void remove(const std::string& directory) {
        ::chmod(directory.c_str(), 0755);
        for (const std::string& name : names_in(directory)) {
            const std::string path = directory + '/' + name;
            if (::unlink(path.c_str()) != 0) remove(path);
        }
        ::rmdir(directory.c_str());
    }
    std::string path_;
};

inline std::string bytes_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("cannot open " + path);
    return {std::istreambuf_iterator<char>(in), {}};
}

inline void put(const std::string& path, const std::string& bytes) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out.write(bytes.data(), std::streamsize(bytes.size()));
    out.close();
    if (!out) throw std::runtime_error("cannot write " + path);
}

inline std::span<const std::byte> view(const std::string& bytes) { return std::as_bytes(std::span(bytes)); }

/// A safetensors file of any header, right or wrong.
inline std::string file_with(const std::string& header, const std::string& data) {
    const std::uint64_t length = header.size();
    return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + header + data;
}

/// The sentence it was refused with; empty if it was not.
template <class E = holon::DataError, class Act> std::string refusal(Act act) {
    try {
        act();
    } catch (const E& error) {
        return error.what();
    }
    return {};
}

/// What loading and checking everything is refused with.
inline std::string load_refusal(const std::string& path, holon::Disk& disk = holon::real_disk()) {
    return refusal([&] { holon::SafetensorsFile(path, disk).verify(); });
}

}  // namespace scratch
