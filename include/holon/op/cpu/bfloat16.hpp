// op/cpu/bfloat16.hpp: how bfloat16 is computed on this processor: by oneDNN, or in float, piece by piece.
#pragma once
#include <cstdint>
#include <string>

#include <holon/op/cpu/dnnl.hpp>
#include <holon/tensor/make.hpp>

namespace holon::op::cpu {

/// The instruction set that oneDNN uses, e.g. "avx2" (ONEDNN_MAX_CPU_ISA may hold it below the processor's), or ""
/// where oneDNN does not say.
inline std::string instruction_set() {
#if defined(__x86_64__)
    const int isa = dnnl_get_effective_cpu_isa();
    const auto has = [isa](int all) { return (isa & all) == all; };
    if (has(dnnl_cpu_isa_avx512_core_bf16)) return "avx512_core_bf16";
    if (has(dnnl_cpu_isa_avx512_core)) return "avx512_core";
    if (has(dnnl_cpu_isa_avx2)) return "avx2";
    if (has(dnnl_cpu_isa_avx)) return "avx";
    if (has(dnnl_cpu_isa_sse41)) return "sse41";
#endif
    return "";
}

/// Whether oneDNN has convolutions of bfloat16 here, in all three directions: with AVX-512 alone.
inline bool native_bfloat16() { return instruction_set().starts_with("avx512_core"); }

/// How a context computes bfloat16: kept as its state, to be changed before the first convolution or between two.
struct Bfloat16Means {
    bool widened = !native_bfloat16();
    /// Bytes of float images that a widened convolution has at a time. A row of its result and the rows that this one
    /// sees are computed at once even if they are more.
    std::int64_t piece_bytes = std::int64_t(4) << 20;
};

/// Whether numbers T are widened to float piece by piece for convolutions and matrix products.
template <Element T> bool widens(Context<Cpu>& context) {
    if constexpr (std::same_as<T, bfloat16>) return context.state<Bfloat16Means>().widened;
    return false;
}

/// For a run's header: "native (avx512_core_bf16)", or that it is widened, and why.
inline std::string bfloat16_means() {
    const std::string isa = instruction_set();
    if (native_bfloat16()) return "native (" + isa + ")";
    return "widened to float, this processor" + (isa.empty() ? "" : " (" + isa + ")") + " has no bf16 convolution";
}

}  // namespace holon::op::cpu
