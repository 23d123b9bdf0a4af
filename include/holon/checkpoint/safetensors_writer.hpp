// checkpoint/safetensors_writer.hpp: tensors by name into a file that every tool of the field reads.
#pragma once
#include <functional>

#include <holon/checkpoint/disk.hpp>
#include <holon/checkpoint/safetensors_header.hpp>
#include <holon/core/error.hpp>
#ifdef HOLON_INLINE
#include <holon/checkpoint/atomic_file.hpp>
#include <holon/checkpoint/safetensors_format.hpp>
#endif

namespace holon {

class AtomicFile;

/// Where a tensor's bytes are poured, front to back, in pieces of any size (some KiB at least: each is a system call).
class Sink {
 public:
    explicit Sink(AtomicFile& file) : file_(file) {}
    void write(std::span<const std::byte> data);
    std::uint32_t crc() const { return crc_; }
    std::uint64_t bytes() const { return bytes_; }

 private:
    AtomicFile& file_;
    std::uint32_t crc_ = 0;
    std::uint64_t bytes_ = 0;
};

/// Collects tensors and writes them as one safetensors file, with checksums, in the order of the reference writer:
/// large types first, then by name. Nothing is copied: data must live until `write`. Mistakes throw `ShapeError`.
class SafetensorsWriter {
 public:
    using Pour = std::function<void(Sink&)>;

    /// `pour` is called once in `write` and gives exactly as many bytes as type and shape say.
    void add(std::string name, std::string dtype, std::vector<std::int64_t> shape, Pour pour);
    void add(std::string name, std::string dtype, std::vector<std::int64_t> shape, std::span<const std::byte> data);
    /// A string beside the tensors; the last value of a key counts.
    void metadata(const std::string& key, std::string value);

    /// Writes the file as `AtomicFile` does: the path holds the old file or the whole new one.
    void write(const std::string& path, Generations keep = Generations::one, Disk& disk = real_disk());

 private:
    struct Item {
        TensorEntry entry;  // `end` is its size
        Pour pour;
    };

    // Sorts the items, and gives each its place.
    SafetensorsHeader contents();

    static std::string sealed(SafetensorsHeader& header);

    std::vector<Item> items_;
    std::map<std::string, std::string> metadata_;
};

#ifdef HOLON_INLINE
HOLON_INLINE void Sink::write(std::span<const std::byte> data) {
    file_.write(data);
    crc_ = crc32c(data, crc_);
    bytes_ += data.size();
}

HOLON_INLINE void SafetensorsWriter::add(std::string name, std::string dtype, std::vector<std::int64_t> shape, Pour pour) {
    Item item;
    expects(detail::tensor_bytes(dtype, shape, item.entry.end), "safetensors: ", detail::shown(name), " cannot be ",
            detail::shown(dtype), ' ', detail::shown(shape), ": unknown type, or not whole bytes below 2^63");
    expects(name != "__metadata__", "safetensors: a tensor cannot be named \"__metadata__\"");
    expects(detail::find_bad_utf8(name) == name.npos, "safetensors: the name ", detail::shown(name),
            " is not UTF-8");
    item.entry.name = std::move(name);
    item.entry.dtype = std::move(dtype);
    item.entry.shape = std::move(shape);
    item.pour = std::move(pour);
    items_.push_back(std::move(item));
}

HOLON_INLINE void SafetensorsWriter::add(std::string name, std::string dtype, std::vector<std::int64_t> shape,
                                         std::span<const std::byte> data) {
    add(std::move(name), std::move(dtype), std::move(shape), [data](Sink& sink) { sink.write(data); });
}

HOLON_INLINE void SafetensorsWriter::metadata(const std::string& key, std::string value) {
    expects(key != tensor_crc_key && key != header_crc_key, "safetensors: the metadata key ", key,
            " is kept for checksums");
    expects(detail::find_bad_utf8(key) == key.npos && detail::find_bad_utf8(value) == value.npos,
            "safetensors: the metadata ", detail::shown(key), " is not UTF-8");
    metadata_[key] = std::move(value);
}

HOLON_INLINE void SafetensorsWriter::write(const std::string& path, Generations keep, Disk& disk) {
    SafetensorsHeader header = contents();
    const std::string draft = sealed(header);  // checksums have a fixed width, so the final header fits its place
    expects(draft.size() <= 100'000'000, "safetensors: the header would be ", draft.size(),
            " bytes long, 100000000 is the most allowed");
    const std::uint64_t length = draft.size();
    const std::uint64_t data = header.tensors.empty() ? 0 : header.tensors.back().end;
    AtomicFile file(path, sizeof(length) + length + data, keep, disk);
    file.write(std::as_bytes(std::span(&length, 1)));
    file.write(std::as_bytes(std::span(draft)));
    for (std::size_t i = 0; i < items_.size(); ++i) {
        TensorEntry& entry = header.tensors[i];
        Sink sink(file);
        items_[i].pour(sink);
        expects(sink.bytes() == entry.end - entry.begin, "safetensors: ", detail::shown(entry.name), ' ',
                entry.dtype, ' ', detail::shown(entry.shape), " needs ", entry.end - entry.begin, " bytes, ",
                sink.bytes(), " were given");
        entry.crc = sink.crc();
    }
    const std::string final_text = sealed(header);
    file.write_at(sizeof(length), std::as_bytes(std::span(final_text)));
    file.commit();
}

HOLON_INLINE SafetensorsHeader SafetensorsWriter::contents() {
    const auto order = detail::ordered(items_.size(), [this](std::size_t i, std::size_t k) {
        const TensorEntry &a = items_[i].entry, &b = items_[k].entry;
        const std::size_t rank_a = detail::dtype_rank(a.dtype), rank_b = detail::dtype_rank(b.dtype);
        return rank_a != rank_b ? rank_a > rank_b : a.name < b.name;
    });
    std::vector<Item> items;
    SafetensorsHeader header{{}, metadata_};
    std::uint64_t at = 0;
    for (const std::size_t i : order) {
        items.push_back(std::move(items_[i]));
        header.tensors.push_back(items.back().entry);
        header.tensors.back().begin = at;
        header.tensors.back().end = at += items.back().entry.end;
    }
    items_ = std::move(items);
    const std::string* twice =
        detail::name_twice(header.tensors, detail::ordered_by_name(header.tensors));
    expects(!twice, "safetensors: two tensors are named ", twice ? detail::shown(*twice) : "");
    return header;
}

HOLON_INLINE std::string SafetensorsWriter::sealed(SafetensorsHeader& header) {
    std::string& each = header.metadata[std::string(tensor_crc_key)];
    each.clear();
    for (const TensorEntry& entry : header.tensors) each += detail::hex8(entry.crc);
    header.metadata[std::string(header_crc_key)] = detail::hex8(detail::header_crc(header));
    return detail::header_text(header);
}
#endif

}  // namespace holon
