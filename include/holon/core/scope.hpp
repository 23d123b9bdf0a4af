// core/scope.hpp: which layer is running on this thread, so that errors, profiles and NaN hunts can name it.
#pragma once
#include <string>

#ifdef HOLON_CUDA
#include <nvtx3/nvToolsExt.h>
#endif

namespace holon {

/// While it lives, `Scope::current()` is `name`. The name must outlive the scope (a layer's own dotted name does). In a
/// build for the GPU it is also a range on the time line of NVIDIA's profilers.
class Scope {
 public:
    explicit Scope(const std::string& name) : before_(top()) {
        if (!name.empty()) top() = &name;  // a layer without a name is its owner's
#ifdef HOLON_CUDA
        nvtxRangePushA(name.c_str());
#endif
    }
    ~Scope() {
        top() = before_;
#ifdef HOLON_CUDA
        nvtxRangePop();
#endif
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

    /// The dotted name of the innermost running layer that has one; empty outside of any.
    static const std::string& current() {
        static const std::string none;
        return top() ? *top() : none;
    }

 private:
    static const std::string*& top() {
        thread_local const std::string* name = nullptr;
        return name;
    }
    const std::string* before_;
};

}  // namespace holon
