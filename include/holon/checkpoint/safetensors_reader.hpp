// checkpoint/safetensors_reader.hpp: tensors by name out of a file, none of it believed unchecked.
#pragma once
#include <bit>

#include <holon/checkpoint/disk.hpp>
#include <holon/checkpoint/safetensors_header.hpp>
#include <holon/core/error.hpp>
#ifdef HOLON_INLINE
#include <holon/checkpoint/safetensors_parse.hpp>
#endif

namespace holon {

static_assert(std::endian::native == std::endian::little,
              "safetensors files are little-endian, and so must be the host");

/// A safetensors file open for reading. The constructor checks the whole header
/// (all rules of the format, and its checksum if it has one), `read` the tensor's checksum. Memory is that of the
/// header. Everything throws `DataError` with the path, the tensor and the bytes; it names `<path>.previous` if that is
/// there. Reading from several threads is safe.
class SafetensorsFile {
 public:
    explicit SafetensorsFile(const std::string& path, Disk& disk = real_disk());

    const std::string& path() const { return path_; }
    /// In the order of their bytes.
    const std::vector<TensorEntry>& tensors() const { return header_.tensors; }
    const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
    /// Null if there is none of that name.
    const TensorEntry* find(std::string_view wanted) const;
    /// False for files of other tools: their format is checked, a changed byte of their data is not seen. Say so.
    bool has_checksums() const { return has_checksums_; }

    /// The tensor's bytes, all of them: `out` has end - begin. What was copied to `out` before an error is not to be
    /// used.
    void read(const TensorEntry& entry, std::span<std::byte> out) const;
    /// Reads everything once and checks it, so that a caller can refuse a damaged file before it has used any of it.
    void verify() const;

 private:
    static constexpr std::uint64_t max_header = 100'000'000;  // the format's own bound

    std::string_view name(std::size_t i) const { return header_.tensors[i].name; }

    void read_at(std::uint64_t offset, std::span<std::byte> out, std::string_view what) const;

    void check(const TensorEntry& entry, std::uint32_t crc) const;

    [[noreturn]] void refuse_length(std::uint64_t length, std::uint64_t bytes) const;

    template <class... Pieces> [[noreturn]] void refuse(const Pieces&... pieces) const {
        const std::string previous = path_ + ".previous";
        struct stat found {};
        const bool other = disk_->lstat(previous.c_str(), &found) == 0;
        throw DataError(
            text("cannot load ", path_, ": ", pieces..., other ? "; the save before it is " + previous : ""));
    }

    std::string path_;
    Disk* disk_;
    OpenFile file_;
    SafetensorsHeader header_;
    std::vector<std::size_t> by_name_;
    std::uint64_t data_ = 0;
    bool has_checksums_ = false;
};

#ifdef HOLON_INLINE
HOLON_INLINE SafetensorsFile::SafetensorsFile(const std::string& path, Disk& disk) : path_(path), disk_(&disk) {
    file_ =
        OpenFile(disk, detail::uninterrupted([&] {
                     return disk.open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);  // a FIFO must not hang
                 }));
    if (!file_) {
        const int code = errno;
        refuse("opening it failed: ", detail::reason(code));
    }
    struct stat found {};
    if (disk.fstat(file_.get(), &found) != 0) refuse("looking at it failed: ", detail::reason(errno));
    if (S_ISDIR(found.st_mode)) refuse("it is a directory; name the file inside it");
    if (!S_ISREG(found.st_mode)) refuse("it is not a regular file");
    const auto bytes = std::uint64_t(found.st_size);
    std::uint64_t length = 0;
    if (bytes < sizeof(length)) refuse("it has ", bytes, " bytes, too few for a safetensors file");
    read_at(0, std::as_writable_bytes(std::span(&length, 1)), "the length of the header");
    if (length > max_header || length > bytes - sizeof(length)) refuse_length(length, bytes);
    std::string header(std::size_t(length), '\0');
    read_at(sizeof(length), std::as_writable_bytes(std::span(header)), "the header");
    data_ = sizeof(length) + length;
    try {
        header_ = parse_safetensors_header(header, bytes - data_);
        has_checksums_ = adopt_checksums(header_);
    } catch (const DataError& error) {
        refuse(error.what());
    }
    by_name_ = detail::ordered_by_name(header_.tensors);
}

HOLON_INLINE const TensorEntry* SafetensorsFile::find(std::string_view wanted) const {
    const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), wanted,
                                     [&](std::size_t i, std::string_view key) { return name(i) < key; });
    return at != by_name_.end() && name(*at) == wanted ? &header_.tensors[*at] : nullptr;
}

HOLON_INLINE void SafetensorsFile::read(const TensorEntry& entry, std::span<std::byte> out) const {
    expects(out.size() == entry.end - entry.begin, "reading ", detail::shown(entry.name), " of ", path_,
            ": it has ", entry.end - entry.begin, " bytes, room was given for ", out.size());
    read_at(data_ + entry.begin, out, detail::shown(entry.name));
    if (has_checksums_) check(entry, crc32c(out));
}

HOLON_INLINE void SafetensorsFile::verify() const {
    std::vector<std::byte> block(std::size_t(1) << 20);
    for (const TensorEntry& entry : header_.tensors) {
        std::uint32_t crc = 0;
        for (std::uint64_t at = entry.begin; at < entry.end;) {
            const auto part =
                std::span(block).first(std::size_t(std::min<std::uint64_t>(block.size(), entry.end - at)));
            read_at(data_ + at, part, detail::shown(entry.name));
            crc = crc32c(part, crc);
            at += part.size();
        }
        if (has_checksums_) check(entry, crc);
    }
}

HOLON_INLINE void SafetensorsFile::read_at(std::uint64_t offset, std::span<std::byte> out, std::string_view what) const {
    while (!out.empty()) {
        const ssize_t got =
            detail::uninterrupted([&] { return disk_->pread(file_.get(), out.data(), out.size(), offset); });
        if (got < 0) refuse("reading ", what, " at byte ", offset, " failed: ", detail::reason(errno));
        if (got == 0)
            refuse("it ended at byte ", offset, " while ", what, " was read: another program cut it short");
        out = out.subspan(std::size_t(got));
        offset += std::uint64_t(got);
    }
}

HOLON_INLINE void SafetensorsFile::check(const TensorEntry& entry, std::uint32_t crc) const {
    if (crc == entry.crc) return;
    refuse("tensor ", detail::shown(entry.name), " at bytes ", data_ + entry.begin, " to ", data_ + entry.end,
           " is damaged: its CRC-32C is ", detail::hex8(crc), ", saved was ", detail::hex8(entry.crc));
}

HOLON_INLINE void SafetensorsFile::refuse_length(std::uint64_t length, std::uint64_t bytes) const {
    const auto magic = std::uint32_t(length);
    if (magic == 0x04034b50u || (magic & 0xffffu) == 0x0280u) {
        refuse("it is a PyTorch file; load it there and save it with safetensors.torch.save_file");
    }
    if (magic == 0x46444889u) refuse("it is an HDF5 file, as Keras writes; convert it to safetensors first");
    if (length <= max_header)
        refuse("it is cut short inside its header: ", length, " bytes long, of ", bytes - 8, " that are there");
    refuse("it is no safetensors file: its header would be ", length, " bytes long, ", max_header,
           " is the most allowed");
}
#endif

}  // namespace holon
