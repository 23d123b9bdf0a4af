// version.hpp: the one place that says which Holon this is.
#pragma once

#define HOLON_VERSION_MAJOR 0
#define HOLON_VERSION_MINOR 1
#define HOLON_VERSION_PATCH 0

namespace holon {
inline constexpr const char* version = "0.1.0";
}
