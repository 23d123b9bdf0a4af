// pipeline/mias.cpp: every trap of Info.txt, made here and met in the real set.
#include "pipeline/mias.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "pipeline/decode.hpp"
#include "pipeline/open.hpp"
#include "pipeline/pictures.hpp"
#include "pipeline/png_out.hpp"
#include "support/catch.hpp"

using namespace holon::pipeline;
using scratch::refusal;

namespace {

const Record& named(const Dataset& data, const std::string& name) {
    for (const Record& r : data.records)
        if (r.image.find(name) != r.image.npos) return r;
    throw std::runtime_error("no " + name);
}

void check_box(const Box& box, int x0, int y0, int x1, int y1) {
    CHECK(box.x0 == x0);
    CHECK(box.y0 == y0);
    CHECK(box.x1 == x1);
    CHECK(box.y1 == y1);
}

}  // namespace

TEST_CASE("Info.txt of mini-MIAS, trap by trap", "[pipeline]") {
    const scratch::Directory folder;
    std::filesystem::create_directory(folder / "images");
    for (const char* name :
         {"images/mdb001.png", "images/mdb002.png", "mdb003.png", "mdb004.png", "mdb005.png", "mdb006.png"})
        write_png8(folder / name, Image(1024, 1024));
    scratch::put(folder / "mdb007.pgm", "P5 1024 1024 255\n" + std::string(1024 * 1024, 'x'));
    scratch::put(folder / "Info.txt",
                 "Character of background tissue:\r\n\n"
                 "mdb001 G CALC M 10 1020 20 \r\n"
                 "mdb002 F NORM\n"
                 "mdb003 D CIRC B 500 100 30\n"
                 "mdb003 D SPIC M 100 900 1\n"
                 "mdb004 G ASYM B *NOTE 3*\n"
                 "mdb005 G ARCH M\n"
                 "mdb006 G CIRC B 500 100 30\n"
                 "mdb006 G CIRC B\n"
                 "mdb007 G CALC B 500 1 5\n"
                 "mdb009 G NORM");
    const Dataset data = read_mias(folder.path());
    REQUIRE(data.records.size() == 7);

    const Record& cut = named(data, "mdb001");  // in the corner, so the box is clipped; rows count from below
    CHECK(cut.label == 1);
    REQUIRE(cut.lesions.size() == 1);
    CHECK(cut.lesions[0].finding == Finding::malignant_calcification);
    check_box(cut.lesions[0].box, 0, 0, 31, 25);
    CHECK(named(data, "mdb002").lesions.empty());
    CHECK(named(data, "mdb002").lesions_known);
    const Record& two = named(data, "mdb003");
    CHECK(two.label == 1);  // one malignant row is enough
    REQUIRE(two.lesions.size() == 2);
    CHECK(two.lesions[0].finding == Finding::benign_mass);
    CHECK(two.lesions[1].finding == Finding::malignant_mass);
    check_box(two.lesions[0].box, 470, 894, 531, 955);
    check_box(two.lesions[1].box, 99, 123, 102, 126);
    for (const auto& [name, label] : std::map<std::string, int>{{"mdb004", 0}, {"mdb005", 1}, {"mdb006", 0}}) {
        CHECK_FALSE(named(data, name).lesions_known);
        CHECK(named(data, name).lesions.empty());
        CHECK(named(data, name).label == label);
    }
    CHECK(named(data, "mdb007").lesions[0].finding == Finding::benign_calcification);
    check_box(named(data, "mdb007").lesions[0].box, 495, 1018, 506, 1024);
    CHECK(named(data, "mdb001").patient == named(data, "mdb002").patient);
    CHECK(named(data, "mdb002").patient != named(data, "mdb003").patient);
    CHECK(named(data, "mdb005").patient == named(data, "mdb006").patient);

    REQUIRE(data.notices.size() == 3);
    CHECK(data.notices[0].find("1 lines") != std::string::npos);
    CHECK(data.notices[1].find("names 8 images, 1 are absent") != std::string::npos);
    CHECK(data.notices[2].find("3 images are abnormal") != std::string::npos);
}

TEST_CASE("what is wrong in Info.txt is told with its line", "[pipeline]") {
    const scratch::Directory folder;
    write_png8(folder / "mdb001.png", Image(1024, 1024));
    write_png8(folder / "mdb002.png", Image(512, 1024));
    const auto sentence = [&](const std::string& info) {
        scratch::put(folder / "Info.txt", info);
        return refusal([&] { read_mias(folder.path()); });
    };
    for (const auto& [row, word] :
         std::map<std::string, std::string>{{"mdb001", "without tissue"},
                                            {"mdb001 G LUMP B 1 1 1", "unknown class LUMP"},
                                            {"mdb001 G CALC", "severity"},
                                            {"mdb001 G CALC X 1 1 1", "severity"},
                                            {"mdb001 G CALC B 1 1", "radius are needed"},
                                            {"mdb001 G CALC B 1 1 1 1", "radius are needed"},
                                            {"mdb001 G CALC B 1 y 1", "radius are needed"},
                                            {"mdb001 G CALC B 1024 5 1", "is not in an image"},
                                            {"mdb001 G CALC B 5 0 1", "is not in an image"},
                                            {"mdb001 G CALC B 5 5 0", "is not in an image"},
                                            {"mdb001 G NORM B", "NORM and has a severity"},
                                            {"mdb001 G NORM\nmdb001 G CALC B 5 5 5", "already has line 2"}}) {
        const std::string told = sentence("prose\n" + row + "\n");
        INFO(row << ": " << told);
        CHECK(told.find(row.find('\n') == row.npos ? "Info.txt line 2" : "Info.txt line 3") != told.npos);
        CHECK(told.find(word) != told.npos);
    }
    CHECK(sentence("mdb002 G NORM\n").find("is 512") == std::string::npos);  // width x height
    CHECK(sentence("mdb002 G NORM\n").find("is 1024x512; the coordinates") != std::string::npos);
    CHECK(sentence("mdb003 G NORM\n").find("none of the 1 images") != std::string::npos);
    CHECK(sentence("no rows\n").find("like mdb001") != std::string::npos);
}

TEST_CASE("mini-MIAS itself", "[data]") {
    const char* root = std::getenv("HOLON_DATA");
    if (!root) FAIL("HOLON_DATA is not set");
    const Dataset data = open_dataset(std::string("mias:") + root + "/mini-mias");
    CHECK(data.records.size() == 224);
    std::map<std::string, int> views;
    std::map<Finding, int> findings;
    int normal = 0;
    for (const Record& r : data.records) {
        ++views[r.patient];
        CHECK(r.lesions_known);
        normal += r.lesions.empty();
        for (const Lesion& l : r.lesions) ++findings[l.finding];
    }
    CHECK(views.size() == 112);
    CHECK(std::all_of(views.begin(), views.end(), [](const auto& v) { return v.second == 2; }));
    // Counted from Info.txt by another program: 144 normal images; 12 benign and 11 malignant CALC rows, 38 and 27
    // others.
    CHECK(normal == 144);
    CHECK(findings[Finding::benign_calcification] == 12);
    CHECK(findings[Finding::malignant_calcification] == 11);
    CHECK(findings[Finding::benign_mass] == 38);
    CHECK(findings[Finding::malignant_mass] == 27);
    CHECK(data.notices.empty());
    const Record& mixed = named(data, "mdb144");
    CHECK(mixed.label == 1);
    CHECK(mixed.lesions.size() == 2);

    // The origin: counted from below, lesions are brighter than the image as a whole far more often than not.
    int brighter = 0, all = 0;
    double place = 0;
    for (const Record& r : data.records) {
        if (r.lesions.empty()) continue;
        const Image image = read_image(r.image);
        double sum = 0;
        for (const std::uint16_t p : image.pixels) sum += p;
        const double mean = sum / double(image.pixels.size());
        for (const Lesion& l : r.lesions) {
            const int x = (l.box.x0 + l.box.x1) / 2, y = (l.box.y0 + l.box.y1) / 2;
            brighter += image.at(y, x) > mean;
            place += image.at(y, x) - image.at(1023 - y, x);
            ++all;
        }
    }
    CHECK(all == 88);
    CHECK(brighter > 80);
    CHECK(place > 0);  // brighter than at the place mirrored top to bottom
}
