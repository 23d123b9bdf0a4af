// model/plan_instances.hpp: the instances on `Plan` that the library holon::compiled holds; see op/instances.hpp.
#pragma once
#include <holon/model/instances.hpp>

namespace holon::op {
HOLON_INSTANCES_OF_OPS(extern template, float, Plan)
HOLON_INSTANCES_OF_OPS(extern template, bfloat16, Plan)
HOLON_INSTANCES_OF_OPS(extern template, float16, Plan)
HOLON_INSTANCES_OF_ACCUMULATOR_OPS(extern template, float, Plan)
HOLON_INSTANCES_OF_OPTIMIZER_OPS(extern template, float, Plan)
HOLON_INSTANCES_OF_CONVERT(extern template, bfloat16, Plan)
HOLON_INSTANCES_OF_CONVERT(extern template, float16, Plan)
}  // namespace holon::op

namespace holon {
HOLON_INSTANCES_OF_GRAPH(extern template, float, Plan)
HOLON_INSTANCES_OF_GRAPH(extern template, bfloat16, Plan)
HOLON_INSTANCES_OF_GRAPH(extern template, float16, Plan)
HOLON_INSTANCES_OF_LOSSES(extern template, float, Plan)
HOLON_INSTANCES_OF_GRAPH_CONVERT(extern template, bfloat16, Plan)
HOLON_INSTANCES_OF_GRAPH_CONVERT(extern template, float16, Plan)
HOLON_INSTANCES_OF_MODELS(extern template, float, Plan)
HOLON_INSTANCES_OF_MODELS(extern template, bfloat16, Plan)
HOLON_INSTANCES_OF_MODELS(extern template, float16, Plan)
HOLON_INSTANCES_OF_PARAMETERS(extern template, float, Plan)
}  // namespace holon
