// pipeline/augment.hpp: the paper's augmentation as one affine map, grey shifts and flips, drawn in the stated order.
#pragma once
#include <array>
#include <cmath>
#include <string_view>

#include <holon/core/error.hpp>
#include <holon/core/random.hpp>
#include <holon/op/types.hpp>

namespace holon::pipeline {

/// Ranges of the paper (Shen et al. 2019; the program's defaults).
struct AugmentOptions {
    double rotation = 25;       ///< degrees, both ways
    double shear = 0.2;         ///< radians, both ways
    double zoom = 0.2;          ///< 1 - zoom .. 1 + zoom, rows and columns by themselves
    double channel_shift = 20;  ///< grey levels of 255, both ways, each channel by itself
    bool flips = true;
};

struct AffineMap {
    std::array<double, 4> matrix;
    std::array<double, 2> offset;
};

/// Output (row, column) -> input (row, column) = A (output - centre) + centre with A = R(theta) S(shear) diag(zr, zc),
/// R = [[cos, -sin], [sin, cos]], S = [[1, -sin], [0, cos]] and Keras's centre (h/2 + 0.5, w/2 + 0.5).
/// theta in degrees, shear in radians.
inline AffineMap affine_map(int h, int w, double theta, double shear, double zr, double zc) {
    const double t = theta * 3.14159265358979323846 / 180.0;
    const double ct = std::cos(t), st = std::sin(t), cs = std::cos(shear), ss = std::sin(shear);
    const double a = ct * zr, b = (-ct * ss - st * cs) * zc, c = st * zr, d = (-st * ss + ct * cs) * zc;
    const double row = h / 2.0 + 0.5, column = w / 2.0 + 0.5;
    return {{a, b, c, d}, {row - a * row - b * column, column - c * row - d * column}};
}

/// One image's augmentation: rotation, shear, zooms, channel shifts, flips, drawn in this order.
inline op::Warp draw_warp(int h, int w, Random& random, const AugmentOptions& o = {}) {
    const double theta = random.uniform(-o.rotation, o.rotation), shear = random.uniform(-o.shear, o.shear);
    const double zr = random.uniform(1 - o.zoom, 1 + o.zoom), zc = random.uniform(1 - o.zoom, 1 + o.zoom);
    const AffineMap map = affine_map(h, w, theta, shear, zr, zc);
    op::Warp warp;
    warp.matrix = map.matrix;
    warp.offset = map.offset;
    for (float& shift : warp.shift) shift = float(random.uniform(-o.channel_shift, o.channel_shift));
    const bool horizontal = random.uniform() < 0.5, vertical = random.uniform() < 0.5;
    warp.flip_horizontal = o.flips && horizontal;
    warp.flip_vertical = o.flips && vertical;
    return warp;
}

/// What --augment says.
enum class Augmentation { all, flips, mirror, none };

inline Augmentation parse_augmentation(std::string_view name) {
    if (name == "all") return Augmentation::all;
    if (name == "flips") return Augmentation::flips;
    if (name == "mirror") return Augmentation::mirror;
    expects<DataError>(name == "none", "--augment ", name, ": all, flips, mirror or none is needed");
    return Augmentation::none;
}

/// One image's augmentation: all of it; the paper's flips alone, along both axes or, `mirror`, left and right only; none.
inline op::Warp draw_warp(Augmentation kind, int h, int w, Random& random) {
    if (kind == Augmentation::all) return draw_warp(h, w, random);
    op::Warp warp;
    if (kind != Augmentation::none) warp.flip_horizontal = random.uniform() < 0.5;
    if (kind == Augmentation::flips) warp.flip_vertical = random.uniform() < 0.5;
    return warp;
}

}  // namespace holon::pipeline
