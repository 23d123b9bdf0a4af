// pipeline/split.cpp: how many, how many of each kind, and that nobody is in two.
#include "pipeline/split.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "checkpoint/scratch.hpp"
#include "support/catch.hpp"

using namespace holon::pipeline;
using scratch::refusal;

namespace {

/// `patients` patients with 2 images each; of every `period` patients the first has one positive image.
Dataset patients(int count, int period) {
    Dataset data;
    data.source = "made";
    for (int p = 0; p < count; ++p)
        for (int view = 0; view < 2; ++view) {
            Record record;
            record.patient = "p" + std::to_string(p);
            record.image = record.patient + (view ? "_b" : "_a");
            record.label = p % period == 0 && view == 1;
            data.records.push_back(record);
        }
    return data;
}

struct Counts {
    std::map<Split, int> all, positive;
};

/// Counts patients, checking that the images of one stay together.
Counts counts(const Dataset& data) {
    std::map<std::string, std::pair<Split, int>> seen;
    for (const Record& r : data.records) {
        const auto [found, fresh] = seen.try_emplace(r.patient, r.split, 0);
        CHECK(found->second.first == r.split);
        found->second.second |= r.label;
    }
    Counts c;
    for (const auto& [patient, what] : seen) {
        ++c.all[what.first];
        c.positive[what.first] += what.second;
    }
    return c;
}

std::map<std::string, Split> deal(const Dataset& data) {
    std::map<std::string, Split> out;
    for (const Record& r : data.records) out[r.patient] = r.split;
    return out;
}

void check_proportional(const Counts& c, int count, int positive) {
    for (const auto& [split, all] : c.all)
        CHECK(std::abs(c.positive.at(split) - double(all) * positive / count) <= 1.0);
}

}  // namespace

TEST_CASE("A13: 1249 patients give 188 test, 107 validation and 954 training patients", "[pipeline]") {
    for (const int period : {1, 2, 3, 7, 100, 2000})
        for (const std::uint64_t seed : {1u, 2u, 12345u}) {
            Dataset data = patients(1249, period);
            split_patients(data, {.seed = seed});
            const Counts c = counts(data);
            CHECK(c.all.at(Split::test) == 188);
            CHECK(c.all.at(Split::validation) == 107);
            CHECK(c.all.at(Split::train) == 954);
            CHECK(c.all.size() == 3);
            check_proportional(c, 1249, (1249 + period - 1) / period);
        }
    Dataset data = patients(1248, 2);
    split_patients(data);
    CHECK(counts(data).all == std::map<Split, int>{{Split::train, 954}, {Split::validation, 106}, {Split::test, 188}});
}

TEST_CASE("every number of patients is split by the rule or refused", "[pipeline]") {
    for (int n = 0; n < 130; ++n)
        for (const int period : {2, 5}) {
            Dataset data = patients(n, period);
            const int test = (15 * n + 99) / 100, validation = (10 * (n - test) + 99) / 100,
                      train = n - test - validation;
            INFO(n);
            if (train < 1) {
                CHECK(refusal([&] { split_patients(data); }).find("more patients are needed") != std::string::npos);
                continue;
            }
            split_patients(data);
            const Counts c = counts(data);
            CHECK((c.all.count(Split::test) ? c.all.at(Split::test) : 0) == test);
            CHECK((c.all.count(Split::validation) ? c.all.at(Split::validation) : 0) == validation);
            CHECK(c.all.at(Split::train) == train);
            check_proportional(c, n, (n + period - 1) / period);
        }
}

TEST_CASE("the draw depends on the seed and not on the order of the records", "[pipeline]") {
    Dataset one = patients(200, 3), same = one, other = one;
    std::reverse(same.records.begin(), same.records.end());
    split_patients(one, {.seed = 5});
    split_patients(same, {.seed = 5});
    split_patients(other, {.seed = 6});
    CHECK(deal(one) == deal(same));
    CHECK(deal(one) != deal(other));

    // Over many seeds each patient is tested about equally often: 30 of 200 are, in 400 draws 60 times each, sd 7.
    std::map<std::string, int> tested;
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        Dataset data = patients(200, 3);
        split_patients(data, {.seed = seed});
        for (const auto& [patient, split] : deal(data)) tested[patient] += split == Split::test;
    }
    for (const auto& [patient, times] : tested) {
        INFO(patient);
        CHECK(times > 25);
        CHECK(times < 95);
    }
}

TEST_CASE("every patient is tested in exactly one fold", "[pipeline]") {
    for (const auto& [count, period, folds] : std::vector<std::array<int, 3>>{{112, 3, 5}, {23, 4, 4}, {7, 2, 3}}) {
        std::map<std::string, int> tested;
        std::set<std::map<std::string, Split>> deals;
        for (int fold = 0; fold < folds; ++fold) {
            Dataset data = patients(count, period);
            fold_patients(data, folds, fold, 0.15, 9);
            const Counts c = counts(data);
            CHECK(c.all.at(Split::test) >= count / folds);
            CHECK(c.all.at(Split::test) <= (count + folds - 1) / folds);
            const int rest = count - c.all.at(Split::test);
            CHECK(c.all.at(Split::validation) == (15 * rest + 99) / 100);
            check_proportional(c, count, (count + period - 1) / period);
            for (const auto& [patient, split] : deal(data)) tested[patient] += split == Split::test;
            deals.insert(deal(data));
        }
        CHECK(int(tested.size()) == count);
        CHECK(std::all_of(tested.begin(), tested.end(), [](const auto& t) { return t.second == 1; }));
        CHECK(int(deals.size()) == folds);
    }
    Dataset data = patients(4, 2);
    for (const auto& [folds, fold] : std::vector<std::pair<int, int>>{{1, 0}, {3, 3}, {3, -1}, {0, 0}})
        CHECK(refusal([&, f = folds, k = fold] { fold_patients(data, f, k, 0.1, 1); }).find("at least 2") !=
              std::string::npos);
    CHECK(refusal([&] { fold_patients(data, 5, 0, 0.1, 1); }).find("4 patients cannot make 5 folds") !=
          std::string::npos);
    CHECK(refusal([&] { fold_patients(data, 2, 0, 1.0, 1); }).find("share is 1") != std::string::npos);
}

TEST_CASE("splits that the data states are kept", "[pipeline]") {
    Dataset data = patients(30, 2);
    for (Record& r : data.records) r.split = r.patient == "p3" ? Split::test : Split::train;
    const auto stated = deal(data);
    split_patients(data, {.seed = 8});
    CHECK(deal(data) == stated);
    CHECK(refusal([&] { fold_patients(data, 3, 0, 0.1, 1); }).find("states its own splits") != std::string::npos);

    data.records[7].split = Split::none;
    CHECK(refusal([&] { split_patients(data); }).find("image p3_b has no split and others have one") !=
          std::string::npos);
    data.records[7].split = Split::validation;
    const std::string sentence = refusal([&] { split_patients(data); });
    INFO(sentence);
    CHECK(sentence.find("patient p3 is in two splits, test and validation") != sentence.npos);
    data.records[0].patient.clear();
    for (Record& r : data.records) r.split = Split::none;
    CHECK(refusal([&] { split_patients(data); }).find("image p0_a has no patient") != std::string::npos);
}

TEST_CASE("splits are written once, and read back", "[pipeline]") {
    const scratch::Directory folder;
    const std::string path = folder / "splits.csv";
    Dataset data = patients(40, 3);
    data.records[0].patient = data.records[1].patient = "a, \"b\"";
    const Dataset bare = data;
    CHECK(refusal([&] { write_splits(path, data); }).find("no splits to write") != std::string::npos);
    split_patients(data, {.seed = 3});
    write_splits(path, data);
    const std::string written = scratch::bytes_of(path);
    CHECK(written.substr(0, 14) == "patient,split\n");

    Dataset back = bare;
    apply_splits(path, back);
    CHECK(deal(back) == deal(data));
    write_splits(path, back);  // the same again is fine
    Dataset other = bare;
    split_patients(other, {.seed = 4});
    CHECK(refusal([&] { write_splits(path, other); }).find("holds other splits") != std::string::npos);
    CHECK(scratch::bytes_of(path) == written);
    CHECK(refusal([&] { apply_splits(path, other); }).find("states") != std::string::npos);

    const auto refused = [&](const std::string& text, const Dataset& to) {
        scratch::put(path, text);
        Dataset copy = to;
        return refusal([&] { apply_splits(path, copy); });
    };
    const Dataset two = patients(2, 2);
    CHECK(refused("patient,split\np0,train\np1,test\n", two).empty());
    CHECK(refused("patient,split\np0,train\n", two).find("patient p1 of made is not in it") != std::string::npos);
    CHECK(refused("patient,split\np0,train\np1,test\np2,test\n", two).find("patient p2 is not in made") !=
          std::string::npos);
    CHECK(refused("patient,split\np0,train\np1,test\np0,test\n", two)
              .find("line 4: patient p0 is listed before, in train") != std::string::npos);
    CHECK(refused("patient,split\np0,train\np1,tset\n", two).find("line 3: split 'tset'") != std::string::npos);
    CHECK(refused("patient,split\np0,train\np1,\n", two).find("line 3: split ''") != std::string::npos);
    CHECK(refused("patient,split,x\np0,train,1\n", two).find("3 columns") != std::string::npos);
    CHECK(refused("patient\np0\n", two).find("no column 'split'") != std::string::npos);
    CHECK(refusal([&] {
              Dataset d = two;
              apply_splits(folder / "absent.csv", d);
          }).find("No such file") != std::string::npos);
}

TEST_CASE("splits that go with the weights may not be contradicted", "[pipeline]") {
    const scratch::Directory folder;
    const std::string path = folder / "splits.csv";
    Dataset data = patients(40, 3), bare = data;
    fold_patients(data, 5, 1, 0.15, 1);
    write_splits(path, data);
    CHECK(refusal([&] { expects_splits_agree(path, data); }).empty());
    Dataset other = bare;
    fold_patients(other, 5, 2, 0.15, 1);
    const std::string sentence = refusal([&] { expects_splits_agree(path, other); });
    CHECK(sentence.find(path + ", which goes with the weights, has patient p") != sentence.npos);
    CHECK(sentence.find("leave --fold out") != sentence.npos);
    scratch::put(path, "patient,split\nsomeone else,test\n");  // other data
    CHECK(refusal([&] { expects_splits_agree(path, other); }).empty());
}

TEST_CASE("a share of the training patients: of each kind its part, the smaller within the larger, others whole", "[pipeline]") {
    Dataset data = patients(83, 4);
    fold_patients(data, 5, 2, 0.15, 3);
    const auto whole = deal(data);
    Counts full = counts(data);
    std::set<std::string> kept;
    for (const double share : {0.1, 0.25, 0.5, 1.0}) {
        INFO(share);
        Dataset part = data;
        keep_training_share(part, share, 3);
        Counts c = counts(part);
        for (const Split split : {Split::validation, Split::test}) {
            CHECK(c.all[split] == full.all[split]);
            CHECK(c.positive[split] == full.positive[split]);
        }
        const auto ceil_of = [&](int n) { return int(std::ceil(share * n - 1e-9)); };
        CHECK(c.positive[Split::train] == ceil_of(full.positive[Split::train]));
        CHECK(c.all[Split::train] - c.positive[Split::train] == ceil_of(full.all[Split::train] - full.positive[Split::train]));
        std::set<std::string> now;
        for (const auto& [patient, split] : deal(part)) {
            CHECK(whole.at(patient) == split);
            if (split == Split::train) now.insert(patient);
        }
        CHECK(std::includes(now.begin(), now.end(), kept.begin(), kept.end()));
        kept = now;
    }
    Dataset other = data, same = data;
    keep_training_share(other, 0.5, 4);
    keep_training_share(same, 0.5, 3);
    CHECK(deal(other) != deal(same));
    for (const double share : {0.0, -0.5, 1.01, std::nan("")})
        CHECK(refusal([&] { keep_training_share(data, share, 1); }).find("at most 1 is needed") != std::string::npos);
}
