// compiled/cpu_float.cpp: graph, layers, networks and optimizers of float on the CPU; part of the library holon::compiled.
#include <holon/compiled/model.hpp>

namespace holon {
HOLON_INSTANCES_OF_GRAPH(template, float, Cpu)
HOLON_INSTANCES_OF_DROPOUT(template, float, Cpu, op::DropoutMask)
HOLON_INSTANCES_OF_LOSSES(template, float, Cpu)
HOLON_INSTANCES_OF_MODELS(template, float, Cpu)
HOLON_INSTANCES_OF_PARAMETERS(template, float, Cpu)
}  // namespace holon
