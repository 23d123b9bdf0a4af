// core/function.hpp: something to call later, whatever it is made of.
#pragma once
#include <concepts>
#include <type_traits>
#include <utility>

namespace holon {

template <class Signature> class Function;

/// As `std::function`, but it moves and does not copy: what it holds need not be copyable, and each kind of closure
/// takes a fraction of the time to compile.
template <class R, class... A> class Function<R(A...)> {
 public:
    Function() = default;
    template <class F>
        requires(!std::same_as<std::remove_cvref_t<F>, Function>) &&
                std::is_invocable_r_v<R, std::remove_cvref_t<F>&, A...>
    Function(F&& callee) : held_(new Held<std::remove_cvref_t<F>>(std::forward<F>(callee))) {}
    Function(Function&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
    Function& operator=(Function&& other) noexcept {
        std::swap(held_, other.held_);
        return *this;
    }
    ~Function() {
        if (held_) held_->drop(held_);
    }

    explicit operator bool() const { return held_ != nullptr; }
    R operator()(A... arguments) const { return held_->call(held_, std::forward<A>(arguments)...); }

 private:
    struct Base {
        R (*call)(Base*, A&&...);
        void (*drop)(Base*);
    };
    template <class F> struct Held : Base {
        template <class From> explicit Held(From&& from) : Base{call_it, drop_it}, callee(std::forward<From>(from)) {}
        static R call_it(Base* self, A&&... arguments) {
            return static_cast<R>(static_cast<Held*>(self)->callee(std::forward<A>(arguments)...));
        }
        static void drop_it(Base* self) { delete static_cast<Held*>(self); }
        F callee;
    };
    Base* held_ = nullptr;
};

}  // namespace holon
