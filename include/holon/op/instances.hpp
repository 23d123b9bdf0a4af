// op/instances.hpp: the ops that the library holon::compiled holds, so that programs which link it need not compile them.
#pragma once
#include <holon/op/list.hpp>
#include <holon/op/op.hpp>

/// Calls list(extern template, T, D) for the elements of images on the CPU and, with holon::compiled_cuda, on the GPU.
/// Those on `Plan`, which few programs use, are declared in model/plan_instances.hpp.
#define HOLON_FOR_ELEMENTS(list)                                                                              \
    list(extern template, float, Cpu) list(extern template, bfloat16, Cpu) list(extern template, double, Cpu) \
        HOLON_FOR_ELEMENTS_OF_GPU(list)
/// The same for the elements of parameters, statistics and logits; the GPU's are float alone.
#define HOLON_FOR_ACCUMULATORS(list) list(extern template, float, Cpu) list(extern template, double, Cpu)
/// The same for 16-bit elements.
#define HOLON_FOR_NARROW_ELEMENTS(list) list(extern template, bfloat16, Cpu) HOLON_FOR_NARROW_ELEMENTS_OF_GPU(list)
#ifdef HOLON_COMPILED_CUDA
#define HOLON_FOR_NARROW_ELEMENTS_OF_GPU(list) list(extern template, bfloat16, Gpu) list(extern template, float16, Gpu)
#define HOLON_FOR_ELEMENTS_OF_GPU(list) list(extern template, float, Gpu) HOLON_FOR_NARROW_ELEMENTS_OF_GPU(list)
#else
#define HOLON_FOR_NARROW_ELEMENTS_OF_GPU(list)
#define HOLON_FOR_ELEMENTS_OF_GPU(list)
#endif

namespace holon::op {
HOLON_FOR_ELEMENTS(HOLON_INSTANCES_OF_OPS)
HOLON_FOR_ACCUMULATORS(HOLON_INSTANCES_OF_ACCUMULATOR_OPS)
HOLON_FOR_ACCUMULATORS(HOLON_INSTANCES_OF_OPTIMIZER_OPS)
HOLON_FOR_NARROW_ELEMENTS(HOLON_INSTANCES_OF_CONVERT)
}  // namespace holon::op
