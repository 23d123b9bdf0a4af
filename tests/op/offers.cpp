// Every device has every op: asked by the compiler, here and in test_op_gpu.
#include <holon/op/offers.hpp>
