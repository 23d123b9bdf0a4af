// expects: constraint|Runs
#include <holon/tensor/tensor.hpp>

holon::Tensor<holon::half, holon::Cpu> tensor;  // half lives on GPUs only
