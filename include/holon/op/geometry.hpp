// op/geometry.hpp: windows that slide: their options, and the one place that computes the shapes they produce.
#pragma once
#include <compare>
#include <ostream>

#include <holon/core/error.hpp>
#include <holon/core/shape.hpp>

namespace holon {

/// Rows and columns; one number means both.
struct Extent {
    int h = 1, w = 1;
    constexpr Extent(int both) : h(both), w(both) {}
    constexpr Extent(int rows, int columns) : h(rows), w(columns) {}
    friend constexpr auto operator<=>(const Extent&, const Extent&) = default;
};
inline std::ostream& operator<<(std::ostream& out, const Extent& e) { return out << e.h << 'x' << e.w; }

/// Zeros around an image, each side by itself: Keras's "same" at stride 2 pads one more at the bottom and right.
struct Padding {
    int top = 0, bottom = 0, left = 0, right = 0;
    constexpr Padding(int all) : top(all), bottom(all), left(all), right(all) {}
    constexpr Padding(int t, int b, int l, int r) : top(t), bottom(b), left(l), right(r) {}
    friend constexpr auto operator<=>(const Padding&, const Padding&) = default;
};

/// What a result does to the gradient it is for.
enum class Gradient { assign, add };

/// A convolution without its sizes: channels in and out, window, stride, padding, dilation.
struct Conv2dOptions {
    int in = 1, out = 1;
    Extent kernel = 1;
    Extent stride = 1;
    Padding padding = 0;
    Extent dilation = 1;
    bool bias = false;
    friend constexpr auto operator<=>(const Conv2dOptions&, const Conv2dOptions&) = default;
};

/// A pooling window. `stride` 0 means the window's own size. Max pooling never chooses padding; average pooling divides
/// by the positions inside the image.
struct Pool2dOptions {
    Extent window = 2;
    Extent stride = 0;
    Padding padding = 0;
    friend constexpr auto operator<=>(const Pool2dOptions&, const Pool2dOptions&) = default;
    constexpr Extent step() const { return {stride.h ? stride.h : window.h, stride.w ? stride.w : window.w}; }
};

namespace op {

/// The three computations of a convolution layer.
enum class Direction { forward, to_input, to_filter };
constexpr const char* direction_name(Direction direction) {
    constexpr const char* names[] = {"forward", "to input", "to filter"};
    return names[int(direction)];
}

/// Positions of a window of `kernel` taps `dilation` apart along `size` + padding: floor((size + pads - reach) / stride) + 1,
/// 0 where it does not fit.
constexpr std::int64_t positions(std::int64_t size, int before, int after, int kernel, int stride, int dilation) {
    const std::int64_t room = size + before + after - (std::int64_t(dilation) * (kernel - 1) + 1);
    return room < 0 ? 0 : room / stride + 1;
}

/// Shape of the filter of a convolution: k, r, s, c.
constexpr Shape filter_shape(const Conv2dOptions& o) { return {o.out, o.kernel.h, o.kernel.w, o.in}; }

/// Shape of the result of a convolution of an image x. Refuses channels that differ and images smaller than the window.
inline Shape conv2d_shape(const Shape& x, const Conv2dOptions& o) {
    expects(x.c == o.in, "conv2d: channels differ: image ", x, " against filter ", filter_shape(o));
    expects(o.stride.h > 0 && o.stride.w > 0 && o.dilation.h > 0 && o.dilation.w > 0 && o.kernel.h > 0 && o.kernel.w > 0,
            "conv2d: kernel ", o.kernel, ", stride ", o.stride, " and dilation ", o.dilation, " must be at least 1");
    const Shape y{x.n, positions(x.h, o.padding.top, o.padding.bottom, o.kernel.h, o.stride.h, o.dilation.h),
                  positions(x.w, o.padding.left, o.padding.right, o.kernel.w, o.stride.w, o.dilation.w), o.out};
    expects(y.h > 0 && y.w > 0, "conv2d: image ", x, " is smaller than the window ", o.kernel, " dilated by ", o.dilation,
            " with its padding; use a larger image");
    return y;
}

/// Shape of the result of pooling an image x.
inline Shape pool2d_shape(const Shape& x, const Pool2dOptions& o) {
    const Extent step = o.step();
    expects(o.window.h > 0 && o.window.w > 0 && step.h > 0 && step.w > 0, "pool2d: window ", o.window, " and stride ", step,
            " must be at least 1");
    expects(o.padding.top < o.window.h && o.padding.bottom < o.window.h && o.padding.left < o.window.w &&
                o.padding.right < o.window.w,
            "pool2d: padding must be smaller than the window ", o.window, ", or a window would see nothing");
    const Shape y{x.n, positions(x.h, o.padding.top, o.padding.bottom, o.window.h, step.h, 1),
                  positions(x.w, o.padding.left, o.padding.right, o.window.w, step.w, 1), x.c};
    expects(y.h > 0 && y.w > 0, "pool2d: image ", x, " is smaller than the window ", o.window, "; use a larger image");
    return y;
}

}  // namespace op
}  // namespace holon
