// Function: what is called later is held once, called where it lies, and let go of once.
#include <holon/core/function.hpp>

#include <memory>
#include <string>

#include "support/catch.hpp"

using holon::Function;

TEST_CASE("a function holds what cannot be copied, keeps its state, and gives references through", "[core]") {
    int given = 0;
    Function<int&(int, std::string&)> add = [&given, calls = std::make_unique<int>(0)](int by,
                                                                                       std::string& said) -> int& {
        said = std::to_string(++*calls);
        given += by;
        return given;
    };
    REQUIRE(add);
    std::string said;
    CHECK(&add(2, said) == &given);
    add(3, said);
    CHECK(given == 5);
    CHECK(said == "2");
}

TEST_CASE("a function lets go of what it holds once: moved, assigned over, or at its end", "[core]") {
    const auto held = std::make_shared<int>(7), other = std::make_shared<int>(8);
    {
        Function<int()> first = [held] { return *held; };
        CHECK(held.use_count() == 2);
        Function<int()> second = std::move(first);
        CHECK(!first);
        CHECK(held.use_count() == 2);
        CHECK(second() == 7);
        second = Function<int()>([other] { return *other; });
        CHECK(second() == 8);
        CHECK(held.use_count() == 1);
        CHECK(other.use_count() == 2);
        second = {};
        CHECK(!second);
        CHECK(other.use_count() == 1);
        second = [held] { return *held; };
        CHECK(held.use_count() == 2);
    }
    CHECK(held.use_count() == 1);
    CHECK_FALSE(Function<void()>());
}
