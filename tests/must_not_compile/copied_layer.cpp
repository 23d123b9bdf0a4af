// expects: deleted
#include <holon/layer/linear.hpp>

void copy(holon::Linear<float, holon::Cpu>& layer) { auto two = layer; }  // two layers would share one parameter
