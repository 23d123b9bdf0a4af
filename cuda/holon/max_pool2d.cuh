// max_pool2d.cuh: the largest element under each window and a byte that says where it was; backward gathers by that
// byte, so that every element is written once, in the same order, in every run.
#pragma once
#include <holon/windows.cuh>

namespace holon::gpu {

/// `place` is r * window_w + q of the first tap that held the maximum; NaN wins. `Taps`: the width of the window, 0 for
/// any. Grid: packs / blockDim.x, lines as wanted.
template <class T, int W, int Taps> __global__ void max_pool_forward(Pooling o, const T* x, T* y, std::uint8_t* place) {
    const int packs = o.channels / W, pack = int(blockIdx.x * blockDim.x + threadIdx.x);
    if (pack >= packs) return;
    const int h = int(o.h), w = int(o.w), taps = Taps ? Taps : o.window_w;
    each_position(o.n, o.rows, o.columns, [&](std::int64_t line, const Line& at, int column) {
        const int yy = at.row * o.step_h - o.top, xx = column * o.step_w - o.left;
        const int begin = maximum(0, -yy), end = minimum(o.window_h, h - yy);
        float best[W] = {};
        std::uint8_t tap[W] = {};
        bool any = false;
        for (int r = begin; r < end; ++r) {
            const std::int64_t from = ((at.image * h + yy + r) * w + xx) * packs + pack;
            const auto take = [&](int q, const float (&v)[W]) {
                for (int i = 0; i < W; ++i)
                    if (!any || v[i] > best[i] || (v[i] != v[i] && best[i] == best[i])) {
                        best[i] = v[i];
                        tap[i] = std::uint8_t(r * taps + q);
                    }
                any = true;
            };
            const auto inside = [&](int q) { return xx + q >= 0 && xx + q < w; };
            if constexpr (Taps != 0) {  // all of a row are read before the first is used
                Pack<T, W> row[Taps] = {};
                for (int q = 0; q != Taps; ++q)
                    if (inside(q)) row[q] = reinterpret_cast<const Pack<T, W>*>(x)[from + std::int64_t(q) * packs];
                for (int q = 0; q != Taps; ++q) {
                    float v[W];
                    for (int i = 0; i < W; ++i) v[i] = widen(row[q].element[i]);
                    if (inside(q)) take(q, v);
                }
            } else {
                for (int q = 0; q != taps; ++q) {
                    if (!inside(q)) continue;
                    float v[W];
                    read<W>(x, from + std::int64_t(q) * packs, v);
                    take(q, v);
                }
            }
        }
        const std::int64_t to = (line * o.columns + column) * packs + pack;
        write<W>(y, to, best);
        Pack<std::uint8_t, W> where;
        for (int i = 0; i < W; ++i) where.element[i] = tap[i];
        reinterpret_cast<Pack<std::uint8_t, W>*>(place)[to] = where;
    });
}

/// Grid: packs / blockDim.x, lines of dx as wanted.
template <class T, int W>
__global__ void max_pool_backward(Pooling o, const T* dy, const std::uint8_t* place, T* dx, bool add) {
    const int packs = o.channels / W, pack = int(blockIdx.x * blockDim.x + threadIdx.x);
    if (pack >= packs) return;
    each_position(o.n, o.h, o.w, [&](std::int64_t line, const Line& at, int column) {
        const Covering down(at.row, o.top, o.window_h, o.step_h, o.rows),
            across(column, o.left, o.window_w, o.step_w, o.columns);
        float sum[W] = {};
        for (int y = down.first; y <= down.last; ++y)
            for (int x = across.first; x <= across.last; ++x) {
                const std::int64_t from = ((at.image * o.rows + y) * o.columns + x) * packs + pack;
                const int me = (at.row + o.top - y * o.step_h) * o.window_w + (column + o.left - x * o.step_w);
                float g[W];
                read<W>(dy, from, g);
                const Pack<std::uint8_t, W> where = reinterpret_cast<const Pack<std::uint8_t, W>*>(place)[from];
                for (int i = 0; i < W; ++i) sum[i] += where.element[i] == me ? g[i] : 0;
            }
        put<W>(dx, (line * o.w + column) * packs + pack, sum, add);
    });
}

}  // namespace holon::gpu
