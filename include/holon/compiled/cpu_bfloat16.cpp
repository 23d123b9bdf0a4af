// compiled/cpu_bfloat16.cpp: graph, layers, networks and optimizers of bfloat16 on the CPU; part of the library holon::compiled.
#include <holon/compiled/model.hpp>

namespace holon {
HOLON_INSTANCES_OF_GRAPH(template, bfloat16, Cpu)
HOLON_INSTANCES_OF_GRAPH_CONVERT(template, float, bfloat16, Cpu)
HOLON_INSTANCES_OF_MODELS(template, bfloat16, Cpu)
}  // namespace holon
