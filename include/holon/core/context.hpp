// core/context.hpp: what an op needs besides its operands: the device's memory, threads and library handles.
#pragma once
#include <cstring>
#include <memory>
#include <mutex>
#include <type_traits>
#include <typeinfo>

#include <holon/core/device.hpp>
#include <holon/core/memory.hpp>

namespace holon {

/// The first argument of every op; a tensor remembers the one it was made with.
template <Device D> class Context;

/// By type, whatever a backend keeps between calls (an engine, cached primitives), so that this floor need not know it.
/// The last one made is let go of first.
class BackendStates {
 public:
    /// The one `State`, made on first use, of `context` if it can be.
    template <class State, class OfDevice> State& state(OfDevice& context) {
        const std::lock_guard lock(mutex_);
        for (Base* held = last_.get(); held; held = held->before.get())
            if (held->type == typeid(State)) return static_cast<Held<State>*>(held)->state;
        auto* const made = new Held<State>(context);
        made->before = std::move(last_);
        last_.reset(made);
        return made->state;
    }

 private:
    struct Base {
        explicit Base(const std::type_info& t) : type(t) {}
        virtual ~Base() = default;
        const std::type_info& type;
        std::unique_ptr<Base> before;
    };
    template <class State> struct Held final : Base {
        template <class OfDevice>
            requires std::is_constructible_v<State, OfDevice&>
        explicit Held(OfDevice& context) : Base(typeid(State)), state(context) {}
        template <class OfDevice> explicit Held(OfDevice&) : Base(typeid(State)) {}
        State state;
    };

    std::recursive_mutex mutex_;  // a state may be made of another
    std::unique_ptr<Base> last_;
};

/// Memory of this machine, and the backend's states, which are let go of first: they free into it.
template <> class Context<Cpu> {
 public:
    Context() = default;
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    Memory& memory() { return memory_; }
    template <class State> State& state() { return states_.template state<State>(*this); }

    /// Every context moves bytes within its memory (`copy`, `clear`) and between it and the host's (`upload`,
    /// `download`), in the order of the calls.
    void copy(void* to, const void* from, std::size_t bytes) { move(to, from, bytes); }
    void clear(void* to, std::size_t bytes) {
        if (bytes) std::memset(to, 0, bytes);
    }
    void upload(void* to, const void* from, std::size_t bytes) { move(to, from, bytes); }
    void download(void* to, const void* from, std::size_t bytes) { move(to, from, bytes); }

 private:
    static void move(void* to, const void* from, std::size_t bytes) {
        if (bytes) std::memcpy(to, from, bytes);
    }
    Memory memory_;
    BackendStates states_;
};

/// Counts, and holds nothing: what comes back from it is zeros.
template <> class Context<Plan> {
 public:
    Context() = default;
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    ImaginedMemory& memory() { return memory_; }
    template <class State> State& state() { return states_.template state<State>(*this); }

    void copy(void*, const void*, std::size_t) {}
    void clear(void*, std::size_t) {}
    void upload(void*, const void*, std::size_t) {}
    void download(void* to, const void*, std::size_t bytes) {
        if (bytes) std::memset(to, 0, bytes);
    }

 private:
    ImaginedMemory memory_;
    BackendStates states_;
};

/// The context that tensors get when none is named. It is never destroyed: tensors in static storage may outlive
/// `main`.
template <Device D> Context<D>& default_context() {
    static auto* const context = new Context<D>;
    return *context;
}

}  // namespace holon

// A build against holon::cuda says HOLON_CUDA; others need no CUDA header.
#ifdef HOLON_CUDA
#include <holon/core/gpu.hpp>
#endif
