// What a program uses on the processor, compiled with HOLON_CUDA and without: every inline function that both have has to
// be the same, for a linker that finds sources of both kinds keeps one of them.
#include <holon/checkpoint/engines.hpp>
#include <holon/holon.hpp>
#include <holon/optim/captured_step.hpp>

using namespace holon;

namespace {
template <class D, class Run> float train(Run run) {
    PatchClassifier<float, D> net("resnet14", 2, 0.5, 1);
    auto adam = make_adam(net, {.rate = 1e-3});
    CapturedStep<PatchClassifier<float, D>, Tensor<float, D>> captured(net, {.say = [](const std::string&) {}});
    const Variable<float, D> x(zeros<float, D>({2, 32, 32, 3}));
    const std::vector<int> labels{0, 1};
    return run(captured.run(adam, std::tuple(x), [&] {
        const auto loss = cross_entropy(net(x, Mode::train), std::span<const int>(labels));
        loss.backward();
        adam.step(net);
        return loss.value();
    }));
}
}  // namespace

float on_cpu(Metadata& metadata) {
    add_engines(metadata, default_context<Cpu>());
    const Scope scope("outer");
    return train<Cpu>([](const Tensor<float, Cpu>& loss) { return loss.data()[0]; });
}
