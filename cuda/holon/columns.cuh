// columns.cuh: how kernels share out a matrix of rows x channels (an image n h w c as n * h * w rows).
//
// A thread keeps to one pack of channels, whose coefficients it holds in registers, and walks down the rows. Nothing is
// divided on the way, and neighbouring threads read neighbouring memory. What several rows need is read before the
// first of them is used, so that the memory has work while the threads compute.
#pragma once
#include <holon/op/gpu/columns.hpp>
#include <holon/vocabulary.cuh>

namespace holon::gpu {

/// The pack and the rows of a thread: from `row` on, every `stride`-th. Blocks are blockDim.x packs by blockDim.y rows, grids
/// packs / blockDim.x by rows as wanted.
struct Column {
    int pack;
    std::int64_t row, stride;
};
__device__ inline Column column() {
    return {int(blockIdx.x * blockDim.x + threadIdx.x), std::int64_t(blockIdx.y) * blockDim.y + threadIdx.y,
            std::int64_t(gridDim.y) * blockDim.y};
}

/// Rows that are loaded ahead: as many as asked for of whole packs. A pack that is read element by element has as many
/// loads by itself, and registers for no more.
template <bool Whole> constexpr int rows_ahead(int wanted) { return Whole ? wanted : 1; }

/// Calls `use(row, load(row))` for the thread's rows, in order, with the loads of R rows issued before the first use.
template <int R, class Load, class Use>
__device__ __forceinline__ void each_row(const Column& me, std::int64_t rows, const Load& load, const Use& use) {
    std::int64_t row = me.row;
    for (const std::int64_t reach = (R - 1) * me.stride; row + reach < rows; row += R * me.stride) {
        decltype(load(row)) ahead[R];
        for (int r = 0; r != R; ++r) ahead[r] = load(row + r * me.stride);
        for (int r = 0; r != R; ++r) use(row + r * me.stride, ahead[r]);
    }
    for (; row < rows; row += me.stride) use(row, load(row));
}

/// A thread's pack: `width` channels from `first` on. `Whole`: every pack is full and aligned, so that it is one access.
/// Otherwise its elements are read one by one, and those beyond the last channel are 0 and never written.
template <class T, bool Whole> struct ChannelPack {
    static constexpr int width = pack_width<T>;
    using Raw = Pack<T, width>;
    int channels, packs, pack, first;

    __device__ ChannelPack(int all, int mine)
        : channels(all), packs((all + (width - 1)) / width), pack(mine), first(mine * width) {}

    __device__ bool inside() const { return pack < packs; }
    __device__ bool holds(int i) const { return Whole || first + i < channels; }
    __device__ Raw load(const T* from, std::int64_t row) const {
        const T* at = from + row * channels + first;
        if constexpr (Whole) {
            return *reinterpret_cast<const Raw*>(at);
        } else {
            Raw raw;
            for (int i = 0; i < width; ++i) raw.element[i] = holds(i) ? at[i] : narrow<T>(0);
            return raw;
        }
    }
    __device__ void store(T* to, std::int64_t row, const float (&values)[width]) const {
        T* at = to + row * channels + first;
        Raw raw;
        for (int i = 0; i < width; ++i) raw.element[i] = narrow<T>(values[i]);
        if constexpr (Whole) {
            *reinterpret_cast<Raw*>(at) = raw;
        } else {
            for (int i = 0; i < width; ++i)
                if (holds(i)) at[i] = raw.element[i];
        }
    }
    /// Writes a gradient, or adds it to what is there.
    __device__ void put(T* to, std::int64_t row, float (&values)[width], bool add) const {
        if (add) {
            const Raw before = load(to, row);
            for (int i = 0; i < width; ++i) values[i] += widen(before.element[i]);
        }
        store(to, row, values);
    }
    /// The pack's elements of a vector of all channels; 0 beyond the last one.
    __device__ void coefficients(const float* vector, float (&to)[width]) const {
        for (int i = 0; i < width; ++i) to[i] = holds(i) ? vector[first + i] : 0;
    }
};

}  // namespace holon::gpu
