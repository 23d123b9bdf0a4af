// compiled/gpu_float16.cpp: ops, graph, layers, networks and optimizers of float16 on Gpu; part of the library holon::compiled.
#include <holon/compiled/model.hpp>

namespace holon::op {
HOLON_INSTANCES_OF_OPS(template, float16, Gpu)
HOLON_INSTANCES_OF_CONVERT(template, float, float16, Gpu)
}  // namespace holon::op

namespace holon {
HOLON_INSTANCES_OF_GRAPH(template, float16, Gpu)
HOLON_INSTANCES_OF_GRAPH_CONVERT(template, float, float16, Gpu)
HOLON_INSTANCES_OF_MODELS(template, float16, Gpu)
}  // namespace holon
