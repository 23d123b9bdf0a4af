// launch.cuh: the one place where a kernel is started, and how wide its grid is.
#pragma once
#include <algorithm>
#include <cstdint>

#include <holon/core/error.hpp>
#include <holon/op/gpu/columns.hpp>
#include <holon/vocabulary.cuh>

namespace holon::gpu {

/// Starts a kernel in the queue's stream and returns. Throws `DeviceError` if it could not be started.
#if defined(__CUDACC__)
template <class... P, class... A>
void launch(const Queue& queue, void (*kernel)(P...), dim3 grid, dim3 block, A... arguments) {
    kernel<<<grid, block, 0, queue.stream>>>(arguments...);
    const cudaError_t error = cudaGetLastError();
    if (error != cudaSuccess)
        throw DeviceError(text("a kernel could not be started (grid ", grid.x, 'x', grid.y, 'x', grid.z, ", block ",
                               block.x, 'x', block.y, "): ", cudaGetErrorString(error)));
}
#else
template <class... P, class... A>
void launch(const Queue& queue, void (*kernel)(P...), dim3 grid, dim3 block, A... arguments) {
    host_cuda::submit(queue.stream, [=] { host_cuda::run(kernel, grid, block, arguments...); });
}
#endif

/// Threads of a block of the kernels that take any grid.
constexpr int flat_threads = 256;
/// Blocks that keep a multiprocessor busy, threads waiting for memory included.
constexpr int blocks_per_multiprocessor = 16;

/// A grid of `flat_threads` wide blocks that together step through `count` things, one a thread and round.
inline dim3 flat_grid(const Queue& queue, std::int64_t count) {
    const std::int64_t most = std::int64_t(queue.multiprocessors) * blocks_per_multiprocessor;
    return dim3(unsigned(std::clamp<std::int64_t>(divided_up(count, flat_threads), 1, most)));
}

/// Blocks and grids for a matrix of rows x channels; see `Columns`.
template <class T> Columns columns_of(int channels) { return Columns(divided_up(channels, pack_width<T>)); }
inline dim3 block_of(const Columns& c) { return dim3(unsigned(c.lanes), unsigned(c.lines)); }
inline dim3 grid_of(const Columns& c, std::int64_t down) { return dim3(unsigned(c.across), unsigned(down)); }

/// Calls f.template operator()<W>() with the widest pack that `channels` are a multiple of and all pointers are aligned
/// to, or 1.
template <class T, class F, class... P> void by_width(std::int64_t channels, const F& f, const P*... pointers) {
    constexpr int wide = pack_width<T>;
    const bool packs = channels % wide == 0 && ((reinterpret_cast<std::uintptr_t>(pointers) % 16 == 0) && ...);
    if (packs)
        f.template operator()<wide>();
    else
        f.template operator()<1>();
}

/// The widest pack that all pointers are aligned to, for kernels that deal with the rest themselves.
template <class T, class F, class... P> void by_alignment(const F& f, const P*... pointers) {
    by_width<T>(0, f, pointers...);
}

}  // namespace holon::gpu
