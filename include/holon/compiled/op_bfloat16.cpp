// compiled/op_bfloat16.cpp: the ops of bfloat16 on the CPU; part of the library holon::compiled.
#include <holon/compiled/op.hpp>

namespace holon::op {
HOLON_INSTANCES_OF_OPS(template, bfloat16, Cpu)
HOLON_INSTANCES_OF_CONVERT(template, float, bfloat16, Cpu)
}  // namespace holon::op
