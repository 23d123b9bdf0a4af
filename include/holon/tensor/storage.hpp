// tensor/storage.hpp: the bytes behind one or more tensors, who gave them, and how often they were written.
#pragma once
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>

#include <holon/core/context.hpp>

namespace holon {

template <Device D>
class Storage {
 public:
    Storage(Context<D>& context, std::size_t bytes);
    /// Over somebody else's memory, which `owner` keeps alive.
    Storage(Context<D>& context, void* data, std::size_t bytes, std::shared_ptr<void> owner)
        : context_(context), bytes_(bytes), data_(data), owner_(std::move(owner)), borrowed_(true) {}
    ~Storage();
    Storage(const Storage&) = delete;
    Storage& operator=(const Storage&) = delete;

    Context<D>& context() const { return context_; }
    void* data() const { return data_; }
    std::size_t bytes() const { return bytes_; }

    /// Counts the times a writer was let in; what was derived from the bytes is stale once it moves.
    std::uint64_t version() const { return version_; }
    void written() { ++version_; }

    /// The form `key` of these bytes that a backend wants (a filter in its own layout), as `make()` gives it. A second
    /// use between two writes keeps it (a frozen layer, evaluation); in training every step writes, and nothing is
    /// kept.
    template <class Make> std::shared_ptr<Storage> form(std::uint64_t key, const Make& make) {
        if (derived_from_ != version_) derived_.clear();
        derived_from_ = version_;
        for (Derived& each : derived_)
            if (each.key == key) return each.form ? each.form : each.form = make();
        derived_.push_back({key, nullptr});
        return make();
    }
    /// Lets go of the forms kept.
    void forget_forms() { derived_.clear(); }

 private:
    struct Derived {
        std::uint64_t key;
        std::shared_ptr<Storage> form;  // null: seen once at this version, not kept yet
    };
    Context<D>& context_;
    std::size_t bytes_;
    void* data_;
    std::shared_ptr<void> owner_;
    bool borrowed_ = false;
    std::uint64_t version_ = 0, derived_from_ = 0;
    std::list<Derived> derived_;
};

template <Device D>
Storage<D>::Storage(Context<D>& context, std::size_t bytes)
    : context_(context), bytes_(bytes), data_(bytes ? context.memory().allocate(bytes) : nullptr) {}

template <Device D> Storage<D>::~Storage() {
    if (data_ && !borrowed_) context_.memory().release(data_, bytes_);
}

#ifdef HOLON_COMPILED
extern template class Storage<Cpu>;
extern template Context<Cpu>& default_context<Cpu>();
#endif

}  // namespace holon
