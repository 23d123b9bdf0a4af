// compiled/op_float.cpp: the ops of float on the CPU; part of the library holon::compiled.
#include <holon/compiled/op.hpp>

namespace holon::op {
HOLON_INSTANCES_OF_OPS(template, float, Cpu)
HOLON_INSTANCES_OF_ACCUMULATOR_OPS(template, float, Cpu)
}  // namespace holon::op
