// fake/numbers.hpp: arrays of the element types that cuBLAS and cuDNN name by enums, read and written as double.
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>

#include <holon/core/element.hpp>

namespace holon::fake {

enum class Format { float32, float16, bfloat16 };

inline std::int64_t bytes_of(Format format) { return format == Format::float32 ? 4 : 2; }

/// Calls `f` with a null pointer of the element type.
template <class F> auto with_type(Format format, const F& f) {
    switch (format) {
        case Format::float16:
            return f(static_cast<float16*>(nullptr));
        case Format::bfloat16:
            return f(static_cast<bfloat16*>(nullptr));
        default:
            return f(static_cast<float*>(nullptr));
    }
}

inline double load(Format format, const void* at, std::int64_t index) {
    return with_type(format, [&]<class T>(T*) { return double(float(static_cast<const T*>(at)[index])); });
}
inline void store(Format format, void* at, std::int64_t index, double value) {
    with_type(format, [&]<class T>(T*) { static_cast<T*>(at)[index] = T(float(value)); });
}

/// What a matrix unit keeps of a float: 10 bits of fraction, rounded to nearest.
inline double to_tf32(double value) {
    const auto bits = std::bit_cast<std::uint32_t>(float(value));
    if ((bits & 0x7f800000u) == 0x7f800000u) return value;
    return std::bit_cast<float>((bits + 0xfffu + ((bits >> 13) & 1u)) & ~0x1fffu);
}

/// What workspaces hold while and after they are used.
inline void scribble(void* workspace, std::size_t bytes) {
    if (bytes) std::memset(workspace, 0xa5, bytes);
}

}  // namespace holon::fake
