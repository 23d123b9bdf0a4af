// A step on a card, from a source that knows nothing of CUDA. Without a card it says so, in the library's words.
#include <holon/holon.hpp>

#include <iostream>

int other(const std::string& path);

int main([[maybe_unused]] int argc, [[maybe_unused]] char** argv) {
    using namespace holon;
#ifdef WITH_PART
    holon::PatchClassifier<float, holon::Cpu> net("resnet14", 2, 0.0, 1);
    const std::string path = std::string(argv[0]) + ".safetensors";
    holon::save(path, net);
    if (other(path) != 0) return 1;
#endif
    try {
        gpu::choose_device(0);
        PatchClassifier<bfloat16, Gpu> net("resnet14", 2, 0.0, 1);
        auto adam = make_adam(net, {.rate = 1e-3});
        const auto grey = to_device<Gpu>(full<float>({2, 64, 64, 3}, 0.5f));
        const Variable<bfloat16, Gpu> x(op::convert<bfloat16>(grey.context(), grey));
        const auto loss = cross_entropy(net(x, Mode::train), std::span<const int>(std::array<int, 2>{0, 1}));
        loss.backward();
        adam.step(net);
        std::cout << "a step on " << grey.context().card().name << ", loss " << to_host(loss.value()).data()[0] << '\n';
    } catch (const DeviceError& error) {
        std::cout << error.what() << '\n';
    }
}
