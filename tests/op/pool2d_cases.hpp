// op/pool2d_cases.hpp: the images and the windows that are tested.
#pragma once
#include <vector>

#include <holon/op/geometry.hpp>

namespace holon::test {

inline const std::vector<Shape> pool_shapes{{1, 1, 1, 1}, {2, 3, 5, 7}, {1, 8, 6, 17}, {3, 9, 9, 64}, {2, 16, 15, 3}};

inline const std::vector<Pool2dOptions> pools{
    {.window = 2}, {.window = 3, .stride = 2, .padding = 1}, {.window = {3, 2}, .stride = 1, .padding = {1, 0, 0, 1}},
    {.window = 5}, {.window = 7, .stride = 1, .padding = 3}, {.window = 3, .stride = {1, 2}},
    {.window = 1}};

inline bool fits(const Shape& s, const Pool2dOptions& o) {
    return s.h + o.padding.top + o.padding.bottom >= o.window.h && s.w + o.padding.left + o.padding.right >= o.window.w;
}

}  // namespace holon::test
