// support/catch.hpp: the same test source under Catch2 v2 (Debian 12) and v3.
#pragma once
#include <string>

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
/// A string with `part` in it.
inline auto ContainsText(const std::string& part) { return Catch::Matchers::ContainsSubstring(part); }
#else
#include <catch2/catch.hpp>
/// A string with `part` in it.
inline auto ContainsText(const std::string& part) { return Catch::Matchers::Contains(part); }
#endif
