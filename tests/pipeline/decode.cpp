// pipeline/decode.cpp: every bit of a good picture arrives; every bad one is refused with the reason.
#include "pipeline/decode.hpp"

#include <sys/resource.h>

#include <csignal>
#include <filesystem>

#include <holon/core/random.hpp>

#include "pipeline/pictures.hpp"
#include "pipeline/png_out.hpp"
#include "support/catch.hpp"

using namespace holon::pipeline;
using namespace pictures;
using scratch::refusal;

namespace {

/// Writes the bytes and reads them as a picture.
Image decoded(const std::string& bytes, const std::string& name = "picture") {
    const scratch::Directory folder;
    scratch::put(folder / name, bytes);
    return read_image(folder / name);
}

std::string refused(const std::string& bytes) {
    return refusal([&] { decoded(bytes); });
}

struct Refusal {
    const char* what;
    std::string bytes;
    std::vector<std::string> words;
};

void check(const std::vector<Refusal>& cases) {
    for (const Refusal& one : cases) {
        const std::string sentence = refused(one.bytes);
        INFO(one.what << ": " << sentence);
        CHECK(sentence.find("/picture") != sentence.npos);  // the file is named
        for (const std::string& word : one.words) CHECK(sentence.find(word) != sentence.npos);
    }
}

}  // namespace

TEST_CASE("a 16-bit ramp is read back with every bit", "[pipeline]") {
    const scratch::Directory folder;
    const Image all = ramp(256, 256, 1);
    write_png16(folder / "a.png", all);
    CHECK(read_image(folder / "a.png").pixels == all.pixels);
    const Image odd = ramp(3, 5, 4099);
    write_png16(folder / "b.png", odd);
    const Image back = read_image(folder / "b.png");
    CHECK(back.rows == 3);
    CHECK(back.columns == 5);
    CHECK(back.pixels == odd.pixels);
    CHECK(probe_image(folder / "b.png").rows == 3);
    CHECK(probe_image(folder / "b.png").columns == 5);
    CHECK(folder.names() == std::vector<std::string>{"a.png", "b.png"});
}

TEST_CASE("8 bits become 257 v, and back", "[pipeline]") {
    std::string levels;
    for (int v = 0; v < 256; ++v) levels += char(v);
    const Image image = decoded(png({.columns = 16, .rows = 16, .data = levels}));
    for (int v = 0; v < 256; ++v) REQUIRE(image.pixels[std::size_t(v)] == 257 * v);
    const scratch::Directory folder;
    write_png8(folder / "a.png", image);
    CHECK(read_image(folder / "a.png").pixels == image.pixels);
}

TEST_CASE("the forms of grey that PNG has", "[pipeline]") {
    CHECK(decoded(png({.columns = 8, .depth = 1, .data = "\xA5"})).pixels ==
          std::vector<std::uint16_t>{65535, 0, 65535, 0, 0, 65535, 0, 65535});
    CHECK(decoded(png({.columns = 2, .depth = 4, .data = "\x1F"})).pixels ==
          std::vector<std::uint16_t>{17 * 257, 65535});
    CHECK(decoded(png({.depth = 16, .data = "\x12\x34"})).pixels == std::vector<std::uint16_t>{0x1234});
    CHECK(decoded(png({.columns = 2, .colour = rgb, .data = "\x07\x07\x07\x63\x63\x63"})).pixels ==
          std::vector<std::uint16_t>{7 * 257, 99 * 257});
    CHECK(decoded(png({.colour = rgba, .data = "\x07\x07\x07\xFF"})).pixels == std::vector<std::uint16_t>{7 * 257});
    CHECK(decoded(png({.colour = grey_alpha, .data = "\x07\xFF"})).pixels == std::vector<std::uint16_t>{7 * 257});
    CHECK(decoded(png({.columns = 2,
                       .colour = palette,
                       .data = std::string("\x01\x00", 2),
                       .before_data = chunk("PLTE", "\x05\x05\x05\x63\x63\x63")}))
              .pixels == std::vector<std::uint16_t>{99 * 257, 5 * 257});
}

TEST_CASE("JPEG, grey in one channel and in three", "[pipeline]") {
    for (const int level : {1, 33, 64, 128, 200, 255}) {
        CHECK(decoded(jpeg({level})).pixels == std::vector<std::uint16_t>(64, std::uint16_t(257 * level)));
        CHECK(decoded(jpeg({level, 128, 128})).pixels == std::vector<std::uint16_t>(64, std::uint16_t(257 * level)));
    }
    CHECK(decoded(jpeg({200}) + std::string(512, '\0')).pixels.size() == 64);  // filled up to a block
}

TEST_CASE("binary PGM of 8, 16 and odd depths", "[pipeline]") {
    CHECK(decoded("P5\n# mini-MIAS\n2 1\n255\n\x10\xFF").pixels == std::vector<std::uint16_t>{16 * 257, 65535});
    CHECK(decoded("P5 2 1 65535\n\x12\x34\xFF\xFE").pixels == std::vector<std::uint16_t>{0x1234, 0xFFFE});
    CHECK(decoded("P5 2 1 4095\n" + std::string("\x0F\xFF\x00\x00", 4)).pixels == std::vector<std::uint16_t>{65535, 0});
    const Image first_pixel_is_white_space = decoded("P5 1 2 255 \n\n");
    CHECK(first_pixel_is_white_space.rows == 2);
    CHECK(first_pixel_is_white_space.pixels == std::vector<std::uint16_t>{2570, 2570});
}

TEST_CASE("the content decides, not the name", "[pipeline]") {
    CHECK(decoded(png({.data = "\x07"}), "picture.jpg").pixels == std::vector<std::uint16_t>{7 * 257});
    CHECK(decoded("P5 1 1 255\n\x07", "picture.png").pixels == std::vector<std::uint16_t>{7 * 257});
    check({{"text", "image,patient\na,b\n", {"looks like text", "image,patient"}},
           {"DICOM", std::string(128, '\0') + "DICM....", {"looks like a DICOM"}},
           {"TIFF", std::string("II*\0....", 8), {"a TIFF"}},
           {"text PGM", "P2 1 1 255\n7\n", {"text form", "P5"}},
           {"something", "\x01\x02\x03\x04\xFE\x80zz", {"bytes 01 02 03 04 fe 80"}}});
}

TEST_CASE("PNG files that are damaged", "[pipeline]") {
    const std::string good = png({.columns = 4, .rows = 4, .data = "0123456789abcdef"});
    for (std::size_t cut = 1; cut < good.size(); ++cut) {  // cut off anywhere
        INFO(cut);
        REQUIRE_FALSE(refused(good.substr(0, cut)).empty());
    }
    for (std::size_t at = 8; at < good.size(); ++at) {  // one bit anywhere after the signature
        std::string damaged = good;
        damaged[at] = char(damaged[at] ^ 4);
        INFO(at);
        REQUIRE_FALSE(refused(damaged).empty());
    }
    std::string wrong = good;
    wrong[good.size() - 20] = char(wrong[good.size() - 20] ^ 1);
    const std::string header = big_endian(4) + big_endian(4) + std::string("\x08\0\0\0\0", 5);
    const std::string start = "\x89PNG\r\n\x1a\n";
    check({{"no IEND", good.substr(0, good.size() - 12), {"cut off", "IEND"}},
           {"inside IDAT", good.substr(0, good.size() - 30), {"cut off", "IDAT"}},
           {"checksum", wrong, {"damaged", "IDAT", "checksum"}},
           {"no IHDR", start + chunk("IDAT", "") + chunk("IEND", ""), {"IHDR"}},
           {"too few rows", png({.columns = 4, .rows = 4, .data = ""}), {"cannot be decoded"}},
           {"no IDAT", start + chunk("IHDR", header) + chunk("IEND", ""), {"cannot be decoded"}}});
}

TEST_CASE("JPEG files that are damaged", "[pipeline]") {
    const std::string good = jpeg({200});
    for (std::size_t cut = 1; cut < good.size(); ++cut) {
        INFO(cut);
        REQUIRE_FALSE(refused(good.substr(0, cut)).empty());
    }
    std::string twelve_bits = good;
    twelve_bits[good.find("\xFF\xC0") + 4] = 12;
    std::string lossless = twelve_bits, arithmetic = good;
    lossless[good.find("\xFF\xC0") + 1] = '\xC3';
    arithmetic[good.find("\xFF\xC0") + 1] = '\xC9';
    std::string no_codes = good, no_quantisers = good, no_such_code = good;
    no_codes.erase(good.find("\xFF\xC4"), 2 * (2 + 2 + 1 + 16) + 2 + 1);
    no_quantisers.erase(good.find("\xFF\xDB"), 2 + 2 + 1 + 64);
    std::string too_many = good;
    too_many.replace(good.find("\xFF\xC4") + 5, 16, std::string(16, '\x11'));  // 272 codes
    no_such_code[good.size() - 4] = '\xFE';
    check({{"no end", good.substr(0, good.size() - 2), {"cut off", "end-of-image"}},
           {"zeros for an end", good.substr(0, good.size() - 2) + std::string(64, '\0'), {"cut off", "end-of-image"}},
           {"12 bits", twelve_bits, {"12 bits, lossy;", "8 bits is read"}},
           {"as in DICOM", lossless, {"12 bits, lossless;"}},
           {"arithmetic", arithmetic, {"8 bits, lossy, arithmetic-coded;"}},
           {"as in films", no_codes, {"without its tables (Huffman codes)"}},
           {"no quantisers", no_quantisers, {"without its tables (quantisers)"}},
           {"272 codes", too_many, {"Huffman table", "272 codes, 1 to 256"}},
           {"no such code", no_such_code, {"cannot be decoded", "huffman"}},
           {"no segments", std::string("\xFF\xD8\xFF\xE0\0\x02 nonsense here \xFF\xD9", 23), {"damaged", "at byte"}},
           {"nothing inside", "\xFF\xD8\xFF\xD9", {"cut off", "frame header"}}});
}

TEST_CASE("PGM files that are damaged", "[pipeline]") {
    check({{"short", "P5 3 1 255\nab", {"cut off", "3", "2 are there"}},
           {"short 16", "P5 2 1 256\nabc", {"cut off", "need 4", "3 are there"}},
           {"long", "P5 1 1 255\nabc", {"needs 1 bytes", "3 are there"}},
           {"too bright", "P5 2 1 100\n\x01\x65", {"row 0, column 1", "101", "100"}},
           {"no width", "P5 x 1 255\na", {"width"}},
           {"no height", "P5 1\n", {"height"}},
           {"maximum 0", std::string("P5 1 1 0\n\0", 10), {"maximum", "1 to 65535"}},
           {"maximum 65536", "P5 1 1 65536\nab", {"65536"}},
           {"ten digits", "P5 1000000000 1 255\na", {"width"}}});
}

TEST_CASE("colour and transparency are refused with their first pixel", "[pipeline]") {
    check({{"RGB",
            png({.columns = 2, .rows = 2, .colour = rgb, .data = "aaabbbcccdde"}),
            {"in colour", "row 1, column 1", "25700, 25700, 25957"}},
           {"palette",
            png({.colour = palette, .data = std::string(1, '\0'), .before_data = chunk("PLTE", "abc")}),
            {"in colour", "row 0, column 0"}},
           {"RGBA",
            png({.columns = 2,
                 .colour = rgba,
                 .data = "aaa\xFF"
                         "bbb\xFE"}),
            {"not opaque", "row 0, column 1"}},
           {"grey and alpha", png({.colour = grey_alpha, .data = std::string("a\0", 2)}), {"not opaque", "alpha 0"}},
           {"JPEG", jpeg({200, 128, 200}), {"in colour", "row 0, column 0"}}});
}

TEST_CASE("sizes are checked before anything is decoded", "[pipeline]") {
    check({{"PNG 0", png({.columns = 0, .data = "a"}), {"0x1"}},
           {"PNG too wide", png({.columns = 40000, .data = "a"}), {"40000x1 ", "32768"}},
           {"PNG beyond 2^31", png({.columns = 0xFFFFFFFF, .rows = 0xFFFFFFFF, .data = ""}), {"4294967295x4294967295"}},
           {"PNG too many", png({.columns = 32768, .rows = 8193, .data = ""}), {"32768x8193", "268435456"}},
           {"JPEG too wide", jpeg({200}, 65535, 1), {"65535x1 "}},
           {"JPEG of no width", jpeg({200}, 0, 8), {"0x8 "}},
           {"PGM 0", "P5 0 5 255\n", {"0x5"}},
           {"PGM too wide", "P5 99999 99999 255\na", {"99999x99999"}}});
    const scratch::Directory folder;
    for (const auto& [bytes, word] :
         std::vector<std::pair<std::string, std::string>>{{png({.columns = 40000, .data = "a"}), "40000x1"},
                                                          {jpeg({200}, 65535, 1), "65535x1"},
                                                          {"P5 0 5 255\n", "0x5"},
                                                          {"hello", "text"}}) {
        scratch::put(folder / "picture", bytes);
        const std::string sentence = refusal([&] { probe_image(folder / "picture"); });
        INFO(sentence);
        CHECK(sentence.find(word) != sentence.npos);
    }
}

TEST_CASE("a PNG that unpacks to far more than it declares is stopped", "[pipeline]") {
    // RFC 1951, fixed codes: a literal 0, then 100,000 times the 258 bytes at distance 1, then the end of the block.
    std::string bits =
        "110"
        "00110000";
    for (int i = 0; i < 100000; ++i)
        bits +=
            "11000101"
            "00000";
    bits += "0000000";
    std::string packed = "\x78\x01";
    for (std::size_t at = 0; at < bits.size(); at += 8) {
        int byte = 0;
        for (std::size_t k = 0; k < 8 && at + k < bits.size(); ++k) byte |= (bits[at + k] - '0') << k;
        packed += char(byte);
    }
    const std::string start = "\x89PNG\r\n\x1a\n", header = std::string("\x08\0\0\0\0", 5);
    const auto file = [&](std::uint32_t side) {
        return start + chunk("IHDR", big_endian(side) + big_endian(side) + header) +
               chunk("IDAT", packed + std::string(4, '\0')) + chunk("IEND", "");
    };
    CHECK(decoded(file(5000)).pixels == std::vector<std::uint16_t>(std::size_t(5000) * 5000));  // 25 of 25.8 MB
    check({{"bomb", file(1), {"cannot be decoded", "outofmem"}}});
}

TEST_CASE("a probe finds the size behind a long profile", "[pipeline]") {
    std::string bytes = jpeg({200}, 24, 16);
    for (int i = 0; i < 3; ++i) bytes.insert(2, "\xFF\xE2" + big_endian(60002, 2) + std::string(60000, 'i'));
    const scratch::Directory folder;
    scratch::put(folder / "a.jpg", bytes);
    CHECK(probe_image(folder / "a.jpg").columns == 24);
    CHECK(probe_image(folder / "a.jpg").rows == 16);
}

TEST_CASE("files that cannot be read at all", "[pipeline]") {
    const scratch::Directory folder;
    const auto sentence = [&](const std::string& name) { return refusal([&] { read_image(folder / name); }); };
    CHECK(sentence("absent").find("No such file") != std::string::npos);
    CHECK(sentence("").find("is a directory") != std::string::npos);
    CHECK(refusal([] { read_image(""); }).find("empty") != std::string::npos);
    scratch::put(folder / "empty", "");
    CHECK(sentence("empty").find("is empty") != std::string::npos);
    REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
    CHECK(sentence("pipe").find("is a pipe") != std::string::npos);
    scratch::put(folder / "long", "P5");
    std::filesystem::resize_file(folder / "long", (std::uint64_t(1) << 30) + 1);  // a hole: takes no room
    CHECK(sentence("long").find("at most 1073741824") != std::string::npos);
}

TEST_CASE("a picture that cannot be written leaves what was there", "[pipeline]") {
    const scratch::Directory folder;
    CHECK(refusal([&] { write_png16(folder / "none/a.png", ramp(2, 2)); }).find("No such file") != std::string::npos);
    CHECK(refusal([&] { write_png16(folder / "a.png", Image(0, 5)); }).find("5x0") != std::string::npos);
    CHECK(refusal([&] { write_png_rgb8(folder / "a.png", 2, 2, std::vector<std::uint8_t>(11)); }).find("need 12") !=
          std::string::npos);
    CHECK(folder.names().empty());

    write_png16(folder / "a.png", ramp(2, 2));
    const std::string before = scratch::bytes_of(folder / "a.png");
    std::filesystem::create_directory(folder / "b.png");
    CHECK_FALSE(refusal([&] { write_png16(folder / "b.png", ramp(2, 2)); }).empty());
    Image noise(64, 64);  // does not shrink
    for (std::size_t i = 0; i < noise.pixels.size(); ++i) noise.pixels[i] = std::uint16_t(holon::philox(1, i, 0)[0]);
    // A limit on the length of files stands for a full disk.
    rlimit old{}, tight{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
    tight = old;
    tight.rlim_cur = 4096;
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &tight) == 0);
    const std::string sentence = refusal([&] { write_png16(folder / "a.png", noise); });
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &old) == 0);
    std::signal(SIGXFSZ, handler);
    INFO(sentence);
    CHECK(sentence.find("too large") != sentence.npos);
    CHECK(scratch::bytes_of(folder / "a.png") == before);
    CHECK(folder.names() == std::vector<std::string>{"a.png", "b.png"});
}

TEST_CASE("colour PNG output", "[pipeline]") {
    const scratch::Directory folder;
    write_png_rgb8(folder / "a.png", 1, 2, {9, 9, 9, 1, 2, 3});
    CHECK(refusal([&] { read_image(folder / "a.png"); }).find("(257, 514, 771)") != std::string::npos);
    write_png_rgb8(folder / "a.png", 1, 2, {9, 9, 9, 3, 3, 3});
    CHECK(read_image(folder / "a.png").pixels == std::vector<std::uint16_t>{9 * 257, 3 * 257});
}
