// op/cpu/direct.hpp: convolution and matrix product by plain loops, for double: slow, obvious, the oracle of the rest.
#pragma once
#include <holon/op/cpu/loop.hpp>
#include <holon/op/geometry.hpp>

namespace holon::op::cpu {

/// Calls body(y row, y column, r, s, x row, x column) for every tap that falls inside the image.
template <class Body>
void taps_inside(const Shape& x, const Shape& y, const Conv2dOptions& o, const Body& body) {
    for (std::int64_t h = 0; h < y.h; ++h)
        for (std::int64_t w = 0; w < y.w; ++w)
            for (int r = 0; r < o.kernel.h; ++r)
                for (int s = 0; s < o.kernel.w; ++s) {
                    const std::int64_t row = h * o.stride.h - o.padding.top + std::int64_t(r) * o.dilation.h;
                    const std::int64_t column = w * o.stride.w - o.padding.left + std::int64_t(s) * o.dilation.w;
                    if (row >= 0 && row < x.h && column >= 0 && column < x.w) body(h, w, r, s, row, column);
                }
}

inline void convolve(const double* x, const Shape& xs, const double* filter, const double* bias, double* y,
                     const Shape& ys, const Conv2dOptions& o) {
    const Shape fs = filter_shape(o);
    split(ys.n, threads_for(ys.size() * fs.h * fs.w * fs.c), [&](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t n = begin; n < end; ++n) {
            for (std::int64_t p = 0; p < ys.h * ys.w; ++p)
                for (std::int64_t k = 0; k < ys.c; ++k) y[(n * ys.h * ys.w + p) * ys.c + k] = bias ? bias[k] : 0.0;
            taps_inside(xs, ys, o, [&](std::int64_t h, std::int64_t w, int r, int s, std::int64_t row, std::int64_t column) {
                for (std::int64_t k = 0; k < ys.c; ++k)
                    for (std::int64_t c = 0; c < xs.c; ++c)
                        y[ys.at(n, h, w, k)] += x[xs.at(n, row, column, c)] * filter[fs.at(k, r, s, c)];
            });
        }
    });
}

/// dx is added to.
inline void convolve_to_input(const double* dy, const Shape& ys, const double* filter, double* dx, const Shape& xs,
                              const Conv2dOptions& o) {
    const Shape fs = filter_shape(o);
    split(ys.n, threads_for(ys.size() * fs.h * fs.w * fs.c), [&](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t n = begin; n < end; ++n)
            taps_inside(xs, ys, o, [&](std::int64_t h, std::int64_t w, int r, int s, std::int64_t row, std::int64_t column) {
                for (std::int64_t k = 0; k < ys.c; ++k)
                    for (std::int64_t c = 0; c < xs.c; ++c)
                        dx[xs.at(n, row, column, c)] += dy[ys.at(n, h, w, k)] * filter[fs.at(k, r, s, c)];
            });
    });
}

/// dfilter is added to.
inline void convolve_to_filter(const double* x, const Shape& xs, const double* dy, const Shape& ys, double* dfilter,
                               const Conv2dOptions& o) {
    const Shape fs = filter_shape(o);
    split(fs.n, threads_for(ys.size() * fs.h * fs.w * fs.c), [&](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t n = 0; n < ys.n; ++n)
            taps_inside(xs, ys, o, [&](std::int64_t h, std::int64_t w, int r, int s, std::int64_t row, std::int64_t column) {
                for (std::int64_t k = begin; k < end; ++k)
                    for (std::int64_t c = 0; c < xs.c; ++c)
                        dfilter[fs.at(k, r, s, c)] += x[xs.at(n, row, column, c)] * dy[ys.at(n, h, w, k)];
            });
    });
}

}  // namespace holon::op::cpu
