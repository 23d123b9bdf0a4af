// pipeline/cbis.cpp: labels from the table, boxes from the JSON file, and where the two do not meet.
#include "pipeline/cbis.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "pipeline/decode.hpp"
#include "pipeline/open.hpp"
#include "pipeline/pictures.hpp"
#include "support/catch.hpp"

using namespace holon::pipeline;
using scratch::refusal;

namespace {

const std::string header =
    "patient_id,breast_density,left or right breast,image view,abnormality id,abnormality type,mass shape,mass margins,"
    "assessment,pathology,subtlety,image file path,cropped image file path,ROI mask file path\n";

std::string row(const std::string& patient, const std::string& side, const std::string& view,
                const std::string& pathology) {
    return patient + ",3," + side + ',' + view + ",1,mass,OVAL,SPICULATED,4," + pathology +
           ",4,x/0.dcm,\"y/0.dcm\n\",\"z/1.dcm\n\"\n";
}

class Folder {
 public:
    Folder() {
        std::filesystem::create_directories(folder_ / "csv");
        std::filesystem::create_directories(folder_ / "images");
    }
    void image(const std::string& name) const {
        scratch::put(folder_ / ("images/" + name + ".jpg"), pictures::jpeg({200}));
    }
    void table(const std::string& rows) const {
        scratch::put(folder_ / "csv/mass_case_description_train_set.csv", header + rows);
    }
    void coco(const std::string& text) const { scratch::put(folder_ / "images/_annotations.coco.json", text); }
    Dataset read() const { return read_cbis_mass(folder_.path()); }
    std::string refused() const {
        return refusal([&] { read(); });
    }

 private:
    scratch::Directory folder_;
};

}  // namespace

TEST_CASE("CBIS-DDSM masses: table and boxes together", "[pipeline]") {
    const Folder folder;
    folder.table(row("P_00001", "LEFT", "CC", "MALIGNANT") + row("P_00001", "LEFT", "MLO", "BENIGN_WITHOUT_CALLBACK") +
                 row("P_00002", "RIGHT", "CC", "BENIGN") + row("P_00002", "RIGHT", "CC", "MALIGNANT") +
                 row("P_00003", "LEFT", "CC", "BENIGN") + row("P_00003", "LEFT", "CC", "BENIGN") +
                 row("P_00004", "LEFT", "CC", "BENIGN"));
    for (const char* name : {"00001_LEFT_CC", "00001_LEFT_MLO", "00002_RIGHT_CC", "00003_LEFT_CC"}) folder.image(name);
    // Ids are not places in the list.
    folder.coco(R"({"images":[
        {"id":3,"file_name":"00001_LEFT_CC.jpg","height":8,"width":8},{"id":0,"file_name":"00001_LEFT_MLO.jpg","height":8,"width":8},
        {"id":7,"file_name":"00002_RIGHT_CC.jpg","height":8,"width":8},{"id":1,"file_name":"00003_LEFT_CC.jpg","height":8,"width":8}],
        "annotations":[{"image_id":0,"bbox":[1.5,2.25,3,4]},{"image_id":3,"bbox":[4,0,4.004,1]},
        {"image_id":7,"bbox":[1,1,2,2]},{"image_id":7,"bbox":[3,3,2,2]},{"image_id":1,"bbox":[1,1,2,2]}]})");
    const Dataset data = folder.read();
    REQUIRE(data.records.size() == 4);
    const Record &cc = data.records[0], &mlo = data.records[1], &mixed = data.records[2], &short_of = data.records[3];
    CHECK(cc.patient == "P_00001");
    CHECK(cc.label == 1);
    REQUIRE(cc.lesions.size() == 1);
    CHECK(cc.lesions[0].finding == Finding::malignant_mass);
    CHECK(cc.lesions[0].box.x0 == 4);
    CHECK(cc.lesions[0].box.x1 == 8);
    CHECK(cc.lesions[0].box.y1 == 1);
    CHECK(mlo.label == 0);
    REQUIRE(mlo.lesions.size() == 1);
    CHECK(mlo.lesions[0].finding == Finding::benign_mass);
    CHECK(mlo.lesions[0].box.x0 == 1);
    CHECK(mlo.lesions[0].box.y0 == 2);
    CHECK(mlo.lesions[0].box.x1 == 5);
    CHECK(mlo.lesions[0].box.y1 == 7);
    CHECK(mixed.label == 1);
    CHECK_FALSE(mixed.lesions_known);
    CHECK(mixed.lesions.empty());
    CHECK(short_of.label == 0);
    CHECK_FALSE(short_of.lesions_known);
    REQUIRE(data.notices.size() == 3);
    CHECK(data.notices[0].find("names 5 images, 1 are absent") != std::string::npos);
    CHECK(data.notices[1].find("1 images have benign and malignant") != std::string::npos);
    CHECK(data.notices[2].find("1 images have fewer boxes") != std::string::npos);
}

TEST_CASE("CBIS-DDSM files that are refused", "[pipeline]") {
    const Folder folder;
    folder.image("00001_LEFT_CC");
    const std::string good =
        R"({"images":[{"id":0,"file_name":"00001_LEFT_CC.jpg","height":8,"width":8}],"annotations":[)";
    const std::string table = row("P_00001", "LEFT", "CC", "BENIGN");
    for (
        const auto& [coco, words] : std::vector<std::pair<std::string, std::vector<std::string>>>{
            {"{\"images\":[", {"_annotations.coco.json", "parse error"}},
            {"{}", {"_annotations.coco.json", "images"}},
            {R"({"images":[{"id":"0","file_name":"a","height":8,"width":8}],"annotations":[]})",
             {"type must be number"}},
            {R"({"images":[{"id":0,"file_name":"a","height":8,"width":8},{"id":0,"file_name":"b","height":8,"width":8}],"annotations":[]})",
             {"same id 0"}},
            {good + R"({"image_id":5,"bbox":[1,1,2,2]}]})", {"image_id 5"}},
            {good + R"({"image_id":0,"bbox":[1,1,2]}]})", {"has 3 numbers"}},
            {good + R"({"image_id":0,"bbox":[1,1,0,2]}]})", {"is empty or lies outside", "8x8"}},
            {good + R"({"image_id":0,"bbox":[7,1,2,2]}]})", {"is empty or lies outside"}},
            {good + R"({"image_id":0,"bbox":[1e300,1,2,2]}]})", {"is empty or lies outside"}},
            {R"({"images":[{"id":0,"file_name":"00001_LEFT_CC.jpg","height":8,"width":9}],"annotations":[{"image_id":0,"bbox":[1,1,2,2]}]})",
             {"00001_LEFT_CC.jpg", "is 8x8", "says 9x8"}}}) {
        folder.table(table);
        folder.coco(coco);
        const std::string sentence = folder.refused();
        INFO(coco << ": " << sentence);
        for (const std::string& word : words) CHECK(sentence.find(word) != sentence.npos);
    }
    folder.coco(good + "]}");
    for (const auto& [rows, word] :
         std::map<std::string, std::string>{{row("P_00001", "LEFT", "CC", "UNPROVEN"), "line 2: pathology 'UNPROVEN'"},
                                            {row("1", "LEFT", "CC", "BENIGN"), "line 2: patient_id '1'"},
                                            {table + table + row("", "LEFT", "CC", "BENIGN"), "line 8: patient_id ''"},
                                            {row("P_00002", "LEFT", "CC", "BENIGN"), "none of the 1 images"},
                                            {"", "no rows"}}) {
        folder.table(rows);
        const std::string sentence = folder.refused();
        INFO(rows << sentence);
        CHECK(sentence.find(word) != sentence.npos);
    }
}

TEST_CASE("CBIS-DDSM masses themselves", "[data]") {
    const char* root = std::getenv("HOLON_DATA");
    if (!root) FAIL("HOLON_DATA is not set");
    const Dataset data = open_dataset(std::string("cbis-ddsm-mass:") + root + "/cbis-ddsm-mass");
    CHECK(data.records.size() == 1231);
    std::set<std::string> patients;
    std::size_t positive = 0, unknown = 0, benign = 0, malignant = 0;
    for (const Record& r : data.records) {
        patients.insert(r.patient);
        positive += std::size_t(r.label);
        unknown += !r.lesions_known;
        for (const Lesion& l : r.lesions) ++(l.finding == Finding::malignant_mass ? malignant : benign);
    }
    // Counted from the table by another program: 681 benign and 637 malignant rows, of which the mixed images hold
    // 6 and 8, and 602 images with a malignant row.
    CHECK(patients.size() == 691);
    CHECK(positive == 602);
    CHECK(unknown == 6);
    CHECK(benign == 681 - 6);
    CHECK(malignant == 637 - 8);
    REQUIRE(data.notices.size() == 1);
    CHECK(data.notices[0].find("6 images have benign and malignant") != std::string::npos);
    const Image image = read_image(data.records.front().image);
    CHECK(image.rows == 800);
    CHECK(image.columns == 800);
    const std::string bytes = scratch::bytes_of(data.records.front().image);
    const scratch::Directory folder;
    for (const std::size_t cut : {std::size_t(100), bytes.size() / 2, bytes.size() - 1}) {
        scratch::put(folder / "cut.jpg", bytes.substr(0, cut));
        CHECK(refusal([&] { read_image(folder / "cut.jpg"); }).find("cut off") != std::string::npos);
    }
}
