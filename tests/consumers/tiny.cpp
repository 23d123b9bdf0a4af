// A program that needs the headers and oneDNN, and is compiled in a second.
#include <holon/core/random.hpp>
#include <holon/tensor/tensor.hpp>

#include <dnnl.h>

int main() {
    holon::Tensor<float, holon::Cpu> x({1, 2, 2, 3});
    return x.shape().size() == 12 && holon::Random(1).below(10) < 10 && dnnl_version()->major >= 2 ? 0 : 1;
}
