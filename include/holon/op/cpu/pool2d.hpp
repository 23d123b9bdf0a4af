// op/cpu/pool2d.hpp: windows reduced; backward gathers, so that every element is written once and in the same order.
#pragma once
#include <bit>
#include <limits>
#include <type_traits>

#include <holon/op/cpu/loop.hpp>
#include <holon/op/types.hpp>

namespace holon::op {

namespace cpu {

/// Output positions whose window covers position `at` of the input along one axis.
struct Covering {
    std::int64_t first, last;  // last inclusive; none if first > last
};
inline Covering covering(std::int64_t at, int pad, int window, int stride, std::int64_t count) {
    const std::int64_t reach = at + pad - window + 1;
    const std::int64_t first = reach <= 0 ? 0 : (reach + stride - 1) / stride;
    return {first, std::min(count - 1, (at + pad) / stride)};
}

/// Calls body(n, h, w) for every position of a shape, rows split over threads.
template <class Body>
void positions_of(const Shape& s, const Body& body) {
    split(s.n * s.h, threads_for(s.size()), [=](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t row = begin; row < end; ++row)
            for (std::int64_t w = 0; w < s.w; ++w) body(row / s.h, row % s.h, w);
    });
}

#if __FINITE_MATH_ONLY__
/// A whole number for each number, in the same order; NaN's is the largest.
template <class A> inline auto rank(A x) {
    using Bits = std::make_signed_t<typename detail::Magnitude<A>::Bits>;
    const Bits bits = std::bit_cast<Bits>(x), largest = std::numeric_limits<Bits>::max();
    return is_nan(x) ? largest : bits < 0 ? Bits(bits ^ largest) : bits;
}
#endif

}  // namespace cpu

/// The largest element under each window and which tap (r * window.w + s) held it first. NaN wins. Windows of more than
/// 255 taps are refused: the place is a byte.
template <Element T>
MaxPooled<T, Cpu> max_pool2d(Context<Cpu>& context, const Tensor<T, Cpu>& x, const Pool2dOptions& o) {
    using A = Accumulate<T>;
    const Shape s = x.shape(), t = pool2d_shape(s, o);
    expects_taps(o);
    MaxPooled<T, Cpu> out{Tensor<T, Cpu>(t, context), Tensor<std::uint8_t, Cpu>(t, context)};
    const Extent step = o.step();
    const T* from = x.data();
    T* to = out.y.data();
    std::uint8_t* where = out.place.data();
    cpu::split(t.n * t.h, cpu::threads_for(t.size()), [=](std::int64_t begin, std::int64_t end, int) {
        std::vector<A> best(std::size_t(t.c));
        std::vector<std::int32_t> place(std::size_t(t.c));
        for (std::int64_t row = begin; row < end; ++row)
            for (std::int64_t w = 0; w < t.w; ++w) {
                const std::int64_t n = row / t.h, h = row % t.h;
                bool any = false;
                A* top = best.data();
                std::int32_t* tap = place.data();
                for (int r = 0; r < o.window.h; ++r) {
                    const std::int64_t y = h * step.h - o.padding.top + r;
                    if (y < 0 || y >= s.h) continue;
                    for (int q = 0; q < o.window.w; ++q) {
                        const std::int64_t z = w * step.w - o.padding.left + q;
                        if (z < 0 || z >= s.w) continue;
                        const T* in = from + s.at(n, y, z, 0);
                        const std::int32_t me = r * o.window.w + q;
                        if (!any) {
#pragma omp simd
                            for (std::int64_t k = 0; k < t.c; ++k) top[k] = cpu::widen(in[k]), tap[k] = me;
                            any = true;
                        } else {
#pragma omp simd
                            for (std::int64_t k = 0; k < t.c; ++k) {
                                const A v = cpu::widen(in[k]);
#if __FINITE_MATH_ONLY__  // comparisons of numbers may lose a NaN
                                const bool wins = cpu::rank(v) > cpu::rank(top[k]);
#else
                                const bool wins = v > top[k] || (v != v && top[k] == top[k]);
#endif
                                top[k] = wins ? v : top[k];
                                tap[k] = wins ? me : tap[k];
                            }
                        }
                    }
                }
                const std::int64_t at = t.at(n, h, w, 0);
#pragma omp simd
                for (std::int64_t k = 0; k < t.c; ++k) to[at + k] = cpu::narrow<T>(top[k]), where[at + k] = std::uint8_t(tap[k]);
            }
    });
    return out;
}

template <Element T>
void max_pool2d_backward(Context<Cpu>&, const Tensor<T, Cpu>& dy, const Tensor<std::uint8_t, Cpu>& place,
                         const Pool2dOptions& o, Tensor<T, Cpu>& dx, Gradient mode) {
    using A = Accumulate<T>;
    const Shape s = dx.shape(), t = dy.shape();
    expects_pooled("max_pool2d_backward", s, t, o);
    expects_places(t, place.shape());
    const Extent step = o.step();
    const T* from = dy.data();
    const std::uint8_t* where = place.data();
    T* to = dx.data();
    cpu::split(s.n * s.h, cpu::threads_for(s.size()), [=](std::int64_t begin, std::int64_t end, int) {
        std::vector<A> sum(std::size_t(s.c));
        for (std::int64_t row = begin; row < end; ++row)
            for (std::int64_t w = 0; w < s.w; ++w) {
                const std::int64_t n = row / s.h, h = row % s.h;
                A* total = sum.data();
                std::fill(sum.begin(), sum.end(), A(0));
                const auto hs = cpu::covering(h, o.padding.top, o.window.h, step.h, t.h);
                const auto ws = cpu::covering(w, o.padding.left, o.window.w, step.w, t.w);
                for (std::int64_t y = hs.first; y <= hs.last; ++y)
                    for (std::int64_t z = ws.first; z <= ws.last; ++z) {
                        const std::int64_t at = t.at(n, y, z, 0);
                        const std::int32_t me = std::int32_t((h + o.padding.top - y * step.h) * o.window.w +
                                                             (w + o.padding.left - z * step.w));
#pragma omp simd
                        for (std::int64_t k = 0; k < s.c; ++k) {
                            const A slope = cpu::widen(from[at + k]);  // read in any case, so that the loop vectorises
                            total[k] += std::int32_t(where[at + k]) == me ? slope : A(0);
                        }
                    }
                cpu::put_row(to + s.at(n, h, w, 0), total, s.c, mode == Gradient::add);
            }
    });
}

namespace cpu {
/// Positions of a window inside the image along one axis, from `at` = output index.
inline std::int64_t inside(std::int64_t at, int pad, int window, int stride, std::int64_t size) {
    const std::int64_t begin = std::max<std::int64_t>(0, at * stride - pad);
    return std::min(size, at * stride - pad + window) - begin;
}
}  // namespace cpu

/// The mean over each window's positions inside the image.
template <Element T>
Tensor<T, Cpu> average_pool2d(Context<Cpu>& context, const Tensor<T, Cpu>& x, const Pool2dOptions& o) {
    using A = Accumulate<T>;
    const Shape s = x.shape(), t = pool2d_shape(s, o);
    const Extent step = o.step();
    Tensor<T, Cpu> y(t, context);
    const T* from = x.data();
    T* to = y.data();
    cpu::split(t.n * t.h, cpu::threads_for(t.size() * o.window.h * o.window.w), [=](std::int64_t begin, std::int64_t end, int) {
        std::vector<A> sum(std::size_t(t.c));
        for (std::int64_t row = begin; row < end; ++row)
            for (std::int64_t w = 0; w < t.w; ++w) {
                const std::int64_t n = row / t.h, h = row % t.h;
                A* total = sum.data();
                std::fill(sum.begin(), sum.end(), A(0));
                for (int r = 0; r < o.window.h; ++r)
                    for (int q = 0; q < o.window.w; ++q) {
                        const std::int64_t yy = h * step.h - o.padding.top + r, zz = w * step.w - o.padding.left + q;
                        if (yy < 0 || yy >= s.h || zz < 0 || zz >= s.w) continue;
                        const T* in = from + s.at(n, yy, zz, 0);
#pragma omp simd
                        for (std::int64_t k = 0; k < t.c; ++k) total[k] += cpu::widen(in[k]);
                    }
                const A count = A(cpu::inside(h, o.padding.top, o.window.h, step.h, s.h) *
                                  cpu::inside(w, o.padding.left, o.window.w, step.w, s.w));
                T* out = to + t.at(n, h, w, 0);
                for (std::int64_t k = 0; k < t.c; ++k) out[k] = cpu::narrow<T>(total[k] / count);
            }
    });
    return y;
}

template <Element T>
void average_pool2d_backward(Context<Cpu>&, const Tensor<T, Cpu>& dy, const Pool2dOptions& o, Tensor<T, Cpu>& dx,
                             Gradient mode) {
    using A = Accumulate<T>;
    const Shape s = dx.shape(), t = dy.shape();
    expects_pooled("average_pool2d_backward", s, t, o);
    const Extent step = o.step();
    const T* from = dy.data();
    T* to = dx.data();
    cpu::split(s.n * s.h, cpu::threads_for(s.size()), [=](std::int64_t begin, std::int64_t end, int) {
        std::vector<A> sum(std::size_t(s.c));
        for (std::int64_t row = begin; row < end; ++row)
            for (std::int64_t w = 0; w < s.w; ++w) {
                const std::int64_t n = row / s.h, h = row % s.h;
                A* total = sum.data();
                std::fill(sum.begin(), sum.end(), A(0));
                const auto hs = cpu::covering(h, o.padding.top, o.window.h, step.h, t.h);
                const auto ws = cpu::covering(w, o.padding.left, o.window.w, step.w, t.w);
                for (std::int64_t y = hs.first; y <= hs.last; ++y)
                    for (std::int64_t z = ws.first; z <= ws.last; ++z) {
                        const A count = A(cpu::inside(y, o.padding.top, o.window.h, step.h, s.h) *
                                          cpu::inside(z, o.padding.left, o.window.w, step.w, s.w));
                        const T* in = from + t.at(n, y, z, 0);
#pragma omp simd
                        for (std::int64_t k = 0; k < s.c; ++k) total[k] += cpu::widen(in[k]) / count;
                    }
                cpu::put_row(to + s.at(n, h, w, 0), total, s.c, mode == Gradient::add);
            }
    });
}

/// (n, h, w, c) -> (n, 1, 1, c): the mean over all positions.
template <Element T>
Tensor<T, Cpu> global_average(Context<Cpu>& context, const Tensor<T, Cpu>& x) {
    using A = Accumulate<T>;
    const Shape s = x.shape();
    expects(s.h * s.w > 0, "global_average: no positions in ", s);
    Tensor<T, Cpu> y({s.n, 1, 1, s.c}, context);
    const T* from = x.data();
    T* to = y.data();
    cpu::split(s.n, cpu::threads_for(s.size()), [=](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t n = begin; n < end; ++n) {
            std::vector<A> sum(std::size_t(s.c));
            A* total = sum.data();
            for (std::int64_t p = 0; p < s.h * s.w; ++p) {
                const T* in = from + (n * s.h * s.w + p) * s.c;
#pragma omp simd
                for (std::int64_t k = 0; k < s.c; ++k) total[k] += cpu::widen(in[k]);
            }
            for (std::int64_t k = 0; k < s.c; ++k) to[n * s.c + k] = cpu::narrow<T>(total[k] / A(s.h * s.w));
        }
    });
    return y;
}

template <Element T>
void global_average_backward(Context<Cpu>&, const Tensor<T, Cpu>& dy, Tensor<T, Cpu>& dx, Gradient mode) {
    using A = Accumulate<T>;
    const Shape s = dx.shape();
    expects_averaged(s, dy.shape());
    const T* from = dy.data();
    T* to = dx.data();
    const bool add = mode == Gradient::add;
    cpu::positions_of(s, [=](std::int64_t n, std::int64_t h, std::int64_t w) {
        T* out = to + s.at(n, h, w, 0);
        for (std::int64_t k = 0; k < s.c; ++k) cpu::put(out[k], cpu::widen(from[n * s.c + k]) / A(s.h * s.w), add);
    });
}

}  // namespace holon::op
