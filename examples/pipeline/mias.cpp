// pipeline/mias.cpp: Info.txt, line by line.
#include "pipeline/mias.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <sstream>

#include <holon/core/error.hpp>

#include "pipeline/decode.hpp"
#include "pipeline/file_bytes.hpp"

namespace holon::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr int side = 1024;  // of every image of the set; the coordinates mean nothing at another size

struct Entry {
    std::size_t line = 0;  // of the first row
    bool normal = false, malignant = false, located = true;
    std::vector<Lesion> lesions;
};

bool whole_number(const std::string& word, int& number) {
    const auto end = std::from_chars(word.data(), word.data() + word.size(), number);
    return end.ec == std::errc() && end.ptr == word.data() + word.size();
}

/// mdbNNN, and nothing else.
bool is_name(const std::string& word) {
    return word.size() == 6 && word.starts_with("mdb") &&
           std::all_of(word.begin() + 3, word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// The box of the pixels in a circle about column x and, counted from below, line y.
Box box_of_circle(int x, int y, int radius) {
    const int row = side - y;
    return {std::max(0, x - radius), std::max(0, row - radius), std::min(side, x + radius + 1),
            std::min(side, row + radius + 1)};
}

void add_lesion(Entry& entry, const std::vector<std::string>& words, const std::string& place) {
    const std::string& kind = words[2];
    expects<DataError>(words.size() >= 4 && (words[3] == "B" || words[3] == "M"), place, ": ", words[0], ' ', kind,
                       " without a severity B or M");
    const bool malignant = words[3] == "M";
    entry.malignant |= malignant;
    if (words.size() == 4 || words[4].starts_with("*")) {  // "*NOTE 3*": spread over the image
        entry.located = false;
        return;
    }
    int x = 0, y = 0, radius = 0;
    expects<DataError>(
        words.size() == 7 && whole_number(words[4], x) && whole_number(words[5], y) && whole_number(words[6], radius),
        place, ": after the severity of ", words[0], " x, y and radius are needed, or nothing");
    expects<DataError>(x >= 0 && x < side && y > 0 && y <= side && radius > 0 && radius <= side, place, ": the circle ",
                       x, ' ', y, ' ', radius, " of ", words[0], " is not in an image of ", side, 'x', side);
    Lesion lesion;
    lesion.finding = kind == "CALC" ? (malignant ? Finding::malignant_calcification : Finding::benign_calcification)
                                    : (malignant ? Finding::malignant_mass : Finding::benign_mass);
    lesion.box = box_of_circle(x, y, radius);
    entry.lesions.push_back(lesion);
}

std::map<std::string, Entry> read_info(const std::string& path, std::size_t& prose) {
    std::map<std::string, Entry> entries;
    std::istringstream lines(read_bytes(path, std::uint64_t(1) << 20));
    std::size_t line_number = 0;
    for (std::string line; std::getline(lines, line);) {
        ++line_number;
        std::istringstream in(line);
        std::vector<std::string> words;
        for (std::string word; in >> word;) words.push_back(word);
        if (words.empty()) continue;
        if (!is_name(words[0])) {
            ++prose;
            continue;
        }
        const std::string place = text(path, " line ", line_number);
        expects<DataError>(words.size() >= 3, place, ": ", words[0], " without tissue and class");
        static constexpr std::array<std::string_view, 7> classes = {"CALC", "CIRC", "SPIC", "MISC",
                                                                    "ARCH", "ASYM", "NORM"};
        expects<DataError>(std::find(classes.begin(), classes.end(), words[2]) != classes.end(), place, ": ", words[0],
                           " has the unknown class ", words[2],
                           "; CALC, CIRC, SPIC, MISC, ARCH, ASYM or NORM is needed");
        const auto [found, fresh] = entries.try_emplace(words[0]);
        Entry& entry = found->second;
        if (fresh) entry.line = line_number;
        const bool normal = words[2] == "NORM";
        expects<DataError>(fresh || (!normal && !entry.normal), place, ": ", words[0], " is ", words[2],
                           " here and already has line ", entry.line, "; a normal image has one row");
        entry.normal = normal;
        if (!normal)
            add_lesion(entry, words, place);
        else
            expects<DataError>(words.size() == 3, place, ": ", words[0], " is NORM and has a severity");
    }
    return entries;
}

std::string find_image(const std::string& folder, const std::string& name) {
    for (const char* below : {"/images/", "/"})
        for (const char* ending : {".png", ".pgm"}) {
            std::string path = folder + below + name + ending;
            if (fs::is_regular_file(path)) return path;
        }
    return {};
}

}  // namespace

Dataset read_mias(const std::string& folder) {
    const std::string info = folder + "/Info.txt";
    Dataset data;
    data.source = "mias:" + folder;
    std::size_t prose = 0, absent = 0, unlocated = 0;
    const auto entries = read_info(info, prose);
    expects<DataError>(!entries.empty(), info, ": no row begins with an image's name, like mdb001");
    for (const auto& [name, entry] : entries) {
        Record record;
        record.image = find_image(folder, name);
        if (record.image.empty()) {
            ++absent;
            continue;
        }
        const ImageHeader size = probe_image(record.image);
        expects<DataError>(size.rows == side && size.columns == side, record.image, ": is ", size.columns, 'x',
                           size.rows, "; the coordinates of mini-MIAS are for ", side, 'x', side);
        int number = 0;
        whole_number(name.substr(3), number);
        record.patient = text("mias", (number + 1) / 2);
        record.label = entry.malignant ? 1 : 0;
        record.lesions_known = entry.located;
        if (entry.located)
            record.lesions = entry.lesions;
        else
            ++unlocated;
        data.records.push_back(std::move(record));
    }
    expects<DataError>(!data.records.empty(), folder, ": none of the ", entries.size(), " images that ", info,
                       " names is here; mdbNNN.png or mdbNNN.pgm are looked for in ", folder, "/images and ", folder);
    if (prose > 0)
        data.notices.push_back(text(info, ": ", prose, " lines that begin with no image's name are passed over"));
    if (absent > 0) data.notices.push_back(text(info, " names ", entries.size(), " images, ", absent, " are absent"));
    if (unlocated > 0)
        data.notices.push_back(
            text(info, ": ", unlocated, " images are abnormal, but where is not told; they give no patches"));
    return data;
}

}  // namespace holon::pipeline
