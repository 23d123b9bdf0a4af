// tensor/storage.hpp: the bytes behind one or more tensors, who gave them, and how often they were written.
#pragma once
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <utility>

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

    /// A copy of the bytes in another element type, which a backend keeps beside them, and which whoever writes the bytes
    /// may write too. Null unless it is of `type` and as new as the bytes.
    const Storage* copy(std::uint64_t type) const {
        return copy_.bytes && copy_.type == type && copy_.version == version_ ? copy_.bytes.get() : nullptr;
    }
    /// The copy of whatever type, and that type (0: none), if it is as new as the bytes.
    std::pair<const Storage*, std::uint64_t> copy() const {
        const bool fresh = copy_.bytes && copy_.version == version_;
        return fresh ? std::pair<const Storage*, std::uint64_t>(copy_.bytes.get(), copy_.type)
                     : std::pair<const Storage*, std::uint64_t>(nullptr, 0);
    }
    /// Room for a copy, in the place of the one before, which the caller fills. Counts as new from here on.
    template <class Make> Storage& new_copy(std::uint64_t type, const Make& make) {
        if (!copy_.bytes || copy_.type != type) copy_ = {make(), type, 0};
        copy_.version = version_;
        return *copy_.bytes;
    }
    /// Says that the copy, which was as new as the bytes, was written together with them.
    void copy_written() { copy_.version = version_; }
    /// Lets go of the copy.
    void forget_copy() { copy_ = {}; }
    bool has_copy(std::uint64_t type) const { return copy_.bytes && copy_.type == type; }

 private:
    struct Derived {
        std::uint64_t key;
        std::shared_ptr<Storage> form;  // null: seen once at this version, not kept yet
    };
    struct Copy {
        std::shared_ptr<Storage> bytes;
        std::uint64_t type = 0, version = 0;
    };
    Context<D>& context_;
    std::size_t bytes_;
    void* data_;
    std::shared_ptr<void> owner_;
    bool borrowed_ = false;
    std::uint64_t version_ = 0, derived_from_ = 0;
    std::list<Derived> derived_;
    Copy copy_;
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
