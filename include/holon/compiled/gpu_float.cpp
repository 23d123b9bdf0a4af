// compiled/gpu_float.cpp: ops, graph, layers, networks and optimizers of float on Gpu; part of the library holon::compiled.
#include <holon/compiled/model.hpp>

namespace holon::op {
HOLON_INSTANCES_OF_OPS(template, float, Gpu)
}  // namespace holon::op

namespace holon {
HOLON_INSTANCES_OF_GRAPH(template, float, Gpu)
HOLON_INSTANCES_OF_DROPOUT(template, float, Gpu, op::CardMask)
HOLON_INSTANCES_OF_LOSSES(template, float, Gpu)
HOLON_INSTANCES_OF_MODELS(template, float, Gpu)
HOLON_INSTANCES_OF_PARAMETERS(template, float, Gpu)
}  // namespace holon
