#include "scorer.hpp"

float score(const holon::Tensor<float, holon::Cpu>& x) {
    float sum = 0;
    for (const float v : x.elements()) sum += v;
    return sum;
}
