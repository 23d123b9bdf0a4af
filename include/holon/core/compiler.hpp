// core/compiler.hpp: where functions are compiled, and what a compiler is known to translate wrongly.
#pragma once

// The larger functions that are no templates are defined under `#ifdef HOLON_INLINE`: inline where a program includes the
// headers alone; in one source of the library holon::compiled (functions.cpp), where HOLON_INLINE is empty; and neither in its
// other sources (HOLON_DECLARED) nor in programs that link it (HOLON_COMPILED), which see declarations.
#if !defined(HOLON_COMPILED) && !defined(HOLON_DECLARED) && !defined(HOLON_INLINE)
#define HOLON_INLINE inline
#endif

// g++ 12 for AVX-512 moves a constant of 32 or 64 bytes as one broadcast of its first 64-bit number if all of them but
// zeros at the end are equal, and loses the zeros: f(Shape{1, 1, 1, 0}) is called with 1, 1, 1, 1. It does not where it may
// move 16 bytes at a time. That cannot be seen from here; HOLON_NARROW_MOVES says that it was asked for.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ == 12 && defined(__AVX512F__) && defined(__OPTIMIZE__) && \
    !defined(HOLON_NARROW_MOVES)
#error "g++ 12 passes constants like Shape{1, 1, 1, 0} wrongly when it optimises for AVX-512: compile everything with \
-mmove-max=128 -mstore-max=128 -DHOLON_NARROW_MOVES, which the CMake target holon::holon does, or for a lesser -march"
#endif
