// pool2d.cu: launchers (op/gpu/kernels.hpp) of pooling.
#include <holon/average_pool2d.cuh>
#include <holon/launch.cuh>
#include <holon/max_pool2d.cuh>

namespace holon::gpu {

// `place` has a byte an element, so its packs are aligned where those of 16-byte elements are not.

namespace {

template <class T> bool places_align(const std::uint8_t* place) {
    return reinterpret_cast<std::uintptr_t>(place) % std::size_t(pack_width<T>) == 0;
}
/// A grid of blocks that each take whole lines of an image, up to sixteen a multiprocessor.
dim3 lines_grid(const Queue& queue, const Columns& c, std::int64_t lines) {
    const std::int64_t most = std::int64_t(queue.multiprocessors) * blocks_per_multiprocessor / c.across;
    return grid_of(c, std::clamp<std::int64_t>(std::min(lines, most), 1, grid_y));
}
/// A pointer that says "not aligned" to `by_width`.
const char* unaligned() { return reinterpret_cast<const char*>(std::uintptr_t(1)); }

}  // namespace

template <class T> void max_pool(const Queue& queue, const Pooling& o, const T* x, T* y, std::uint8_t* place) {
    by_width<T>(
        o.channels,
        [&]<int W>() {
            const Columns c(o.channels / W);
            const auto start = [&]<int Taps>() {
                launch(queue, max_pool_forward<T, W, Taps>, lines_grid(queue, c, o.n * o.rows), block_of(c), o, x, y, place);
            };
            if (o.window_w == 3)
                start.template operator()<3>();
            else if (o.window_w == 2)
                start.template operator()<2>();
            else
                start.template operator()<0>();
        },
        x, y, places_align<T>(place) ? nullptr : unaligned());
}
template <class T>
void max_pool_backward(const Queue& queue, const Pooling& o, const T* dy, const std::uint8_t* place, T* dx, bool add) {
    by_width<T>(
        o.channels,
        [&]<int W>() {
            const Columns c(o.channels / W);
            launch(queue, gpu::max_pool_backward<T, W>, lines_grid(queue, c, o.n * o.h), block_of(c), o, dy, place, dx, add);
        },
        dy, dx, places_align<T>(place) ? nullptr : unaligned());
}
template <class T> void average_pool(const Queue& queue, const Pooling& o, const T* x, T* y) {
    by_width<T>(
        o.channels,
        [&]<int W>() {
            const Columns c(o.channels / W);
            launch(queue, average_pool_forward<T, W>, lines_grid(queue, c, o.n * o.rows), block_of(c), o, x, y);
        },
        x, y);
}
template <class T> void average_pool_backward(const Queue& queue, const Pooling& o, const T* dy, T* dx, bool add) {
    by_width<T>(
        o.channels,
        [&]<int W>() {
            const Columns c(o.channels / W);
            launch(queue, gpu::average_pool_backward<T, W>, lines_grid(queue, c, o.n * o.h), block_of(c), o, dy, dx, add);
        },
        dy, dx);
}
template <class T>
void global_average(const Queue& queue, std::int64_t images, std::int64_t positions, int channels, const T* x, T* y) {
    by_width<T>(
        channels,
        [&]<int W>() {
            // Images are the grid's second extent, so more than it holds go in several launches.
            for (std::int64_t first = 0; first < images; first += grid_y) {
                const std::int64_t here = std::min(grid_y, images - first);
                const dim3 grid(unsigned(divided_up(channels / W, average_lanes)), unsigned(here));
                launch(queue, global_average_forward<T, W>, grid, dim3(average_lanes, average_lines), positions,
                       channels, x + first * positions * channels, y + first * channels);
            }
        },
        x, y);
}
template <class T>
void global_average_backward(const Queue& queue, std::int64_t images, std::int64_t positions, int channels, const T* dy,
                             T* dx, bool add) {
    by_width<T>(
        channels,
        [&]<int W>() {
            const std::int64_t packs = images * positions * (channels / W);
            launch(queue, gpu::global_average_backward<T, W>, flat_grid(queue, packs), flat_threads, images, positions,
                   channels, dy, dx, add);
        },
        dy, dx);
}

#define HOLON_POOL2D_OF(T)                                                                                            \
    template void max_pool(const Queue&, const Pooling&, const T*, T*, std::uint8_t*);                                \
    template void max_pool_backward(const Queue&, const Pooling&, const T*, const std::uint8_t*, T*, bool);           \
    template void average_pool(const Queue&, const Pooling&, const T*, T*);                                           \
    template void average_pool_backward(const Queue&, const Pooling&, const T*, T*, bool);                            \
    template void global_average(const Queue&, std::int64_t, std::int64_t, int, const T*, T*);                        \
    template void global_average_backward(const Queue&, std::int64_t, std::int64_t, int, const T*, T*, bool);

HOLON_POOL2D_OF(float)
HOLON_POOL2D_OF(bfloat16)
HOLON_POOL2D_OF(float16)

}  // namespace holon::gpu
