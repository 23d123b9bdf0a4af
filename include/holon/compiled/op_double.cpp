// compiled/op_double.cpp: the ops of double on the CPU; part of the library holon::compiled.
#include <holon/compiled/op.hpp>

namespace holon::op {
HOLON_INSTANCES_OF_OPS(template, double, Cpu)
HOLON_INSTANCES_OF_ACCUMULATOR_OPS(template, double, Cpu)
}  // namespace holon::op
