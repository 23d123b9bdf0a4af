// op/plan/costs.hpp: what ops of `Plan` share: traffic, notes in the ledger, and the memory that a GPU takes beside tensors.
#pragma once
#include <holon/op/check.hpp>
#include <holon/op/gpu/columns.hpp>
#include <holon/op/plan/ledger.hpp>
#include <holon/tensor/make.hpp>

namespace holon::op {

namespace plan {

/// Bytes of one pass over tensors.
template <class... T> double traffic(const T&... tensors) {
    return (double(std::size_t(tensors.size()) * sizeof(typename T::element)) + ... + 0.0);
}

/// Writes down an op that reads and writes `bytes`.
inline void note(Context<Plan>& context, const char* op, const Shape& image, const Shape& result, double bytes,
                 double flops = 0) {
    context.state<Ledger>().note(op, image, result, flops, bytes);
}

using Bytes = Tensor<std::uint8_t, Plan>;

/// The partial sums that a GPU keeps while it sums over the rows of an image.
template <Element T> Bytes sums_of(Context<Plan>& context, const Tensor<T, Plan>& x, gpu::SumsKept kept) {
    const Ledger& ledger = context.state<Ledger>();
    const Shape s = x.shape();
    return Bytes({1, 1, 1,
                  ledger.on_gpu ? 4 * gpu::sums_scratch<T>(ledger.multiprocessors, s.rows(), s.c, kept) : 0},
                 context);
}

/// The mask of the ReLU that gave y.
template <Element T> ReluMask<T, Plan> mask_of(Context<Plan>& context, const Tensor<T, Plan>& y) {
    if (!context.state<Ledger>().on_gpu) return {y, {}};
    return {{}, Bytes(ReluMask<T, Plan>::bits_shape(y.shape()), context)};
}

/// The type of the copies of parameters: this, and the channels of zeros that were added to them.
constexpr std::uint64_t narrow_key = 1;

/// Keeps a gradient in 16 bits until it is widened with others, as on a GPU; see op::gpu_detail::PendingGradients.
inline void hold(Ledger& ledger, const std::shared_ptr<Storage<Plan>>& gradient) {
    constexpr std::size_t most_bytes = std::size_t(32) << 20;
    if (ledger.waiting == 0) return;
    ledger.pending.push_back(gradient);
    ledger.pending_bytes += gradient->bytes();
    if (ledger.pending_bytes < most_bytes) return;
    ledger.pending.clear();
    ledger.pending_bytes = 0;
}

/// An optimizer writes a parameter, and its copy with it; returns the copy's bytes.
template <Element A> double step_value(Tensor<A, Plan>& value) {
    Storage<Plan>& storage = *value.storage();
    const auto [copy, type] = storage.copy();
    storage.written();
    if (!copy) return 0;
    storage.copy_written();
    return double(copy->bytes());
}

}  // namespace plan

}  // namespace holon::op
