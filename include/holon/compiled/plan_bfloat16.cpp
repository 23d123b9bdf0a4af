// compiled/plan_bfloat16.cpp: ops, graph, layers, networks and optimizers of bfloat16 on Plan; part of the library holon::compiled.
#include <holon/compiled/model.hpp>

namespace holon::op {
HOLON_INSTANCES_OF_OPS(template, bfloat16, Plan)
HOLON_INSTANCES_OF_CONVERT(template, float, bfloat16, Plan)
}  // namespace holon::op

namespace holon {
HOLON_INSTANCES_OF_GRAPH(template, bfloat16, Plan)
HOLON_INSTANCES_OF_GRAPH_CONVERT(template, float, bfloat16, Plan)
HOLON_INSTANCES_OF_MODELS(template, bfloat16, Plan)
}  // namespace holon
