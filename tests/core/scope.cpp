// Scope: the innermost named layer, and a listener that is told of all of them.
#include <holon/core/scope.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"

using holon::Scope;

namespace {
std::vector<std::string> told;
}

TEST_CASE("a scope has the name of the innermost layer that has one", "[core]") {
    const std::string outer = "layer1", inner = "layer1.conv", none;
    CHECK(Scope::current().empty());
    {
        const Scope a(outer);
        const Scope b(inner);
        const Scope c(none);
        CHECK(Scope::current() == "layer1.conv");
    }
    CHECK(Scope::current().empty());
}

TEST_CASE("a listener is told of each scope that begins after it listens, and of its end", "[core]") {
    static constexpr Scope::Listener listener{[](const char* name) { told.emplace_back(name); },
                                              [] { told.emplace_back("end"); }};
    const std::string outer = "a", middle, inner = "a.b";
    {
        const Scope before(outer);
        Scope::listen(listener);
        const Scope unnamed(middle);
        const Scope named(inner);
    }
    CHECK(told == std::vector<std::string>{"", "a.b", "end", "end"});
}
