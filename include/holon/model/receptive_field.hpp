// model/receptive_field.hpp: how much of the image a position of a map stands for.
#pragma once

namespace holon {

/// Nominal size and stride, in pixels, of a position's view along one axis.
struct ReceptiveField {
    int size = 224, stride = 32;

    /// After a window of `kernel` taps and stride `step` on this map: size + (kernel - 1) * stride, stride * step.
    constexpr ReceptiveField then(int kernel, int step = 1) const {
        return {size + (kernel - 1) * stride, stride * step};
    }
    friend constexpr bool operator==(const ReceptiveField&, const ReceptiveField&) = default;
};

}  // namespace holon
