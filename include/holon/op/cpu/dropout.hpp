// op/cpu/dropout.hpp: a mask from a counter: nothing to keep, the same for any number of threads.
#pragma once
#include <holon/core/random.hpp>
#include <holon/op/cpu/loop.hpp>
#include <holon/op/types.hpp>

namespace holon::op {

namespace cpu {
template <Element T>
void masked_copy(const T* from, T* to, std::int64_t count, const DropoutMask& mask, bool add) {
    using A = Accumulate<T>;
    expects_rate(mask);
    const std::uint64_t bar = std::uint64_t(mask.rate * 0x1p32);
    const A keep = A(1.0 / (1.0 - mask.rate));
    split((count + 3) / 4, threads_for(count), [=](std::int64_t begin, std::int64_t end, int) {
        for (std::int64_t block = begin; block < end; ++block) {
            const auto words = philox(mask.seed, mask.first + std::uint64_t(block), mask.stream);
            for (std::int64_t i = 4 * block; i < std::min(count, 4 * block + 4); ++i)
                put(to[i], words[std::size_t(i % 4)] >= bar ? widen(from[i]) * keep : A(0), add);
        }
    });
}
}  // namespace cpu

/// Element i is kept, times 1 / (1 - rate), if its 32 random bits (see `DropoutMask`) are at least rate * 2^32.
template <Element T>
Tensor<T, Cpu> dropout(Context<Cpu>& context, const Tensor<T, Cpu>& x, const DropoutMask& mask) {
    Tensor<T, Cpu> y(x.shape(), context);
    cpu::masked_copy(x.data(), y.data(), x.size(), mask, false);
    return y;
}

template <Element T>
void dropout_backward(Context<Cpu>&, const Tensor<T, Cpu>& dy, const DropoutMask& mask, Tensor<T, Cpu>& dx,
                      Gradient mode) {
    expects_same("dropout_backward", dy, dx);
    cpu::masked_copy(dy.data(), dx.data(), dy.size(), mask, mode == Gradient::add);
}

}  // namespace holon::op
