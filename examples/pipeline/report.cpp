// pipeline/report.cpp: the curve and the page, written.
#include "pipeline/report.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <holon/core/error.hpp>

namespace holon::pipeline {

void write_text(const std::string& path, const std::string& content) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out << content;
    out.close();
    expects<DataError>(bool(out), path, ": cannot be written; is the disk full or the folder gone?");
}

std::string roc_svg(const std::vector<RocPoint>& curve, double area) {
    std::string points;
    for (const RocPoint& p : curve)
        points += text(40 + 300 * (1 - p.specificity), ',', 320 - 300 * p.sensitivity, ' ');
    return text("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"360\" height=\"360\" font-family=\"sans-serif\" font-size=\"12\">"
                "<rect width=\"360\" height=\"360\" fill=\"white\"/>"
                "<rect x=\"40\" y=\"20\" width=\"300\" height=\"300\" fill=\"none\" stroke=\"#888\"/>"
                "<line x1=\"40\" y1=\"320\" x2=\"340\" y2=\"20\" stroke=\"#ccc\"/>"
                "<polyline fill=\"none\" stroke=\"#b2182b\" stroke-width=\"2\" points=\"", points, "\"/>"
                "<text x=\"120\" y=\"348\">1 - specificity</text>"
                "<text transform=\"translate(20,210) rotate(-90)\">sensitivity</text>"
                "<text x=\"230\" y=\"300\">AUC ", std::to_string(area).substr(0, 6), "</text></svg>\n");
}

std::string html(const std::string& raw) {
    std::string out;
    for (const char c : raw) {
        if (c == '<') out += "&lt;";
        else if (c == '>') out += "&gt;";
        else if (c == '&') out += "&amp;";
        else if (c == '"') out += "&quot;";
        else out += c;
    }
    return out;
}

void write_report(const std::string& folder, const std::vector<std::string>& lines, const std::string& svg) {
    std::vector<std::string> pictures;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with("heatmap") && name.ends_with(".png")) pictures.push_back(name);
    }
    std::sort(pictures.begin(), pictures.end());
    std::string page = "<!doctype html><meta charset=\"utf-8\"><title>Holon evaluation</title>"
                       "<style>body{font-family:sans-serif;max-width:70em;margin:2em auto}img{height:22em;margin:.3em}"
                       "pre{background:#f4f4f4;padding:1em}</style><h1>Evaluation</h1><pre>";
    for (const std::string& line : lines) page += html(line) + "\n";
    page += "</pre>" + svg;
    if (!pictures.empty()) page += "<h2>Heatmaps</h2><p>Share of malignant classes, window by window.</p>";
    for (const std::string& name : pictures) page += "<img src=\"" + html(name) + "\" alt=\"" + html(name) + "\">";
    write_text(folder + "/report.html", page + "\n");
}

}  // namespace holon::pipeline
