#include <cstring>

#include <holon/checkpoint/safetensors.hpp>
#include <holon/checkpoint/safetensors_parse.hpp>
#include <holon/core/random.hpp>
#include "checkpoint/scratch.hpp"
#include "support/catch.hpp"

using namespace holon;
using namespace scratch;

namespace {

/// A small network with an optimizer's moments beside it, and spaces where a longer header length would swallow them.
std::string sample(const Directory& dir) {
    Random random(11);
    std::vector<std::vector<float>> values;
    SafetensorsWriter writer;
    std::vector<std::pair<std::string, std::vector<std::int64_t>>> tensors = {
        {"conv1.weight", {4, 3, 3, 3}},    {"bn1.weight", {4}},   {"bn1.bias", {4}}, {"bn1.running_mean", {4}},
        {"bn1.running_var", {4}},          {"fc.weight", {5, 4}}, {"fc.bias", {5}},  {"adam.first.fc.weight", {5, 4}},
        {"adam.second.fc.weight", {5, 4}}, {"none", {0, 3}}};
    values.reserve(tensors.size());
    for (const auto& [name, shape] : tensors) {
        std::size_t count = 1;
        for (const auto extent : shape) count *= std::size_t(extent);
        auto& value = values.emplace_back(count);
        for (float& x : value) x = float(random.normal());
        writer.add(name, "F32", shape, std::as_bytes(std::span(value)));
    }
    const std::string spaces(8, ' ');
    writer.add("bn1.num_batches_tracked", "I64", {}, view(spaces));
    writer.metadata("holon.input", "paper");
    writer.metadata("holon.random", "0123456789abcdef 17");
    writer.write(dir / "sample.safetensors");
    return bytes_of(dir / "sample.safetensors");
}

std::size_t header_end(const std::string& bytes) {
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    return 8 + std::size_t(length);
}

}  // namespace

TEST_CASE("damage F5: each bit of length and header flipped is detected", "[checkpoint][fault]") {
    const Directory dir;
    std::string bytes = sample(dir);
    const std::size_t end = header_end(bytes);
    REQUIRE(load_refusal(dir / "sample.safetensors") == "");
    std::fstream file(dir / "sample.safetensors", std::ios::binary | std::ios::in | std::ios::out);
    std::size_t missed = 0;
    for (std::size_t bit = 0; bit < 8 * end; ++bit) {
        const char good = bytes[bit / 8];
        file.seekp(std::streamoff(bit / 8)).put(char(good ^ (1 << (bit % 8)))).flush();
        if (load_refusal(dir / "sample.safetensors").empty()) {
            ++missed;
            UNSCOPED_INFO("bit " << bit % 8 << " of byte " << bit / 8 << ", '" << good << "'");
        }
        file.seekp(std::streamoff(bit / 8)).put(good).flush();
    }
    CHECK(missed == 0);
    REQUIRE(load_refusal(dir / "sample.safetensors") == "");
}

TEST_CASE("damage F5: every byte of the header set to 16 other values is detected", "[checkpoint][fault]") {
    const Directory dir;
    const std::string bytes = sample(dir);
    const std::size_t end = header_end(bytes), data = bytes.size() - end;
    Random random(3);
    std::size_t missed = 0;
    std::string header = bytes.substr(8, end - 8);
    for (std::size_t at = 0; at < header.size(); ++at) {
        const char good = header[at];
        for (int i = 0; i < 16; ++i) {
            header[at] = char(random.bits());
            if (header[at] == good) continue;
            try {
                SafetensorsHeader parsed = parse_safetensors_header(header, data);
                missed += adopt_checksums(parsed);  // without an error: both keys are there and fit
                missed += !parsed.metadata.count(std::string(tensor_crc_key));
            } catch (const DataError&) {
            }
        }
        header[at] = good;
    }
    CHECK(missed == 0);
}

TEST_CASE("damage F5: every truncation and every longer file is detected", "[checkpoint][fault]") {
    const Directory dir;
    const std::string bytes = sample(dir);
    std::size_t missed = 0;
    put(dir / "t.safetensors", bytes);
    for (std::size_t length = bytes.size(); length-- > 0;) {
        REQUIRE(::truncate((dir / "t.safetensors").c_str(), off_t(length)) == 0);
        missed += load_refusal(dir / "t.safetensors").empty();
    }
    for (const std::size_t more : {1, 2, 7, 8, 64, 4096}) {
        for (const char fill : {'\0', ' ', '}'}) {
            put(dir / "t.safetensors", bytes + std::string(more, fill));
            missed += load_refusal(dir / "t.safetensors").empty();
        }
    }
    CHECK(missed == 0);
}

TEST_CASE("damage F5: 2000 random payload bits flipped are detected, and the tensor is named", "[checkpoint][fault]") {
    const Directory dir;
    std::string bytes = sample(dir);
    const std::size_t end = header_end(bytes);
    const SafetensorsFile whole(dir / "sample.safetensors");
    const auto tensors = whole.tensors();
    Random random(7);
    std::size_t missed = 0, unnamed = 0;
    for (int i = 0; i < 2000; ++i) {
        const std::size_t at = std::size_t(random.below(bytes.size() - end));
        const char good = bytes[end + at];
        bytes[end + at] = char(good ^ (1 << random.below(8)));
        put(dir / "t.safetensors", bytes);
        bytes[end + at] = good;
        const std::string sentence = load_refusal(dir / "t.safetensors");
        missed += sentence.empty();
        const auto hit =
            std::find_if(tensors.begin(), tensors.end(), [&](const auto& t) { return t.begin <= at && at < t.end; });
        unnamed +=
            sentence.find("tensor \"" + hit->name + "\" at bytes " + std::to_string(end + hit->begin)) == sentence.npos;
        const SafetensorsFile file(dir / "t.safetensors");
        std::vector<std::byte> out(hit->end - hit->begin);
        missed += refusal([&] { file.read(*file.find(hit->name), out); }).empty();
    }
    CHECK(missed == 0);
    CHECK(unnamed == 0);
}

TEST_CASE("damage F5: two tensors of one shape with their bytes or names exchanged are detected",
          "[checkpoint][fault]") {
    const Directory dir;
    std::string bytes = sample(dir);
    const std::size_t end = header_end(bytes);
    const SafetensorsFile file(dir / "sample.safetensors");
    const TensorEntry *a = file.find("adam.first.fc.weight"), *b = file.find("adam.second.fc.weight");
    std::string moved = bytes;
    std::swap_ranges(moved.begin() + std::ptrdiff_t(end + a->begin), moved.begin() + std::ptrdiff_t(end + a->end),
                     moved.begin() + std::ptrdiff_t(end + b->begin));
    REQUIRE(moved != bytes);
    put(dir / "t.safetensors", moved);
    CHECK(load_refusal(dir / "t.safetensors").find("is damaged") != std::string::npos);

    std::string renamed = bytes;  // of equal length, so that the file stays well formed
    const auto weight = renamed.find("\"bn1.weight\"");
    REQUIRE(weight != renamed.npos);
    renamed.replace(weight, 12, "\"bn2.weight\"");
    put(dir / "t.safetensors", renamed);
    CHECK(load_refusal(dir / "t.safetensors").find("does not fit its own checksum") != std::string::npos);
}

TEST_CASE("damage: 20000 mutated headers are refused or are still well formed, and never crash",
          "[checkpoint][fault]") {
    const Directory dir;
    const std::string bytes = sample(dir);
    const std::size_t end = header_end(bytes), data = bytes.size() - end;
    const std::string good = bytes.substr(8, end - 8);
    const std::vector<std::string> pieces = {
        "{", "}", "[", "]", ",", ":", "\"", "\\u", "\\ud800", "0", "9223372036854775807", "-1", "1e9", "\xff", "null"};
    Random random(19);
    int refused = 0;
    for (int i = 0; i < 20000; ++i) {
        std::string header = good;
        for (std::uint64_t edits = 1 + random.below(4); edits-- > 0;) {
            const std::size_t at = std::size_t(random.below(header.size()));
            const std::string& piece = pieces[random.below(pieces.size())];
            switch (random.below(4)) {
                case 0:
                    header.insert(at, piece);
                    break;
                case 1:
                    header.erase(at, 1 + random.below(20));
                    break;
                case 2:
                    header.replace(at, std::min(piece.size(), header.size() - at), piece);
                    break;
                default:
                    header.insert(at, header.substr(random.below(header.size()), random.below(60)));
            }
            if (header.empty()) header = " ";
        }
        if (header == good) continue;
        try {
            SafetensorsHeader parsed = parse_safetensors_header(header, data);
            adopt_checksums(parsed);
            // What passes says the same in other words (a space more), or keeps no checksums at all.
            const SafetensorsHeader expected = parse_safetensors_header(good, data);
            const bool same = detail::header_crc(parsed) == detail::header_crc(expected);
            REQUIRE((same || !parsed.metadata.count(std::string(tensor_crc_key))));
        } catch (const DataError&) {
            ++refused;
        }
    }
    CHECK(refused > 19000);
}
