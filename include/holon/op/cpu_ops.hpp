// op/cpu_ops.hpp: the CPU's ops: all of them or, where the library holon::compiled holds them, their declarations, so that
// programs need not read the ops, nor be compiled again when one changes.
#pragma once
#ifdef HOLON_COMPILED
#include <holon/op/list.hpp>

namespace holon::op {
HOLON_INSTANCES_OF_OPS(template <Element T>, T, Cpu)
HOLON_INSTANCES_OF_ACCUMULATOR_OPS(template <Element A>, A, Cpu)
template <Element To, Element From> Tensor<To, Cpu> convert(Context<Cpu>&, const Tensor<From, Cpu>&);
}  // namespace holon::op
#else
#include <holon/op/cpu/cpu.hpp>
#endif
