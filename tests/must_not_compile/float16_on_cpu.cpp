// expects: constraint|Runs
#include <holon/tensor/tensor.hpp>

holon::Tensor<holon::float16, holon::Cpu> tensor;  // float16 lives on GPUs only
