#include <holon/metric/confusion.hpp>

#include "support/catch.hpp"

using namespace holon;
using Catch::Matchers::WithinRel;

namespace {

Confusion three() {
    Confusion table({"background", "benign", "malignant"});
    table.add(0, 0, 80);
    table.add(0, 2, 20);
    table.add(2, 2, 3);
    table.add(2, 0);
    return table;
}

}  // namespace

TEST_CASE("confusion counts by truth and prediction", "[metric]") {
    const Confusion table = three();
    CHECK(table.classes() == 3);
    CHECK(table.count(0, 2) == 20);
    CHECK(table.count(2, 0) == 1);
    CHECK(table.total(0) == 100);
    CHECK(table.total() == 104);
    CHECK(table.correct() == 83);
    CHECK(table.accuracy() == 83.0 / 104.0);
    CHECK(table.recall(0) == 0.8);
    CHECK(table.recall(2) == 0.75);
    CHECK_FALSE(table.recall(1).has_value());
    CHECK_THAT(table.balanced_accuracy(), WithinRel(0.775, 1e-15));
}

TEST_CASE("confusion prints a table that a person can read", "[metric]") {
    CHECK(text(three()) ==
          "truth        as 0   as 1   as 2   recall\n"
          "background     80      0     20   80.0 %\n"
          "benign          0      0      0        -\n"
          "malignant       1      0      3   75.0 %\n"
          "accuracy 79.8 % (83/104), mean recall 77.5 %\n");
    CHECK(text(Confusion({"a"})) == "truth   as 0   recall\na          0        -\nno cases\n");
}

TEST_CASE("confusion refuses classes it does not have, and shares of nothing", "[metric]") {
    Confusion table({"a", "b"});
    CHECK_THROWS_AS(table.accuracy(), DataError);
    CHECK_THROWS_AS(table.balanced_accuracy(), DataError);
    CHECK_THROWS_AS(Confusion({}), ShapeError);
    CHECK_THROWS_AS(table.add(2, 0), DataError);
    CHECK_THROWS_AS(table.add(0, -1), DataError);
    try {
        table.add(0, 5);
        FAIL("class 5 of 2 was counted");
    } catch (const DataError& error) {
        CHECK(std::string(error.what()) == "confusion: class 0 taken for class 5, but classes run from 0 to 1");
    }
}
