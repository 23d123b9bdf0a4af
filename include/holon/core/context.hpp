// core/context.hpp: what an op needs besides its operands: the device's memory, threads and library handles.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <typeindex>
#include <typeinfo>

#include <holon/core/device.hpp>
#include <holon/core/memory.hpp>

namespace holon {

/// The first argument of every op; a tensor remembers the one it was made with.
template <Device D> class Context;

/// By type, whatever a backend keeps between calls (an engine, cached primitives), so that this floor need not know it.
class BackendStates {
 public:
    /// The one `State`, made on first use.
    template <class State> State& state() {
        const std::lock_guard lock(mutex_);
        auto& held = states_[std::type_index(typeid(State))];
        if (!held) held = std::make_shared<State>();
        return *static_cast<State*>(held.get());
    }

 private:
    std::mutex mutex_;
    std::map<std::type_index, std::shared_ptr<void>> states_;
};

namespace detail {
/// An allocator and the backend's states, which are let go of first: they free into it.
template <class Allocator> class HeldContext {
 public:
    HeldContext() = default;
    HeldContext(const HeldContext&) = delete;
    HeldContext& operator=(const HeldContext&) = delete;

    Allocator& memory() { return memory_; }
    template <class State> State& state() { return states_.template state<State>(); }

 private:
    Allocator memory_;
    BackendStates states_;
};
}  // namespace detail

template <> class Context<Cpu> : public detail::HeldContext<Memory> {};

/// Counts, and holds nothing.
template <> class Context<Plan> : public detail::HeldContext<ImaginedMemory> {};

/// The context that tensors get when none is named. It is never destroyed: tensors in static storage may outlive
/// `main`.
template <Device D> Context<D>& default_context() {
    static auto* const context = new Context<D>;
    return *context;
}

}  // namespace holon
