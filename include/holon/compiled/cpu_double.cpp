// compiled/cpu_double.cpp: graph, layers, networks and optimizers of double on the CPU; part of the library holon::compiled.
#include <holon/compiled/model.hpp>

namespace holon {
HOLON_INSTANCES_OF_GRAPH(template, double, Cpu)
HOLON_INSTANCES_OF_DROPOUT(template, double, Cpu, op::DropoutMask)
HOLON_INSTANCES_OF_LOSSES(template, double, Cpu)
HOLON_INSTANCES_OF_MODELS(template, double, Cpu)
HOLON_INSTANCES_OF_PARAMETERS(template, double, Cpu)
}  // namespace holon
