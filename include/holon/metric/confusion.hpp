// metric/confusion.hpp: what was taken for what; an accuracy alone hides which class pays for it.
#pragma once
#include <algorithm>
#include <cstdint>
#include <iomanip>
#include <optional>
#include <string>
#include <vector>

#include <holon/core/error.hpp>

namespace holon {

/// Counts by true class (rows) and predicted class (columns).
class Confusion {
 public:
    explicit Confusion(std::vector<std::string> names)
        : names_(std::move(names)), counts_(names_.size() * names_.size()) {
        expects(!names_.empty(), "confusion: no classes");
    }

    /// Counts one more case, or `times` of them. Throws `DataError` for a class out of range.
    void add(int truth, int predicted, std::int64_t times = 1) { counts_[index(truth, predicted)] += times; }

    std::size_t classes() const { return names_.size(); }
    const std::string& name(int of) const { return names_[index(of, 0) / classes()]; }
    std::int64_t count(int truth, int predicted) const { return counts_[index(truth, predicted)]; }
    /// Cases that truly are of the class.
    std::int64_t total(int truth) const {
        std::int64_t sum = 0;
        for (int p = 0; p < int(classes()); ++p) sum += count(truth, p);
        return sum;
    }
    std::int64_t total() const {
        std::int64_t sum = 0;
        for (const std::int64_t n : counts_) sum += n;
        return sum;
    }
    std::int64_t correct() const {
        std::int64_t sum = 0;
        for (int c = 0; c < int(classes()); ++c) sum += count(c, c);
        return sum;
    }
    /// The share of cases that were called what they are; throws `DataError` before the first one.
    double accuracy() const {
        const std::int64_t all = total();
        expects<DataError>(all > 0, "confusion: the accuracy of no cases");
        return double(correct()) / double(all);
    }
    /// The share of the class's cases that were found; nothing for a class without cases.
    std::optional<double> recall(int truth) const {
        const std::int64_t all = total(truth);
        if (all == 0) return std::nullopt;
        return double(count(truth, truth)) / double(all);
    }
    /// The mean recall of the classes that have cases: accuracy as if all were equally frequent.
    double balanced_accuracy() const {
        double sum = 0;
        int present = 0;
        for (int c = 0; c < int(classes()); ++c) {
            if (const auto share = recall(c)) sum += *share, ++present;
        }
        expects<DataError>(present > 0, "confusion: the accuracy of no cases");
        return sum / present;
    }

 private:
    std::size_t index(int truth, int predicted) const {
        const int n = int(classes());
        expects<DataError>(truth >= 0 && truth < n && predicted >= 0 && predicted < n, "confusion: class ", truth,
                           " taken for class ", predicted, ", but classes run from 0 to ", n - 1);
        return std::size_t(truth) * classes() + std::size_t(predicted);
    }

    std::vector<std::string> names_;
    std::vector<std::int64_t> counts_;
};

/// A table: a row for each true class with its counts and recall, then the accuracy.
inline std::ostream& operator<<(std::ostream& out, const Confusion& table) {
    const int n = int(table.classes());
    std::size_t left = std::string("truth").size(), column = 6;
    for (int c = 0; c < n; ++c) {
        left = std::max(left, table.name(c).size());
        for (int p = 0; p < n; ++p) column = std::max(column, text(table.count(c, p)).size());
    }
    const auto padded = [](std::string s, std::size_t width) {
        return std::string(width - std::min(width, s.size()), ' ') + s;
    };
    const auto percent = [](double share) { return text(std::fixed, std::setprecision(1), 100.0 * share, " %"); };
    out << "truth" << std::string(left - 5, ' ');
    for (int p = 0; p < n; ++p) out << ' ' << padded(text("as ", p), column);
    out << "   recall\n";
    for (int c = 0; c < n; ++c) {
        out << table.name(c) << std::string(left - table.name(c).size(), ' ');
        for (int p = 0; p < n; ++p) out << ' ' << padded(text(table.count(c, p)), column);
        const auto recall = table.recall(c);
        out << ' ' << padded(recall ? percent(*recall) : "-", 8) << '\n';
    }
    if (table.total() == 0) return out << "no cases\n";
    return out << "accuracy " << percent(table.accuracy()) << " (" << table.correct() << '/' << table.total()
               << "), mean recall " << percent(table.balanced_accuracy()) << '\n';
}

}  // namespace holon
