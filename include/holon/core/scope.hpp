// core/scope.hpp: which layer is running on this thread, so that errors, profiles and NaN hunts can name it.
#pragma once
#include <string>

namespace holon {

/// While it lives, `Scope::current()` is `name`. The name must outlive the scope (a layer's own dotted name does).
class Scope {
 public:
    explicit Scope(const std::string& name) : before_(top()) { top() = &name; }
    ~Scope() { top() = before_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

    /// The dotted name of the innermost running layer; empty outside of any.
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
