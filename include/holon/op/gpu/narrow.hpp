// op/gpu/narrow.hpp: what parameters, which are kept in float, are to convolutions and products of 16-bit images: a copy
// beside them, which the optimizer writes with them; and gradients that come in 16 bits and are widened together.
#pragma once
#include <vector>

#include <holon/op/gpu/elementwise.hpp>
#include <holon/op/gpu/padding.hpp>
#include <holon/op/step.hpp>

namespace holon::op {

namespace gpu_detail {

/// What `Storage` knows a copy by: its element type and, where there are zeros behind its channels, its channels with them.
struct CopyType {
    gpu::NarrowType element = gpu::NarrowType::none;
    int padded = 0;  ///< 0: none were added
    std::uint64_t key() const { return std::uint64_t(element) | std::uint64_t(padded) << 8; }
    static CopyType of(std::uint64_t key) { return {gpu::NarrowType(key & 0xff), int(key >> 8)}; }
};

/// A parameter as elements of T: itself, its copy, or, where another copy is kept already or a step is recorded before there
/// is one, a tensor made for the length of the op.
template <Element T> class Narrowed {
 public:
    /// With zeros behind its channels, up to `padded`.
    Narrowed(Context<Gpu>& context, const Tensor<float, Gpu>& parameter, int padded) {
        if constexpr (std::same_as<T, float>) {
            data_ = parameter.data();
        } else {
            const Shape s = parameter.shape();
            const Shape to_shape{s.n, s.h, s.w, padded};
            const std::uint64_t type = CopyType{gpu::narrow_type<T>(), padded == s.c ? 0 : padded}.key();
            Storage<Gpu>& storage = *parameter.storage();
            const std::size_t bytes = std::size_t(to_shape.size()) * sizeof(T);
            if (const auto* copy = storage.copy(type)) {
                data_ = static_cast<const T*>(copy->data());
            } else if (storage.copy().first || (context.recording() && !storage.has_copy(type))) {
                made_ = Tensor<T, Gpu>(to_shape, context);
                fill(context, parameter, padded, made_.data());
                data_ = std::as_const(made_).data();
            } else {
                T* const to = static_cast<T*>(
                    storage
                        .new_copy(type,
                                  [&] {
                                      const Lasting lasting;
                                      return context.outside_rehearsal(
                                          [&] { return std::make_shared<Storage<Gpu>>(context, bytes); });
                                  })
                        .data());
                fill(context, parameter, padded, to);
                data_ = to;
            }
        }
    }
    Narrowed(Context<Gpu>& context, const Tensor<float, Gpu>& parameter)
        : Narrowed(context, parameter, int(parameter.shape().c)) {}
    const T* data() const { return data_; }

 private:
    static void fill(Context<Gpu>& context, const Tensor<float, Gpu>& from, int padded, T* to) {
        const Shape s = from.shape();
        if constexpr (gpu::pads_channels<T>)
            if (padded != s.c) return gpu::pad_channels(queue(context), s.rows(), int(s.c), from.data(), to);
        gpu::carry(queue(context), from.size(), from.data(), to, false);
    }

    Tensor<T, Gpu> made_;
    const T* data_ = nullptr;
};

/// Gradients in 16 bits that wait to be widened, by one launch.
class PendingGradients {
 public:
    /// Bytes after which they are widened without waiting for more.
    static constexpr std::size_t most_bytes = std::size_t(32) << 20;

    explicit PendingGradients(Context<Gpu>& context) : context_(context) {}

    /// `to` becomes `from`, less channels that were added, or has it added, at `flush`, or at once where nobody will flush.
    template <Element T> void add(const Tensor<T, Gpu>& from, Tensor<float, Gpu>& to, Gradient mode) {
        if (open_ == 0 && from.size() == to.size()) {
            gpu::carry(queue(context_), to.size(), from.data(), to.data(), adds(mode));
            return;
        }
        parts_.push_back({from.data(), to.data(), to.size(), 0, gpu::narrow_type<T>(), adds(mode), int(to.shape().c),
                          int(from.shape().c)});
        kept_.push_back(from.storage());
        bytes_ += std::size_t(from.size()) * sizeof(T);
        if (bytes_ >= most_bytes || open_ == 0) flush();
    }
    void flush() {
        if (parts_.empty()) return;
        const auto parts = std::exchange(parts_, {});
        const auto kept = std::exchange(kept_, {});
        bytes_ = 0;
        std::int64_t chunks = 0;
        std::vector<gpu::NarrowGradient> numbered = parts;
        for (auto& part : numbered) {
            part.first_chunk = chunks;
            chunks += (part.count + gpu::step_chunk - 1) / gpu::step_chunk;
        }
        expects(chunks <= 0x7fffffff, "backward: ", chunks, " chunks of ", gpu::step_chunk,
                " elements of gradients are too many");
        const std::size_t size = numbered.size() * sizeof(gpu::NarrowGradient);
        const auto table = provided<std::uint8_t, Gpu>(
            vector_shape(std::int64_t(size)),
            [numbered, size](std::span<std::uint8_t> to) { std::memcpy(to.data(), numbered.data(), size); }, context_);
        gpu::widen_gradients(queue(context_), as<gpu::NarrowGradient>(table), int(numbered.size()), chunks);
    }
    void begin() { ++open_; }
    void end() {
        if (--open_ > 0) return;
        parts_.clear();
        kept_.clear();
        bytes_ = 0;
    }

 private:
    Context<Gpu>& context_;
    std::vector<gpu::NarrowGradient> parts_;
    std::vector<std::shared_ptr<Storage<Gpu>>> kept_;
    std::size_t bytes_ = 0;
    int open_ = 0;
};

}  // namespace gpu_detail

template <> class DeferredGradients<Gpu> {
 public:
    explicit DeferredGradients(Context<Gpu>& context) : pending_(context.state<gpu_detail::PendingGradients>()) {
        pending_.begin();
    }
    ~DeferredGradients() { pending_.end(); }
    DeferredGradients(const DeferredGradients&) = delete;
    DeferredGradients& operator=(const DeferredGradients&) = delete;
    void finish() { pending_.flush(); }

 private:
    gpu_detail::PendingGradients& pending_;
};
inline bool keeps_filter_forms(const Context<Gpu>&) { return false; }
inline void finish_gradients(Context<Gpu>& context) { context.state<gpu_detail::PendingGradients>().flush(); }

}  // namespace holon::op
