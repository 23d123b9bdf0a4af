// core/error.hpp: a refusal is a sentence with the facts: the rule, both values, the place, and what to do.
#pragma once
#include <initializer_list>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>

#include <holon/core/compiler.hpp>
#ifdef HOLON_INLINE
#include <sstream>
#endif

namespace holon {

namespace detail {
/// A value and how it is printed. Sentences are joined from these by one function, whatever they are made of: one for
/// each combination of types would be a good part of what a program has to compile.
class Piece {
 public:
    template <class T>
    Piece(const T& value)
        : value_(reinterpret_cast<const void*>(&value)),  // a manipulator is a function
          print_(print<T>) {}
    Piece(const char* literal) : value_(literal), print_(print_literal) {}
    friend std::ostream& operator<<(std::ostream& out, const Piece& piece) {
        piece.print_(out, piece.value_);
        return out;
    }

 private:
    template <class T> static void print(std::ostream& out, const void* at) {
        out << *reinterpret_cast<const T*>(const_cast<void*>(at));  // functions are never const: clang insists
    }
    static void print_literal(std::ostream& out, const void* at) { out << static_cast<const char*>(at); }

    const void* value_;
    void (*print_)(std::ostream&, const void*);
};

std::string joined(std::initializer_list<Piece> pieces);
#ifdef HOLON_INLINE
[[gnu::noinline]] HOLON_INLINE std::string joined(std::initializer_list<Piece> pieces) {
    std::ostringstream out;
    for (const Piece& piece : pieces) out << piece;
    return out.str();
}
#endif
}  // namespace detail

/// Joins the pieces by `operator<<`.
template <class... Pieces> std::string text(const Pieces&... pieces) { return detail::joined({pieces...}); }

/// Root of everything this library throws. `what()` is one sentence, followed by the layer that was running, if any.
class Error : public std::exception {
 public:
    explicit Error(std::string sentence) : sentence_(std::move(sentence)) {}
    const char* what() const noexcept override { return sentence_.c_str(); }

    /// Appends `in <layer>` once: the innermost layer knows best, the ones around it add nothing.
    void within(std::string_view layer) {
        if (placed_ || layer.empty()) return;
        placed_ = true;
        sentence_.append("\n  in ").append(layer);
    }

 private:
    std::string sentence_;
    bool placed_ = false;
};

/// Shapes, options or names that do not fit together: a mistake in the calling program.
struct ShapeError : Error {
    using Error::Error;
    static constexpr bool names_source = true;
};
/// A file, an image, a table or a command line that cannot be used as it is.
struct DataError : Error {
    using Error::Error;
    static constexpr bool names_source = false;
};
/// A device, driver or backend library that is missing, too old, or refused a call.
struct DeviceError : Error {
    using Error::Error;
    static constexpr bool names_source = false;
};
/// An allocation past the limit; the sentence has the bytes asked for, in use, and allowed.
struct OutOfMemory : Error {
    using Error::Error;
    static constexpr bool names_source = false;
};
/// A value that is not finite where training needs one.
struct NumericError : Error {
    using Error::Error;
    static constexpr bool names_source = false;
};

/// A condition and where it was written. Not `std::source_location`: clang 14 lacks it with this standard library.
struct Holds {
    bool value;
    const char* file;
    int line;
    constexpr Holds(bool holds, const char* f = __builtin_FILE(), int l = __builtin_LINE())
        : value(holds), file(f), line(l) {}
};

namespace detail {
template <class E>
[[noreturn, gnu::cold, gnu::noinline]] void fail(const Holds& at, std::initializer_list<Piece> pieces) {
    std::string sentence = joined(pieces);
    if constexpr (E::names_source) {
        std::string_view file(at.file);
        if (auto root = file.rfind("holon/"); root != file.npos) file.remove_prefix(root + 6);
        sentence += text(" [", file, ':', at.line, ']');
    }
    throw E(std::move(sentence));
}
#ifdef HOLON_COMPILED
extern template void fail<ShapeError>(const Holds&, std::initializer_list<Piece>);
extern template void fail<DataError>(const Holds&, std::initializer_list<Piece>);
#endif
}  // namespace detail

/// Throws `E` with the joined pieces unless the condition holds.
template <class E = ShapeError, class... Pieces> void expects(Holds condition, const Pieces&... pieces) {
    if (!condition.value) [[unlikely]]
        detail::fail<E>(condition, {pieces...});
}

}  // namespace holon
