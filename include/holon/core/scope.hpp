// core/scope.hpp: which layer is running on this thread, so that errors, profiles and NaN hunts can name it.
#pragma once
#include <atomic>
#include <string>

namespace holon {

/// While it lives, `Scope::current()` is `name`. The name must outlive the scope (a layer's own dotted name does). Once
/// there is a `Context<Gpu>` it is also a range on the time line of NVIDIA's profilers.
class Scope {
 public:
    /// What else is told of scopes. Set while the program runs, not by a macro: sources compiled for the processor
    /// alone and sources compiled for GPUs too are linked into one program, and share this class.
    struct Listener {
        void (*entered)(const char* name);
        void (*left)();
    };
    static void listen(const Listener& listener) { listening().store(&listener, std::memory_order_release); }

    explicit Scope(const std::string& name) : before_(top()), told_(listening().load(std::memory_order_acquire)) {
        if (!name.empty()) top() = &name;  // a layer without a name is its owner's
        if (told_) told_->entered(name.c_str());
    }
    ~Scope() {
        top() = before_;
        if (told_) told_->left();
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

    /// The dotted name of the innermost running layer that has one; empty outside of any.
    static const std::string& current() {
        static const std::string none;
        return top() ? *top() : none;
    }

 private:
    static std::atomic<const Listener*>& listening() {
        static constinit std::atomic<const Listener*> listener = nullptr;
        return listener;
    }
    static const std::string*& top() {
        thread_local const std::string* name = nullptr;
        return name;
    }
    const std::string* before_;
    const Listener* told_;
};

}  // namespace holon
