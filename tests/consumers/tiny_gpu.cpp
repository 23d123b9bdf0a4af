// Uses a kernel's launcher and a library of CUDA's, so that both have to be linked. On a machine without a card it says so.
#include <holon/holon.hpp>

#include <iostream>

int main() {
    try {
        holon::gpu::choose_device(0);
        const auto x = holon::to_device<holon::Gpu>(holon::full<float>({1, 2, 2, 8}, 0.5f));
        const auto y = holon::op::convert<holon::bfloat16>(x.context(), x);
        std::cout << "ran on a card: " << holon::to_host(y).data()[0] << '\n';
    } catch (const holon::DeviceError& error) {
        std::cout << "no card: " << error.what() << '\n';
    }
}
