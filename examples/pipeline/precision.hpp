// pipeline/precision.hpp: one program, two element types.
#pragma once
#include <string>

#include <holon/core/element.hpp>
#include <holon/core/error.hpp>

namespace holon::pipeline {

/// Calls `body.operator()<T>()` with the element type that `--precision` names.
template <class F>
int with_precision(const std::string& precision, const F& body) {
    if (precision == "bf16") {
#if defined(__x86_64__)
        expects<DeviceError>(__builtin_cpu_supports("avx512bw"),
                             "--precision bf16: this processor has no AVX-512, which bfloat16 needs; use fp32");
#endif
        return body.template operator()<bfloat16>();
    }
    return body.template operator()<float>();
}

}  // namespace holon::pipeline
