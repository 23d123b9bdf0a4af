// compiled/plan_float.cpp: ops, graph, layers, networks and optimizers of float on Plan; part of the library holon::compiled.
#include <holon/compiled/model.hpp>

namespace holon::op {
HOLON_INSTANCES_OF_OPS(template, float, Plan)
HOLON_INSTANCES_OF_ACCUMULATOR_OPS(template, float, Plan)
}  // namespace holon::op

namespace holon {
HOLON_INSTANCES_OF_GRAPH(template, float, Plan)
HOLON_INSTANCES_OF_DROPOUT(template, float, Plan, op::DropoutMask)
HOLON_INSTANCES_OF_LOSSES(template, float, Plan)
HOLON_INSTANCES_OF_MODELS(template, float, Plan)
HOLON_INSTANCES_OF_PARAMETERS(template, float, Plan)
}  // namespace holon
