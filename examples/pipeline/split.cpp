// pipeline/split.cpp: the draw, and the file it is kept in.
#include "pipeline/split.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <span>

#include <holon/checkpoint/atomic_file.hpp>
#include <holon/core/error.hpp>
#include <holon/core/random.hpp>

#include "pipeline/csv.hpp"

namespace holon::pipeline {
namespace {

/// Patients by name, negative and positive apart.
using Strata = std::array<std::vector<std::string>, 2>;

std::string_view name_of(Split split) { return split_names[std::size_t(split)]; }

Strata strata_of(const Dataset& data) {
    std::map<std::string, int> positive;
    for (const Record& record : data.records) {
        expects<DataError>(!record.patient.empty(), data.source, ": image ", record.image, " has no patient");
        int& label = positive[record.patient];
        label = std::max(label, record.label == 1 ? 1 : 0);
    }
    Strata strata;
    for (const auto& [patient, label] : positive) strata[std::size_t(label)].push_back(patient);
    return strata;
}

std::size_t count_of(const Strata& strata) { return strata[0].size() + strata[1].size(); }

/// Fisher and Yates. Streams of their own keep the draw apart from whatever else uses the seed.
void shuffle(Strata& strata, std::uint64_t seed, std::uint64_t purpose) {
    constexpr std::uint64_t splits = 0x73706C6974ull << 24;  // "split"
    for (std::size_t label = 0; label < 2; ++label) {
        Random random(seed, splits + 2 * purpose + label);
        auto& names = strata[label];
        for (std::size_t i = names.size(); i > 1; --i) std::swap(names[i - 1], names[std::size_t(random.below(i))]);
    }
}

/// The last `count` patients in all leave `from`, in proportion to the strata.
void take(Strata& from, std::size_t count, Split split, Splits& deal) {
    const std::size_t all = count_of(from);
    const auto positive =
        std::size_t(std::lround(double(count) * double(from[1].size()) / double(std::max<std::size_t>(all, 1))));
    const std::array<std::size_t, 2> counts = {count - positive, positive};
    for (std::size_t label = 0; label < 2; ++label)
        for (std::size_t i = 0; i < counts[label]; ++i) {
            deal[from[label].back()] = split;
            from[label].pop_back();
        }
}

/// ceil(share * n) for shares with a few decimals, which doubles hold only nearly: 0.1 of 30 is 3.
std::size_t ceil_of(double share, std::size_t n) { return std::size_t(std::ceil(share * double(n) - 1e-9)); }

std::size_t part(double share, std::size_t n, const char* what) {
    expects<DataError>(share >= 0 && share < 1, "splits: the ", what, " share is ", share, "; 0 to 1 is needed");
    return ceil_of(share, n);
}

void deal_rest(const Dataset& data, Strata& rest, std::size_t validation, Splits& deal) {
    expects<DataError>(validation < count_of(rest), data.source, ": ", deal.size() + count_of(rest),
                       " patients leave none to train on beside ", deal.size(), " for the test and ", validation,
                       " for the validation; more patients are needed");
    take(rest, validation, Split::validation, deal);
    take(rest, count_of(rest), Split::train, deal);
}

void assign(const Splits& deal, Dataset& data) {
    for (Record& record : data.records) record.split = deal.at(record.patient);
}

/// The splits that the data states. Empty if it states none; all or nothing.
Splits stated(const Dataset& data) {
    Splits deal;
    const Record* without = nullptr;
    for (const Record& record : data.records) {
        if (record.split == Split::none) {
            without = &record;
            continue;
        }
        const auto [found, fresh] = deal.emplace(record.patient, record.split);
        expects<DataError>(fresh || found->second == record.split, data.source, ": patient ", record.patient,
                           " is in two splits, ", name_of(found->second), " and ", name_of(record.split), " (image ",
                           record.image, ")");
    }
    expects<DataError>(deal.empty() || !without, data.source, ": image ", without ? without->image : "",
                       " has no split and others have one; give all of them a split, or none");
    return deal;
}

}  // namespace

Splits read_splits(const std::string& path) {
    const CsvTable table(path);
    const std::size_t patients = table.column("patient"), splits = table.column("split");
    expects<DataError>(table.columns().size() == 2, path, ": has ", table.columns().size(),
                       " columns; patient and split are needed, and nothing else");
    Splits deal;
    for (std::size_t row = 0; row < table.rows(); ++row) {
        const std::string patient = table.cell(row, patients), split = trimmed(table.cell(row, splits));
        const auto found = std::find(split_names.begin() + 1, split_names.end(), split);
        expects<DataError>(found != split_names.end(), table.place(row), ": split '", split,
                           "'; train, validation or test is needed");
        const auto [place, fresh] = deal.emplace(patient, Split(found - split_names.begin()));
        expects<DataError>(fresh, table.place(row), ": patient ", patient, " is listed before, in ",
                           name_of(place->second));
    }
    return deal;
}

void split_patients(Dataset& data, SplitOptions options) {
    if (!stated(data).empty()) return;
    Strata strata = strata_of(data);
    shuffle(strata, options.seed, 0);
    Splits deal;
    take(strata, part(options.test, count_of(strata), "test"), Split::test, deal);
    deal_rest(data, strata, part(options.validation, count_of(strata), "validation"), deal);
    assign(deal, data);
}

void fold_patients(Dataset& data, int folds, int fold, double validation, std::uint64_t seed) {
    expects<DataError>(stated(data).empty(), data.source, ": states its own splits; folds cannot be made");
    expects<DataError>(folds >= 2 && fold >= 0 && fold < folds, "folds: number ", fold, " of ", folds,
                       "; at least 2 are needed, numbered from 0");
    Strata strata = strata_of(data), rest;
    expects<DataError>(count_of(strata) >= std::size_t(folds), data.source, ": ", count_of(strata),
                       " patients cannot make ", folds, " folds");
    shuffle(strata, seed, 0);
    Splits deal;
    std::size_t dealt = 0;  // runs on from one stratum to the next, so that the sizes differ by one at most
    for (std::size_t label = 0; label < 2; ++label)
        for (const std::string& patient : strata[label]) {
            if (dealt++ % std::size_t(folds) == std::size_t(fold))
                deal[patient] = Split::test;
            else
                rest[label].push_back(patient);
        }
    shuffle(rest, seed, 1 + std::uint64_t(fold));
    deal_rest(data, rest, part(validation, count_of(rest), "validation"), deal);
    assign(deal, data);
}

void keep_training_share(Dataset& data, double share, std::uint64_t seed) {
    expects<DataError>(share > 0 && share <= 1, "splits: the share of the training patients is ", share,
                       "; more than 0 and at most 1 is needed");
    Dataset training;
    training.source = data.source;
    for (const Record& record : data.records)
        if (record.split == Split::train) training.records.push_back(record);
    Strata strata = strata_of(training);
    shuffle(strata, seed, std::uint64_t(1) << 16);  // beyond any fold's
    std::set<std::string> dropped;
    for (const auto& names : strata)
        dropped.insert(names.begin() + std::ptrdiff_t(ceil_of(share, names.size())), names.end());
    std::erase_if(data.records, [&](const Record& record) { return dropped.contains(record.patient); });
}

void write_splits(const std::string& path, const Dataset& data) {
    const Splits deal = stated(data);
    expects<DataError>(!deal.empty(), path, ": the images of ", data.source, " have no splits to write");
    if (std::filesystem::exists(path)) {
        expects<DataError>(read_splits(path) == deal, path, ": holds other splits than those of this run; use them ",
                           "(--splits ", path, "), or choose another folder");
        return;
    }
    std::string out = "patient,split\n";
    for (const auto& [patient, split] : deal) out += text(csv_cell(patient), ',', name_of(split), '\n');
    AtomicFile file(path, out.size());
    file.write(std::as_bytes(std::span(out)));
    file.commit();
}

void apply_splits(const std::string& path, Dataset& data) {
    const Splits deal = read_splits(path);
    std::map<std::string, bool> met;
    for (const Record& record : data.records) {
        const auto found = deal.find(record.patient);
        expects<DataError>(found != deal.end(), path, ": patient ", record.patient, " of ", data.source,
                           " is not in it; it is for other data");
        expects<DataError>(record.split == Split::none || record.split == found->second, path, ": patient ",
                           record.patient, " is in ", name_of(found->second), ", ", data.source, " states ",
                           name_of(record.split));
        met[record.patient] = true;
    }
    for (const auto& [patient, split] : deal)
        expects<DataError>(met.count(patient) > 0, path, ": patient ", patient, " is not in ", data.source,
                           "; it is for other data");
    assign(deal, data);
}

void expects_splits_agree(const std::string& path, const Dataset& data) {
    const Splits deal = read_splits(path);
    for (const Record& record : data.records) {
        const auto found = deal.find(record.patient);
        expects<DataError>(found == deal.end() || found->second == record.split, path, ", which goes with the weights, has patient ",
                           record.patient, " in ", found == deal.end() ? "" : name_of(found->second), ", --fold in ",
                           name_of(record.split), "; leave --fold out, or take weights of this fold");
    }
}

}  // namespace holon::pipeline
