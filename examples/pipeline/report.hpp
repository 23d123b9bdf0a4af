// pipeline/report.hpp: what an evaluation leaves behind: scores as CSV, the ROC curve as SVG, and one page with all of it.
#pragma once
#include <string>
#include <vector>

#include <holon/metric/roc.hpp>

namespace holon::pipeline {

void write_text(const std::string& path, const std::string& content);

/// The ROC curve, 360 x 360, axes from 0 to 1, no dependencies.
std::string roc_svg(const std::vector<RocPoint>& curve, double area);

/// Text as HTML shows it, whatever it holds.
std::string html(const std::string& raw);

/// One page: the lines of the result, the curve, and every heatmap*.png that lies in the folder.
void write_report(const std::string& folder, const std::vector<std::string>& lines, const std::string& svg);

}  // namespace holon::pipeline
