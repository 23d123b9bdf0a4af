// Score files: pooled, matched, refused.
#include "pipeline/scores.hpp"

#include "checkpoint/scratch.hpp"
#include "support/catch.hpp"

using namespace holon::pipeline;
using scratch::refusal;

namespace {
const std::string header = "image,patient,label,score\n";
}

TEST_CASE("scores of several files are one table, images known by their names alone", "[pipeline]") {
    const scratch::Directory dir;
    const std::string a = dir / "a.csv", b = dir / "b.csv";
    scratch::put(a, header + "/x/one.png,P1,1,0.75\n/x/two.png,P1,0,1e-3\n");
    scratch::put(b, "score,label,patient,image\n0.5,0,P2,three.jpg\n");
    const Scores all = read_scores({a, b});
    CHECK(all.image == std::vector<std::string>{"one", "two", "three"});
    CHECK(all.patient == std::vector<std::string>{"P1", "P1", "P2"});
    CHECK(all.label == std::vector<int>{1, 0, 0});
    CHECK(all.score == std::vector<double>{0.75, 1e-3, 0.5});
    CHECK(all.positives() == 1);
    scratch::put(b, header + "/other/three.png,P2,0,0.1\ntwo.png,P1,0,0.2\none.png,P1,1,0.3\n");
    CHECK(in_order_of(all, read_scores({b})).score == std::vector<double>{0.3, 0.2, 0.1});
}

TEST_CASE("images of one name are told apart by patient and folder", "[pipeline]") {
    const scratch::Directory dir;
    const std::string a = dir / "a.csv", b = dir / "b.csv";
    scratch::put(a,
                 header + "/x/P1/left/cc.png,P1,1,0.5\n/x/P1/right/cc.png,P1,0,0.25\n/x/P2/left/cc.png,P2,0,0.125\n");
    scratch::put(b, header + "/y/P2/left/cc.png,P2,0,1\n/y/P1/right/cc.png,P1,0,2\n/y/P1/left/cc.png,P1,1,3\n");
    const Scores all = read_scores({a});
    CHECK(all.image == std::vector<std::string>{"left/cc", "right/cc", "left/cc"});
    CHECK(in_order_of(all, read_scores({b})).score == std::vector<double>{3, 2, 1});
    CHECK_THAT(refusal([&] {
                   read_scores({a, b});
               }),
               ContainsText("b.csv line 2") && ContainsText("a.csv line 4 as well"));
}

TEST_CASE("score files that are refused, with file and line", "[pipeline]") {
    const scratch::Directory dir;
    const std::string a = dir / "a.csv", b = dir / "b.csv";
    const auto said = [&](const std::string& text) {
        scratch::put(a, text);
        return refusal([&] { read_scores({a}); });
    };
    CHECK_THAT(said("image,patient,score\nx,P,1\n"), ContainsText("label"));
    CHECK_THAT(said(header + "x,P,2,0.5\n"), ContainsText("a.csv line 2") && ContainsText("0 or 1"));
    CHECK_THAT(said(header + "x,P,1,0.5\ny,P,1,nan\n"), ContainsText("a.csv line 3") && ContainsText("nan"));
    CHECK_THAT(said(header + "x,P,1,0.5q\n"), ContainsText("0.5q"));
    CHECK_THAT(said(header + "f/x.png,P,1,0.5\nf/x.png,P,1,0.5\n"),
               ContainsText("line 3") && ContainsText("line 2 as well"));
    scratch::put(b, header + "elsewhere/x.png,P,1,0.5\n");
    scratch::put(a, header + "x.png,P,1,0.5\n");
    CHECK_THAT(refusal([&] {
                   read_scores({a, b});
               }),
               ContainsText("b.csv line 2") && ContainsText("a.csv line 2 as well"));
    scratch::put(a, header + "x,P,1,0.5\ny,P,0,0.5\n");
    const Scores first = read_scores({a});
    const auto unmatched = [&](const std::string& text) {
        scratch::put(b, text);
        return refusal([&] { in_order_of(first, read_scores({b})); });
    };
    CHECK_THAT(unmatched(header + "x,P,1,0.5\n"), ContainsText("y is scored by the first"));
    CHECK_THAT(unmatched(header + "x,P,1,0.5\ny,P,1,0.5\n"), ContainsText("label"));
    CHECK_THAT(unmatched(header + "x,P,1,0.5\ny,P,0,0.5\nz,P,0,0.5\n"), ContainsText("same images"));
}
