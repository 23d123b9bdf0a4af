// pipeline/manifest.cpp: a manifest is read as it is meant, or refused with file and line.
#include "pipeline/manifest.hpp"

#include <algorithm>
#include <filesystem>

#include "pipeline/open.hpp"
#include "pipeline/pictures.hpp"
#include "pipeline/png_out.hpp"
#include "support/catch.hpp"

using namespace holon::pipeline;
using scratch::refusal;

namespace {

/// A folder with two images of 10 x 20 pixels (width x height), a mask of 6 pixels, and whatever manifest is put there.
class Folder {
 public:
    Folder() {
        write_png8(folder_ / "a.png", Image(20, 10, 1000));
        write_png8(folder_ / "b.png", Image(20, 10, 2000));
        Image mask(20, 10);
        for (int row = 4; row < 7; ++row) mask.at(row, 8) = mask.at(row, 9) = 65535;
        write_png8(folder_ / "mask.png", mask);
        write_png8(folder_ / "blank.png", Image(20, 10));
        write_png8(folder_ / "other.png", Image(10, 20));
        scratch::put(folder_ / "text.png", "no picture");
    }
    std::string csv() const { return folder_ / "m.csv"; }
    std::string path(const std::string& name) const { return folder_ / name; }
    Dataset read(const std::string& text) const {
        scratch::put(csv(), text);
        return read_manifest(csv());
    }
    std::string refused(const std::string& rows) const {
        return refusal([&] { read("image,patient,label,split,class,x0,y0,x1,y1,mask\n" + rows); });
    }

 private:
    scratch::Directory folder_;
};

std::string described(const Dataset& data) {
    std::string out;
    for (const Record& r : data.records) {
        out += holon::text(std::filesystem::path(r.image).filename().string(), ' ', r.patient, ' ', r.label, ' ',
                           int(r.split), ' ', r.lesions_known);
        for (const Lesion& l : r.lesions)
            out += holon::text(" [", int(l.finding), ' ', l.box.x0, ' ', l.box.y0, ' ', l.box.x1, ' ', l.box.y1, ' ',
                               std::filesystem::path(l.mask).filename().string(), ']');
        out += '\n';
    }
    return out;
}

}  // namespace

TEST_CASE("a manifest with its columns in any order", "[pipeline]") {
    const Folder folder;
    const Dataset data = folder.read(
        "mask,patient,image,split,class,x0,x1,y0,y1,label,note\n"
        ",p1,a.png,train,benign_mass,1,5,2,20,malignant,\"a, b\"\n"
        "mask.png,p1,a.png,train,malignant_calcification,,,,,1,\n"
        ",p2,./b.png,test,,,,,,0,\n");
    CHECK(described(data) == "a.png p1 1 1 1 [3 1 2 5 20 ] [2 8 4 10 7 mask.png]\nb.png p2 0 3 1\n");
    CHECK(data.records[0].image == folder.path("a.png"));
    CHECK(data.records[0].lesions[1].mask == folder.path("mask.png"));
    REQUIRE(data.notices.size() == 1);
    CHECK(data.notices[0].find("'note' is not used") != std::string::npos);
}

TEST_CASE("an abnormal image without a place gives no patches", "[pipeline]") {
    const Folder folder;
    const std::string header = "image,patient,label,split,class,x0,y0,x1,y1,mask\n";
    const auto known = [&](const std::string& label, const std::string& lesion) {
        const Dataset data = folder.read(header + "a.png,p1," + label + ",," + lesion + "\n");
        CHECK(data.notices.size() == (data.records.at(0).lesions_known ? 0 : 1));
        return data.records.at(0).lesions_known;
    };
    const std::string none = ",,,,,", benign = "benign_mass,1,1,5,5,", malignant = "malignant_mass,1,1,5,5,";
    for (const char* label : {"0", "negative", "normal"}) CHECK(known(label, none));
    for (const char* label : {"1", "positive", "malignant", "benign"}) CHECK_FALSE(known(label, none));
    for (const char* label : {"0", "negative", "benign"}) CHECK(known(label, benign));
    for (const char* label : {"1", "positive", "malignant"}) {
        CHECK(known(label, malignant));
        CHECK_FALSE(known(label, benign));  // where the malignant one lies is not told
    }
}

TEST_CASE("what is wrong in a manifest is told with file and line", "[pipeline]") {
    const Folder folder;
    const std::string ok = "b.png,p9,0,,,,,,,\n";  // so that the line is not always the first
    const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
        {"a.png,p1,2,,,,,,,\n", {"label '2'", "benign or malignant"}},
        {"a.png,p1,,,,,,,,\n", {"label ''"}},
        {"a.png,p1,0,val,,,,,,\n", {"split 'val'", "validation"}},
        {"a.png,p1,0,,cyst,1,1,2,2,\n", {"class 'cyst'", "benign_calcification"}},
        {"a.png,p1,0,,background,1,1,2,2,\n", {"class 'background'"}},
        {",p1,0,,,,,,,\n", {"no image is named"}},
        {"a.png,,0,,,,,,,\n", {"no patient is named"}},
        {"c.png,p1,0,,,,,,,\n", {"there is no file", "c.png"}},
        {"text.png,p1,0,,benign_mass,1,1,2,2,\n", {"text.png", "looks like text"}},
        {"a.png,p1,0,,benign_mass,5,1,5,2,\n", {"5,1,5,2", "is empty"}},
        {"a.png,p1,0,,benign_mass,5,9,6,2,\n", {"5,9,6,2", "is empty"}},
        {"a.png,p1,0,,benign_mass,5,1,11,2,\n", {"5,1,11,2", "outside the image", "10x20"}},
        {"a.png,p1,0,,benign_mass,-1,1,3,2,\n", {"-1,1,3,2", "outside"}},
        {"a.png,p1,0,,benign_mass,5,1,10,21,\n", {"5,1,10,21", "outside"}},
        {"a.png,p1,0,,benign_mass,1.5,1,3,2,\n", {"x0 is '1.5'", "whole number"}},
        {"a.png,p1,0,,benign_mass,1,1,3,,\n", {"y1 is ''"}},
        {"a.png,p1,0,,benign_mass,1,1,99999999999,2,\n", {"x1 is '99999999999'"}},
        {"a.png,p1,0,,benign_mass,,,,,\n", {"without a box or a mask"}},
        {"a.png,p1,0,,,1,1,2,2,\n", {"without a class"}},
        {"a.png,p1,0,,,,,,,mask.png\n", {"without a class"}},
        {"a.png,p1,0,,benign_mass,,,,,absent.png\n", {"absent.png", "No such file"}},
        {"a.png,p1,0,,benign_mass,,,,,other.png\n", {"other.png", "20x10", "10x20"}},
        {"a.png,p1,0,,benign_mass,,,,,blank.png\n", {"blank.png", "is empty"}},
        {"a.png,p1,0,,malignant_mass,1,1,2,2,\n", {"labelled 0", "malignant lesion"}},
        {"a.png,p1,normal,,benign_mass,1,1,2,2,\n", {"labelled normal"}},
        {"a.png,p1,0\n", {"3 cells", "the header has 10"}},
    };
    for (const auto& [row, words] : cases) {
        const std::string sentence = folder.refused(ok + row);
        INFO(row << sentence);
        CHECK(sentence.find(folder.csv() + " line 3") == 0);
        for (const std::string& word : words) CHECK(sentence.find(word) != sentence.npos);
    }
}

TEST_CASE("rows of a manifest that contradict each other", "[pipeline]") {
    const Folder folder;
    const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
        {"a.png,p1,0,,benign_mass,1,1,2,2,\na.png,p2,0,,benign_mass,1,1,2,2,\n", {"the patient p2", "on line 2", "p1"}},
        {"a.png,p1,0,,benign_mass,1,1,2,2,\na.png,p1,1,,malignant_mass,1,1,2,2,\n", {"the label 1", "on line 2", "0"}},
        {"a.png,p1,0,train,benign_mass,1,1,2,2,\n./a.png,p1,0,test,benign_mass,1,1,2,2,\n",
         {"split 'test'", "line 2 in 'train'"}},
        {"a.png,p1,0,train,,,,,,\nb.png,p1,0,test,,,,,,\n",
         {"patient p1", "'test'", "line 2 in 'train'", "must not be in two"}},
        {"a.png,p1,0,train,,,,,,\nb.png,p1,0,,,,,,,\n", {"patient p1", "must not be in two"}},
        {"a.png,p1,0,,,,,,,\na.png,p1,0,,benign_mass,1,1,2,2,\n", {"has a lesion, line 2 says it has none"}},
        {"a.png,p1,0,,benign_mass,1,1,2,2,\na.png,p1,0,,,,,,,\n", {"second row without a lesion", "line 2"}},
        {"a.png,p1,0,,,,,,,\na.png,p1,0,,,,,,,\n", {"second row without a lesion"}},
    };
    for (const auto& [rows, words] : cases) {
        const std::string sentence = folder.refused(rows);
        INFO(rows << sentence);
        CHECK(sentence.find(folder.csv() + " line 3") == 0);
        for (const std::string& word : words) CHECK(sentence.find(word) != sentence.npos);
    }
    for (const std::string column : {"image", "patient", "label", "split", "class", "x0", "y0", "x1", "y1", "mask"}) {
        std::string header = "image,patient,label,split,class,x0,y0,x1,y1,mask\n";
        header.replace(header.find(column), column.size(), "z");
        const std::string sentence = refusal([&] { folder.read(header); });
        INFO(sentence);
        CHECK(sentence.find("no column '" + column + "'") != sentence.npos);
    }
}

TEST_CASE("a manifest that is written is read back", "[pipeline]") {
    const Folder folder;
    Dataset data;
    data.records = {
        {folder.path("b.png"),
         "p, \"2\"",
         1,
         Split::test,
         {{Finding::malignant_mass, {1, 2, 3, 4}, folder.path("mask.png")},
          {Finding::benign_calcification, {0, 0, 10, 20}, ""}},
         true},
        {folder.path("a.png"), "p1", 0, Split::train, {}, true},
        {folder.path("mask.png"), "p3", 0, Split::validation, {}, false},
        {folder.path("blank.png"), "p4", 1, Split::validation, {}, false},
        {folder.path("other.png"), "p5", 0, Split::train, {{Finding::benign_mass, {1, 1, 2, 2}, ""}}, true},
    };
    write_manifest(folder.csv(), data);
    CHECK(described(read_manifest(folder.csv())) == described(data));
    CHECK(scratch::bytes_of(folder.csv())
              .find("b.png,\"p, \"\"2\"\"\",malignant,test,malignant_mass,1,2,3,4,mask.png\n") != std::string::npos);

    // Elsewhere the paths are absolute, and still found.
    const scratch::Directory elsewhere;
    write_manifest(elsewhere / "manifest.csv", data);
    const Dataset phantom = open_dataset("phantom:" + elsewhere.path());
    CHECK(described(phantom) == described(data));
    CHECK(phantom.records[0].image == folder.path("b.png"));
    CHECK(refusal([&] { write_manifest(elsewhere / "none/m.csv", data); }).find("No such file") != std::string::npos);
}

TEST_CASE("data of an unknown kind", "[pipeline]") {
    for (const char* data : {"inbreast:x", "x.csv", "", "mias:", "manifest:", ":x"}) {
        const std::string sentence = refusal([&] { open_dataset(data); });
        INFO(sentence);
        for (const char* form : {"phantom:DIR", "mias:DIR", "cbis-ddsm-mass:DIR", "manifest:FILE.csv"})
            CHECK(sentence.find(form) != sentence.npos);
    }
    for (const char* scheme : {"phantom", "mias", "cbis-ddsm-mass"})
        CHECK(refusal([&] { open_dataset(scheme + std::string(":/no/such")); }).find("no folder /no/such") !=
              std::string::npos);
    CHECK(refusal([&] { open_dataset("manifest:/no/such.csv"); }).find("No such file") != std::string::npos);
}
