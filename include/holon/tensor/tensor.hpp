// tensor/tensor.hpp: numbers on a device, in one dense layout.
#pragma once
#include <memory>
#include <span>
#include <utility>

#include <holon/core/error.hpp>
#include <holon/core/shape.hpp>
#include <holon/tensor/storage.hpp>

namespace holon {

/// n x h x w x c elements of type T on device D, dense, c fastest. Copying shares the storage; `clone` copies it.
template <class T, class D>
    requires Runs<T, D>
class Tensor {
 public:
    using element = T;
    using device = D;

    /// No storage, shape 0x0x0x0.
    Tensor() = default;

    /// Not initialised.
    explicit Tensor(Shape shape, Context<D>& context = default_context<D>()) : shape_(shape) {
        expects(shape.n >= 0 && shape.h >= 0 && shape.w >= 0 && shape.c >= 0, "tensor: negative extent in ", shape);
        storage_.reset(new Storage<D>(context, std::size_t(shape.size()) * sizeof(T)));
    }

    /// Over the caller's `shape.size()` elements, n h w c dense. They stay the caller's unless `owner` is given, which is
    /// then held as long as any tensor shares them.
    static Tensor over(T* data, Shape shape, std::shared_ptr<void> owner = {},
                       Context<D>& context = default_context<D>()) {
        Tensor out;
        out.shape_ = shape;
        out.storage_.reset(new Storage<D>(context, data, std::size_t(shape.size()) * sizeof(T), std::move(owner)));
        return out;
    }

    const Shape& shape() const { return shape_; }
    std::int64_t size() const { return shape_.size(); }
    bool empty() const { return !storage_; }
    explicit operator bool() const { return bool(storage_); }

    /// For writing: what was derived from these elements (a filter reordered by oneDNN) counts as stale from here on.
    /// Take it anew before each round of writes.
    T* data() {
        if (!storage_) return nullptr;
        storage_->written();
        return static_cast<T*>(storage_->data());
    }
    const T* data() const { return storage_ ? static_cast<const T*>(storage_->data()) : nullptr; }

    std::span<T> elements()
        requires std::same_as<D, Cpu>
    {
        return {data(), std::size_t(size())};
    }
    std::span<const T> elements() const
        requires std::same_as<D, Cpu>
    {
        return {data(), std::size_t(size())};
    }

    /// The same storage under another shape of the same size.
    Tensor reshape(Shape shape) const {
        expects(shape.size() == size(), "reshape: ", shape_, " has ", size(), " elements, ", shape, " has ", shape.size());
        Tensor out = *this;
        out.shape_ = shape;
        return out;
    }

    Tensor clone() const {
        if (empty()) return {};
        Tensor out(shape_, context());
        context().copy(out.data(), data(), std::size_t(size()) * sizeof(T));
        return out;
    }

    Context<D>& context() const { return storage_ ? storage_->context() : default_context<D>(); }
    /// True if no other tensor shares the storage, so that it may be written in place.
    bool unique() const { return storage_.use_count() == 1; }
    const std::shared_ptr<Storage<D>>& storage() const { return storage_; }

 private:
    Shape shape_;
    std::shared_ptr<Storage<D>> storage_;
};

}  // namespace holon
