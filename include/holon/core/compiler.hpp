// core/compiler.hpp: refuses what a compiler is known to translate wrongly.
#pragma once

// g++ 12 for AVX-512 moves a constant of 32 or 64 bytes as one broadcast of its first 64-bit number if all of them but
// zeros at the end are equal, and loses the zeros: f(Shape{1, 1, 1, 0}) is called with 1, 1, 1, 1. It does not where it may
// move 16 bytes at a time. That cannot be seen from here; HOLON_NARROW_MOVES says that it was asked for.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ == 12 && defined(__AVX512F__) && defined(__OPTIMIZE__) && \
    !defined(HOLON_NARROW_MOVES)
#error "g++ 12 passes constants like Shape{1, 1, 1, 0} wrongly when it optimises for AVX-512: compile everything with \
-mmove-max=128 -mstore-max=128 -DHOLON_NARROW_MOVES, which the CMake target holon::holon does, or for a lesser -march"
#endif
