// tensor/storage.hpp: the bytes behind one or more tensors, who gave them, and how often they were written.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <holon/core/context.hpp>

namespace holon {

template <Device D>
class Storage {
 public:
    Storage(Context<D>& context, std::size_t bytes)
        : context_(context), bytes_(bytes), data_(bytes ? context.memory().allocate(bytes) : nullptr) {}
    /// Over somebody else's memory, which `owner` keeps alive.
    Storage(Context<D>& context, void* data, std::size_t bytes, std::shared_ptr<void> owner)
        : context_(context), bytes_(bytes), data_(data), owner_(std::move(owner)), borrowed_(true) {}
    ~Storage() {
        if (data_ && !borrowed_) context_.memory().release(data_, bytes_);
    }
    Storage(const Storage&) = delete;
    Storage& operator=(const Storage&) = delete;

    Context<D>& context() const { return context_; }
    void* data() const { return data_; }
    std::size_t bytes() const { return bytes_; }

    /// Counts the times a writer was let in; what was derived from the bytes is stale once it moves.
    std::uint64_t version() const { return version_; }
    void written() { ++version_; }

    /// A form of these bytes that a backend wants to keep (a filter in its own layout), valid for one version.
    struct Derived {
        std::uint64_t key, version;
        std::shared_ptr<void> form;  // null: seen once at this version, not kept yet
    };
    std::vector<Derived>& derived() { return derived_; }

 private:
    Context<D>& context_;
    std::size_t bytes_;
    void* data_;
    std::shared_ptr<void> owner_;
    bool borrowed_ = false;
    std::uint64_t version_ = 0;
    std::vector<Derived> derived_;
};

}  // namespace holon
