// tensor/transfer.hpp: between this machine's memory and a device's.
#pragma once
#include <array>
#include <memory>
#include <tuple>

#include <holon/tensor/make.hpp>

namespace holon {

/// Overwrites `to` with the elements of a host tensor of the same shape.
template <class T, Device D> void copy_from_host(Tensor<T, D>& to, const Tensor<T, Cpu>& from) {
    expects(to.shape() == from.shape(), "copy_from_host: ", from.shape(), " does not fill ", to.shape());
    to.context().upload(to.data(), from.data(), std::size_t(from.size()) * sizeof(T));
}

/// The same elements on a device; on `Cpu` the same storage.
template <Device D, class T>
Tensor<T, D> to_device(const Tensor<T, Cpu>& x, Context<D>& context = default_context<D>()) {
    if constexpr (std::same_as<D, Cpu>) {
        return x;
    } else {
        Tensor<T, D> out(x.shape(), context);
        copy_from_host(out, x);
        return out;
    }
}

/// The elements on the host; on `Cpu` the same storage. A plan has none: zeros.
template <class T, Device D> Tensor<T, Cpu> to_host(const Tensor<T, D>& x) {
    if constexpr (std::same_as<D, Cpu>) {
        return x;
    } else {
        Tensor<T, Cpu> out(x.shape());
        x.context().download(out.data(), x.data(), std::size_t(x.size()) * sizeof(T));
        return out;
    }
}

/// Several tensors' elements on the host; from a GPU with one wait for all.
template <Device D, class... T> std::tuple<Tensor<T, Cpu>...> to_host_together(const Tensor<T, D>&... x) {
    if constexpr (std::same_as<D, Cpu> || std::same_as<D, Plan>) {
        return {to_host(x)...};
    } else {
        std::tuple<Tensor<T, Cpu>...> out{Tensor<T, Cpu>(x.shape())...};
        std::apply(
            [&](Tensor<T, Cpu>&... to) {
                const std::array wanted{Download{to.data(), x.data(), std::size_t(x.size()) * sizeof(T)}...};
                std::get<0>(std::tie(x...)).context().download(wanted);
            },
            out);
        return out;
    }
}

/// Overwrites tensors as `copy_from_host` does, on a GPU without waiting for the kernels before it: elements are uploaded
/// while those still run. This takes more of its memory, as many bytes as the largest tensor has.
template <Device D> class DeviceCopies {
 public:
    explicit DeviceCopies(Context<D>& context = default_context<D>()) : context_(context) {}
    template <class T> void copy(Tensor<T, D>& to, const Tensor<T, Cpu>& from) {
#ifdef HOLON_CUDA
        if constexpr (std::same_as<D, Gpu>) {
            expects(to.shape() == from.shape(), "DeviceCopies: ", from.shape(), " does not fill ", to.shape());
            expects(&to.context() == &context_, "DeviceCopies: a tensor of another context");
            context_.expects_live("bytes of this machine are sent to the card");
            if (!upload_buffer_) upload_buffer_ = context_.make_upload_buffer();
            upload_buffer_->upload(to.data(), from.data(), std::size_t(from.size()) * sizeof(T));
            return;
        }
#endif
        copy_from_host(to, from);
    }

 private:
    Context<D>& context_;
#ifdef HOLON_CUDA
    struct None {};
    std::unique_ptr<std::conditional_t<std::same_as<D, Gpu>, gpu::UploadBuffer, None>> upload_buffer_;
#endif
};

/// Tensors on their way to the host while the device goes on: `start` puts the copies behind what was asked of the device
/// so far, so that the tensors may be written again, and `finish` waits for the elements. At once on other devices than a
/// GPU. Used again and again, it keeps its memory.
template <Device D, class... T>
class HostCopies {
 public:
    explicit HostCopies([[maybe_unused]] Context<D>& context = default_context<D>()) {
#ifdef HOLON_CUDA
        if constexpr (std::same_as<D, Gpu>) arrival_.reset(new gpu::Arrival(context.stream()));
#endif
    }
    void start(const Tensor<T, D>&... x) {
#ifdef HOLON_CUDA
        if constexpr (std::same_as<D, Gpu>) {
            std::apply([&](auto&... to) { ((to = std::decay_t<decltype(to)>(x.shape())), ...); }, copies_);
            std::apply(
                [&](auto&... to) {
                    std::array<Download, sizeof...(T)> wanted{
                        Download{to.data(), x.data(), std::size_t(x.size()) * sizeof(T)}...};
                    arrival_->start(wanted);
                },
                copies_);
            return;
        }
#endif
        copies_ = {to_host(x)...};
    }
    /// The elements, good until the next `start`.
    const std::tuple<Tensor<T, Cpu>...>& finish() {
#ifdef HOLON_CUDA
        if constexpr (std::same_as<D, Gpu>) arrival_->finish();
#endif
        return copies_;
    }

 private:
    std::tuple<Tensor<T, Cpu>...> copies_;
#ifdef HOLON_CUDA
    struct None {};
    std::unique_ptr<std::conditional_t<std::same_as<D, Gpu>, gpu::Arrival, None>> arrival_;
#endif
};

}  // namespace holon
