#pragma once
#include <holon/tensor/tensor.hpp>

/// The sum of a tensor's elements.
float score(const holon::Tensor<float, holon::Cpu>& x);
