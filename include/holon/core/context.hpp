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
template <Device D>
class Context;

/// Holds the allocator and, by type, whatever a backend keeps between calls (an engine, cached primitives), so that this
/// floor need not know the backend.
template <>
class Context<Cpu> {
 public:
    Context() = default;
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    Memory& memory() { return memory_; }

    /// The one `State` of this context, made on first use.
    template <class State>
    State& state() {
        const std::lock_guard lock(mutex_);
        auto& held = states_[std::type_index(typeid(State))];
        if (!held) held = std::make_shared<State>();
        return *static_cast<State*>(held.get());
    }

 private:
    Memory memory_;
    std::mutex mutex_;
    std::map<std::type_index, std::shared_ptr<void>> states_;  // declared last: backends free into memory_
};

/// The context that tensors get when none is named. It is never destroyed: tensors in static storage may outlive `main`.
template <Device D>
Context<D>& default_context() {
    static auto* const context = new Context<D>;
    return *context;
}

}  // namespace holon
