// expects: freeze
#include <holon/layer/freeze.hpp>
#include <holon/layer/linear.hpp>

void f(holon::Linear<float, holon::Cpu>& layer) { holon::freeze(layer, ""); }  // what becomes of statistics has to be said
