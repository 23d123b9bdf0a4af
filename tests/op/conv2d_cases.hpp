// op/conv2d_cases.hpp: the convolutions that are tested.
#pragma once
#include <utility>
#include <vector>

#include <holon/op/geometry.hpp>

namespace holon::test {

struct ConvolutionCase {
    Shape x;
    Conv2dOptions o;
};

/// Kernels, strides, paddings (uneven too), dilations, channels and sizes that are no multiple of anything.
inline std::vector<ConvolutionCase> convolution_cases(const std::vector<Conv2dOptions>& windows) {
    std::vector<ConvolutionCase> all;
    const std::vector<std::pair<int, int>> channels{{1, 1}, {3, 5}, {16, 32}, {17, 35}, {64, 3}};
    int turn = 0;
    for (const auto& [in, out] : channels)
        for (Conv2dOptions o : windows) {
            o.in = in, o.out = out, o.bias = turn % 2 == 0;
            all.push_back({{1 + turn % 3, 13 + turn % 4, 14 - turn % 3, in}, o});
            ++turn;
        }
    return all;
}

inline const std::vector<Conv2dOptions> common_windows{{.kernel = 1},
                                                       {.kernel = 1, .stride = 2},
                                                       {.kernel = 2, .padding = {0, 1, 0, 1}},
                                                       {.kernel = 3, .padding = 1},
                                                       {.kernel = 3, .stride = 2, .padding = 1},
                                                       {.kernel = 3, .stride = {2, 1}, .padding = {1, 0, 2, 1}},
                                                       {.kernel = 3, .padding = 2, .dilation = 2},
                                                       {.kernel = {1, 5}, .stride = {1, 3}, .padding = {0, 0, 2, 1}},
                                                       {.kernel = {3, 5}, .padding = {1, 1, 4, 4}, .dilation = {1, 2}},
                                                       {.kernel = 5, .stride = 3, .padding = 2, .dilation = 2},
                                                       {.kernel = 7, .stride = 2, .padding = 3},
                                                       {.kernel = 7, .stride = 2, .padding = {2, 3, 2, 3}},
                                                       {.kernel = 5, .stride = 2, .padding = 3, .dilation = {3, 1}}};

/// Strides past the window, padding beyond it, windows of one row, of one column, and of the whole image.
inline const std::vector<Conv2dOptions> rare_windows{{.kernel = {2, 3}, .stride = {3, 2}, .padding = {1, 0, 0, 2}},
                                                     {.kernel = 1, .stride = {3, 1}, .padding = {1, 0, 0, 0}},
                                                     {.kernel = 2, .stride = 4},
                                                     {.kernel = 3, .stride = 3, .padding = 2},
                                                     {.kernel = 3, .padding = 3, .dilation = 3},
                                                     {.kernel = {7, 1}, .padding = {3, 3, 0, 0}},
                                                     {.kernel = {1, 7}, .stride = {2, 1}, .padding = {0, 0, 6, 0}},
                                                     {.kernel = {13, 12}}};

}  // namespace holon::test
