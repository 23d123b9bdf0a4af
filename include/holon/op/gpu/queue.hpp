// op/gpu/queue.hpp: from a context and tensors to what launchers take.
#pragma once
#include <holon/core/gpu.hpp>
#include <holon/op/check.hpp>
#include <holon/op/gpu/kernels.hpp>
#include <holon/tensor/make.hpp>

namespace holon::op::gpu_detail {

inline gpu::Queue queue(const Context<Gpu>& context) { return {context.stream(), context.card().multiprocessors}; }

constexpr bool adds(Gradient mode) { return mode == Gradient::add; }

/// Launchers count channels, windows and images in 32 bits; elements in 64.
inline int narrow(const char* op, std::int64_t count) {
    expects(count <= 0x7fffffff, op, ": ", count, " is more than an extent may be on a GPU, 2^31 - 1");
    return int(count);
}

template <class T> gpu::Channels channels(const Normalization<T, Gpu>& normal) {
    return {normal.mean.data(), normal.inverse_deviation.data(), normal.weight.data(), normal.bias.data()};
}

/// Memory for the length of an op: the stream orders its reuse.
template <class T> Tensor<T, Gpu> scratch(Context<Gpu>& context, std::int64_t count) {
    return Tensor<T, Gpu>(vector_shape(count), context);
}

/// Plain structs or numbers, on the card.
using Bytes = Tensor<std::uint8_t, Gpu>;
template <class T> Bytes on_card(Context<Gpu>& context, std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    Bytes out(vector_shape(std::int64_t(values.size_bytes())), context);
    context.upload(out.data(), values.data(), values.size_bytes());
    return out;
}
/// Over what `to` holds where that is as much, else to a new place; empty: to none.
template <class T> void send(Context<Gpu>& context, std::span<const T> values, Bytes& to) {
    if (values.empty() || to.size() != std::int64_t(values.size_bytes()))
        to = values.empty() ? Bytes() : on_card(context, values);
    else
        context.upload(to.data(), values.data(), values.size_bytes());
}
template <class T> const T* as(const Bytes& bytes) { return reinterpret_cast<const T*>(bytes.data()); }
template <class T> T* as(Bytes& bytes) { return reinterpret_cast<T*>(bytes.data()); }

}  // namespace holon::op::gpu_detail
