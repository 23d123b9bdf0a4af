// graph/affine_warp.hpp: rotate, shear, zoom, flip and shift grey levels in one pass over the result.
#pragma once
#include <span>
#include <vector>

#include <holon/graph/variable.hpp>

namespace holon {

/// One `op::Warp` per image of the batch; see there and `op::WarpOptions`. The gradient goes back to the pixels sampled;
/// clipped values pass none.
template <Element T, Device D>
Variable<T, D> affine_warp(const Variable<T, D>& x, const op::Warps<D>& warps, const op::WarpOptions& options) {
    Context<D>& context = x.context();
    const auto to_x = x.edge();
    return Variable<T, D>::result(
        "affine_warp", op::affine_warp(context, x.value(), warps, options),
        [=, &context, seen = to_x ? x.value() : Tensor<T, D>()](const Tensor<T, D>& dy) {
            to_x.give([&](Tensor<T, D>& g, Gradient mode) {
                op::affine_warp_backward(context, seen, dy, warps, options, g, mode);
            });
        },
        x);
}
template <Element T, Device D>
Variable<T, D> affine_warp(const Variable<T, D>& x, std::span<const op::Warp> warps, const op::WarpOptions& options) {
    op::Warps<D> list(x.context());
    list.set(warps);
    return affine_warp(x, list, options);
}

}  // namespace holon
