// compiled/plan_float16.cpp: ops, graph, layers, networks and optimizers of float16 on Plan; part of the library holon::compiled.
#include <holon/compiled/model.hpp>

namespace holon::op {
HOLON_INSTANCES_OF_OPS(template, float16, Plan)
HOLON_INSTANCES_OF_CONVERT(template, float, float16, Plan)
}  // namespace holon::op

namespace holon {
HOLON_INSTANCES_OF_GRAPH(template, float16, Plan)
HOLON_INSTANCES_OF_GRAPH_CONVERT(template, float, float16, Plan)
HOLON_INSTANCES_OF_MODELS(template, float16, Plan)
}  // namespace holon
