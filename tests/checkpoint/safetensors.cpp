#include <cstring>

#include <holon/checkpoint/safetensors.hpp>

#include "checkpoint/scratch.hpp"
#include "support/catch.hpp"

using namespace holon;
using namespace scratch;

namespace {

bool says(const std::string& sentence, const std::string& part) {
    UNSCOPED_INFO(sentence);
    return sentence.find(part) != std::string::npos;
}

std::string refused(const Directory& dir, const std::string& bytes) {
    put(dir / "t.safetensors", bytes);
    return load_refusal(dir / "t.safetensors");
}

std::string refused_header(const Directory& dir, const std::string& header, std::size_t data_bytes) {
    return refused(dir, file_with(header, std::string(data_bytes, 'd')));
}

std::vector<float> floats(const SafetensorsFile& file, std::string_view name) {
    const TensorEntry* entry = file.find(name);
    REQUIRE(entry != nullptr);
    std::vector<float> out((entry->end - entry->begin) / 4);
    file.read(*entry, std::as_writable_bytes(std::span(out)));
    return out;
}

template <class T> std::span<const std::byte> raw(const std::vector<T>& values) {
    return std::as_bytes(std::span(values));
}

/// Made by the reference writer, version 0.8.0:
/// safetensors.numpy.save({"fc.weight": float32 [[1.5, -2]], "bn.num_batches_tracked": int64 7, "half": float16 [1, 2,
/// 3], "flag": [True, False, True], "none": float32 of shape (0, 4), "wide": float64 [0.1]}, metadata={"format": "np"})
const std::string reference_header =
    R"({"__metadata__":{"format":"np"},"bn.num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
    R"("wide":{"dtype":"F64","shape":[1],"data_offsets":[8,16]},"fc.weight":{"dtype":"F32","shape":[1,2],)"
    R"("data_offsets":[16,24]},"none":{"dtype":"F32","shape":[0,4],"data_offsets":[24,24]},"half":{"dtype":"F16",)"
    R"("shape":[3],"data_offsets":[24,30]},"flag":{"dtype":"BOOL","shape":[3],"data_offsets":[30,33]}}    )";
const std::string reference_data(
    "\x07\0\0\0\0\0\0\0\x9a\x99\x99\x99\x99\x99\xb9\x3f\0\0\xc0\x3f\0\0\0\xc0\0\x3c\0\x40\0\x42\x01\0\x01", 33);

}  // namespace

TEST_CASE("safetensors: what is written is read back, bits, shapes, names and strings", "[checkpoint]") {
    const Directory dir;
    const std::vector<float> weight = {1, -0.0f, std::numeric_limits<float>::quiet_NaN(), 1e-45f, 5, 6};
    const std::vector<std::int64_t> count = {41};
    const std::vector<std::uint16_t> brain = {0x3f80, 0xc000};
    const std::string odd = "odd \"name\"\\ \n\t\x01\x1f/\u00e9\u4e2d\U0001f600";
    SafetensorsWriter writer;
    writer.add("b.weight", "F32", {1, 2, 3}, raw(weight));
    writer.add(odd, "BF16", {2}, raw(brain));
    writer.add("a.count", "I64", {}, raw(count));
    writer.add("none", "F32", {0, 7}, std::span<const std::byte>());
    writer.add("poured", "F32", {6}, [&](Sink& sink) {
        for (const float& value : weight) sink.write(std::as_bytes(std::span(&value, 1)));
    });
    writer.metadata("holon.input", "first");
    writer.metadata("holon.input", "paper");
    writer.metadata(odd, odd);
    writer.write(dir / "net.safetensors");

    CHECK(dir.names() == std::vector<std::string>{"net.safetensors"});
    const SafetensorsFile file(dir / "net.safetensors");
    file.verify();
    CHECK(file.has_checksums());
    CHECK(file.metadata().at("holon.input") == "paper");
    CHECK(file.metadata().at(odd) == odd);
    std::vector<std::string> order;
    for (const TensorEntry& entry : file.tensors()) order.push_back(entry.name);
    CHECK(order == std::vector<std::string>{"a.count", "b.weight", "none", "poured", odd});  // as the reference sorts
    for (const char* name : {"b.weight", "poured"}) {
        const auto back = floats(file, name);
        REQUIRE(back.size() == weight.size());
        CHECK(std::memcmp(back.data(), weight.data(), 24) == 0);
    }
    CHECK(file.find("b.weight")->shape == std::vector<std::int64_t>{1, 2, 3});
    CHECK(file.find("a.count")->shape.empty());
    CHECK(file.find("none")->shape == std::vector<std::int64_t>{0, 7});
    CHECK(floats(file, "none").empty());
    CHECK(file.find(odd)->dtype == "BF16");
    CHECK(file.find("b.weigh") == nullptr);
    CHECK(file.find("zz") == nullptr);

    const std::string bytes = bytes_of(dir / "net.safetensors");
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    CHECK(length % 8 == 0);
    CHECK(bytes[8] == '{');
    CHECK(bytes.size() == 8 + length + 8 + 24 + 24 + 4);

    writer.write(dir / "again.safetensors");
    CHECK(bytes_of(dir / "again.safetensors") == bytes);
}

TEST_CASE("safetensors: a file of the reference writer loads, without checksums", "[checkpoint]") {
    const Directory dir;
    put(dir / "ref.safetensors", file_with(reference_header, reference_data));
    const SafetensorsFile file(dir / "ref.safetensors");
    file.verify();
    CHECK_FALSE(file.has_checksums());
    CHECK(file.metadata().at("format") == "np");
    CHECK(file.tensors().size() == 6);
    CHECK(floats(file, "fc.weight") == std::vector<float>{1.5f, -2.0f});
    std::int64_t tracked = 0;
    file.read(*file.find("bn.num_batches_tracked"), std::as_writable_bytes(std::span(&tracked, 1)));
    CHECK(tracked == 7);
    double wide = 0;
    file.read(*file.find("wide"), std::as_writable_bytes(std::span(&wide, 1)));
    CHECK(wide == 0.1);
}

TEST_CASE("safetensors: our writer puts tensors and header where the reference writer does", "[checkpoint]") {
    const Directory dir;
    const std::vector<std::int64_t> tracked = {7};
    const std::vector<double> wide = {0.1};
    const std::vector<float> weight = {1.5f, -2.0f};
    SafetensorsWriter writer;
    writer.add("flag", "BOOL", {3}, view(reference_data).subspan(30, 3));
    writer.add("half", "F16", {3}, view(reference_data).subspan(24, 6));
    writer.add("none", "F32", {0, 4}, std::span<const std::byte>());
    writer.add("fc.weight", "F32", {1, 2}, raw(weight));
    writer.add("wide", "F64", {1}, raw(wide));
    writer.add("bn.num_batches_tracked", "I64", {}, raw(tracked));
    writer.metadata("format", "np");
    writer.write(dir / "t.safetensors");
    const std::string bytes = bytes_of(dir / "t.safetensors");
    CHECK(bytes.substr(bytes.size() - 33) == reference_data);
    const auto tensors = reference_header.find("\"bn.num");
    const std::string entries = reference_header.substr(tensors, reference_header.rfind('}') + 1 - tensors);
    CHECK(says(bytes, entries));
}

TEST_CASE("safetensors: another tool may rewrite the header's spelling, not its content", "[checkpoint]") {
    const Directory dir;
    const std::vector<float> weight = {1, 2};
    SafetensorsWriter writer;
    writer.add("w", "F32", {2}, raw(weight));
    writer.metadata("note", "a/b");
    writer.write(dir / "t.safetensors");
    const SafetensorsFile file(dir / "t.safetensors");
    const auto& strings = file.metadata();
    const std::string data(reinterpret_cast<const char*>(weight.data()), 8);
    const auto respelled = [&](const std::string& note, const std::string& shape) {
        return file_with("{ \"w\" :{\"data_offsets\":[ 0,\n8] ,\"shape\":" + shape +
                             ",\"dtype\":\"F32\"},\"__metadata__\":{\"note\":\"" + note +
                             "\",\"holon.header_crc32c\":\"" + strings.at("holon.header_crc32c") +
                             "\",\"holon.crc32c\":\"" + strings.at("holon.crc32c") + "\"}}   ",
                         data);
    };
    CHECK(refused(dir, respelled("\\u0061\\/b", "[\t2 ]")) == "");
    CHECK(SafetensorsFile(dir / "t.safetensors").has_checksums());
    CHECK(says(refused(dir, respelled("a/c", "[2]")), "does not fit its own checksum"));
    CHECK(says(refused(dir, respelled("a/b", "[1,2]")), "does not fit its own checksum"));
}

TEST_CASE("safetensors: every type of the format is read, with its size", "[checkpoint]") {
    const Directory dir;
    const std::vector<std::pair<std::string, std::size_t>> bits = {
        {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},    {"U8", 8},          {"I8", 8},
        {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"I16", 16},       {"U16", 16},        {"F16", 16},
        {"BF16", 16},   {"I32", 32},    {"U32", 32},    {"F32", 32},       {"F8_E4M3FNUZ", 8}, {"C64", 64},
        {"F64", 64},    {"I64", 64},    {"U64", 64},    {"F8_E5M2FNUZ", 8}};
    for (const auto& [dtype, size] : bits) {
        const auto header = [&, dtype = dtype](std::size_t bytes) {
            return R"({"x":{"dtype":")" + dtype + R"(","shape":[2,4],"data_offsets":[0,)" + std::to_string(bytes) +
                   "]}}";
        };
        CHECK(refused_header(dir, header(size), size) == "");
        CHECK(says(refused_header(dir, header(size + 1), size + 1), "should have " + std::to_string(size) + " bytes"));
    }
    CHECK(says(refused_header(dir, R"({"x":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}})", 1), "not whole bytes"));
    CHECK(says(refused_header(dir, R"({"x":{"dtype":"F16 ","shape":[1],"data_offsets":[0,2]}})", 2),
               "unknown type \"F16 \""));
}

TEST_CASE("safetensors: each rule of the format refuses with its reason, the path and the place", "[checkpoint]") {
    const Directory dir;
    struct Case {
        std::string header;
        std::size_t data;
        std::string reason;
    };
    const std::string w = R"("w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]})";
    const std::string v = R"("v":{"dtype":"U8","shape":[2],"data_offsets":[2,4]})";
    const auto zeros = [](int count) {
        std::string list = "0";
        while (--count > 0) list += ",0";
        return list;
    };
    const std::vector<Case> good = {
        {"{}", 0, ""},
        {"{}    ", 0, ""},
        {"{" + w + "}", 2, ""},
        {"{" + v + "," + w + "}", 4, ""},
        {"{\"__metadata__\":{}," + w + "}", 2, ""},
        {R"({"w":{"dtype":"U8","shape":[0,9223372036854775807],"data_offsets":[0,0]}})", 0, ""},
        {R"({"w":{"dtype":"U8","shape":[)" + zeros(64) + R"(],"data_offsets":[0,0]}})", 0, ""},
        {R"({"":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})", 1, ""},
    };
    for (const Case& c : good) {
        INFO(c.header);
        CHECK(refused_header(dir, c.header, c.data) == "");
    }
    const std::vector<Case> bad = {
        {"", 0, "does not begin with '{'"},
        {" {}", 0, "does not begin with '{'"},
        {"[]", 0, "does not begin with '{'"},
        {"{", 0, "expected '\"'"},
        {"{}\t", 0, "something other than spaces"},
        {"{}{}", 0, "something other than spaces"},
        {std::string("{}\0", 3), 0, "something other than spaces"},
        {"{" + w + ",}", 2, "expected '\"'"},
        {"{" + w + " " + v + "}", 4, "expected '}'"},
        {"{" + w + "," + w + "}", 2, "the tensor \"w\" twice"},
        {"{\"__metadata__\":{},\"__metadata__\":{}," + w + "}", 2, "twice"},
        {R"({"__metadata__":{"a":"b","\u0061":"c"}})", 0, "the key \"a\" twice"},
        {R"({"__metadata__":{"a":1}})", 0, "expected '\"'"},
        {R"({"__metadata__":{"a":{}}})", 0, "expected '\"'"},
        {R"({"__metadata__":null})", 0, "expected '{'"},
        {R"({"w":[]})", 0, "expected '{'"},
        {R"({"w":{"dtype":"U8","shape":[2]}})", 2, "lacks one of"},
        {R"({"w":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 2, "has \"dtype\" twice"},
        {R"({"w":{"dtype":"U8","shape":[2],"shape":[2],"data_offsets":[0,2]}})", 2, "has \"shape\" twice"},
        {R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"data_offsets":[0,2]}})", 2, "twice"},
        {R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"more":1}})", 2, "unknown field \"more\""},
        {R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[0]}})", 2, "1 data offsets instead of two"},
        {R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[]}})", 2, "0 data offsets instead of two"},
        {R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[0,1,2]}})", 2, "3 data offsets instead of two"},
        {R"({"w":{"dtype":"U8","shape":[-2],"data_offsets":[0,2]}})", 2, "whole number"},
        {R"({"w":{"dtype":"U8","shape":[2.0],"data_offsets":[0,2]}})", 2, "whole number"},
        {R"({"w":{"dtype":"U8","shape":[2e0],"data_offsets":[0,2]}})", 2, "whole number"},
        {R"({"w":{"dtype":"U8","shape":["2"],"data_offsets":[0,2]}})", 2, "whole number"},
        {R"({"w":{"dtype":"U8","shape":[[2]],"data_offsets":[0,2]}})", 2, "whole number"},
        {R"({"w":{"dtype":"U8","shape":[2,],"data_offsets":[0,2]}})", 2, "whole number"},
        {R"({"w":{"dtype":"U8","shape":[02],"data_offsets":[0,2]}})", 2, "needless 0"},
        {R"({"w":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,2]}})", 2, "larger than 2^63-1"},
        {R"({"w":{"dtype":"U8","shape":[99999999999999999999999],"data_offsets":[0,2]}})", 2, "larger than 2^63-1"},
        {R"({"w":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,2]}})", 2, "past 2^63"},
        {R"({"w":{"dtype":"F64","shape":[1152921504606846976],"data_offsets":[0,2]}})", 2, "past 2^63"},
        {R"({"w":{"dtype":"U8","shape":[)" + zeros(65) + R"(],"data_offsets":[0,0]}})", 0, "more than 64 dimensions"},
        {R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}})", 2, "ends before it begins"},
        {R"({"w":{"dtype":"U8","shape":[3],"data_offsets":[0,2]}})", 2, "should have 3 bytes"},
        {R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", 3, "leaves a hole"},
        {"{" + w + R"(,"v":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})", 5,
         "tensor \"v\" U8 [2] at bytes 3 to 5"},
        {"{" + w + R"(,"v":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", 3, "overlaps"},
        {"{" + w + R"(,"v":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 2, "overlaps"},
        {"{" + w + "}", 3, "end after 2 bytes of data, but 3 follow"},
        {"{" + w + "}", 1, "cut short: its tensors need 2 bytes after the header, 1 are there"},
        {"{}", 1, "end after 0 bytes of data, but 1 follow"},
        {"{\"w\xff\":1}", 0, "not UTF-8 (at byte 11)"},
        {"{\"\xc0\xaf\":1}", 0, "not UTF-8"},
        {"{\"\xed\xa0\x80\":1}", 0, "not UTF-8"},
        {"{\"\xf4\x90\x80\x80\":1}", 0, "not UTF-8"},
        {"{\"\xe2\x82\":1}", 0, "not UTF-8"},
        {"{\"\xe2\x82", 0, "not UTF-8"},
        {"{\"a\nb\":1}", 0, "control character"},
        {R"({"\x41":1})", 0, "escape that JSON does not have"},
        {R"({"\)", 0, "escape that JSON does not have"},
        {R"({"\u12)", 0, "ends inside a string"},
        {R"({"\u12g4":1})", 0, "four hexadecimal digits"},
        {R"({"\ud800":1})", 0, "half of a surrogate pair"},
        {R"({"\udc00":1})", 0, "half of a surrogate pair"},
        {R"({"\ud800\u0041":1})", 0, "half of a surrogate pair"},
        {R"({"abc)", 0, "ends inside a string"},
        {std::string(200000, '{'), 0, "expected '\"'"},
        {"{\"a\":{\"shape\":" + std::string(200000, '['), 0, "whole number"},
    };
    for (const Case& c : bad) {
        INFO(c.header.substr(0, 200));
        const std::string sentence = refused_header(dir, c.header, c.data);
        CHECK(says(sentence, c.reason));
        CHECK(says(sentence, "cannot load " + (dir / "t.safetensors")));
    }
}

TEST_CASE("safetensors: escapes mean what JSON says", "[checkpoint]") {
    const Directory dir;
    const std::string header = R"({"__metadata__":{"\"\\\/\b\f\n\r\t":"\u0041\u00e9\u4E2d\ud83d\uDE00\u0000"}})";
    CHECK(refused_header(dir, header, 0) == "");
    const SafetensorsFile file(dir / "t.safetensors");
    const auto& [key, value] = *file.metadata().begin();
    CHECK(key == "\"\\/\b\f\n\r\t");
    CHECK(value == std::string("A\u00e9\u4e2d\U0001f600\0", 11));
}

TEST_CASE("safetensors: what is no such file is named for what it is", "[checkpoint]") {
    const Directory dir;
    CHECK(says(load_refusal(dir / "missing"), "No such file or directory"));
    CHECK(says(load_refusal(dir.path()), "it is a directory"));
    REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
    CHECK(says(load_refusal(dir / "fifo"), "not a regular file"));
    CHECK(says(refused(dir, ""), "it has 0 bytes, too few"));
    CHECK(says(refused(dir, "1234567"), "it has 7 bytes, too few"));
    CHECK(says(refused(dir, "PK\x03\x04" + std::string(50, 'x')), "it is a PyTorch file"));
    CHECK(says(refused(dir, "\x80\x02" + std::string(50, 'x')), "it is a PyTorch file"));
    CHECK(says(refused(dir, "\x89HDF\r\n\x1a\n" + std::string(50, 'x')), "it is an HDF5 file"));
    CHECK(says(refused(dir, std::string(50, '\xff')), "100000000 is the most allowed"));
    const std::uint64_t long_header = 100'000'000;
    CHECK(says(refused(dir, std::string(reinterpret_cast<const char*>(&long_header), 8) + "{}"),
               "cut short inside its header"));
}

TEST_CASE("safetensors: a refusal names the save before it, if there is one", "[checkpoint]") {
    const Directory dir;
    CHECK_FALSE(says(refused(dir, "short"), "the save before it"));
    put(dir / "t.safetensors.previous", "whatever");
    CHECK(says(refused(dir, "short"), "the save before it is " + (dir / "t.safetensors.previous")));
}

TEST_CASE("safetensors: mistakes of the calling program are refused before the disk is touched", "[checkpoint]") {
    const Directory dir;
    const std::vector<float> two = {1, 2};
    SafetensorsWriter writer;
    const auto refuses = [&](auto act) { return refusal<ShapeError>(act); };
    CHECK(says(refuses([&] { writer.add("w", "F33", {2}, raw(two)); }), "\"w\" cannot be \"F33\" [2]"));
    CHECK(says(refuses([&] { writer.add("w", "F32", {-2}, raw(two)); }), "cannot be \"F32\" [-2]"));
    CHECK(says(refuses([&] { writer.add("w", "F32", {1ll << 32, 1ll << 32}, raw(two)); }), "below 2^63"));
    CHECK(says(refuses([&] { writer.add("__metadata__", "F32", {2}, raw(two)); }), "__metadata__"));
    CHECK(says(refuses([&] { writer.add("\xff", "F32", {2}, raw(two)); }), "not UTF-8"));
    CHECK(says(refuses([&] { writer.metadata("k", "\xc3"); }), "not UTF-8"));
    CHECK(says(refuses([&] { writer.metadata("holon.crc32c", "00000000"); }), "kept for checksums"));
    writer.add("w", "F32", {2}, raw(two));
    SafetensorsWriter twice = writer, wrong = writer;
    twice.add("w", "I32", {2}, raw(two));
    CHECK(says(refuses([&] { twice.write(dir / "t.safetensors"); }), "two tensors are named \"w\""));
    wrong.add("v", "F32", {3}, raw(two));
    CHECK(says(refuses([&] { wrong.write(dir / "t.safetensors"); }), "\"v\" F32 [3] needs 12 bytes, 8 were given"));
    CHECK(dir.names().empty());
    writer.write(dir / "t.safetensors");
    const SafetensorsFile file(dir / "t.safetensors");
    std::vector<std::byte> room(7);
    CHECK(says(refuses([&] { file.read(file.tensors()[0], room); }), "it has 8 bytes, room was given for 7"));
}

TEST_CASE("safetensors: a file that shrinks while it is open is an error, not a wait", "[checkpoint]") {
    const Directory dir;
    put(dir / "t.safetensors", file_with(reference_header, reference_data));
    const SafetensorsFile file(dir / "t.safetensors");
    REQUIRE(::truncate((dir / "t.safetensors").c_str(), 440) == 0);
    CHECK(says(refusal([&] { file.verify(); }), "cut it short"));
}
