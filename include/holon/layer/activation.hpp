// layer/activation.hpp: layers without parameters that act on each position by itself.
#pragma once
#include <holon/graph/elementwise.hpp>
#include <holon/graph/softmax.hpp>
#include <holon/layer/init.hpp>
#include <holon/layer/layer.hpp>

namespace holon {

/// max(x, 0).
template <Element T, Device D>
struct Relu : Named {
    Variable<T, D> operator()(const Variable<T, D>& x, Mode);
    void members(auto&) {}
};

template <Element T, Device D> Variable<T, D> Relu<T, D>::operator()(const Variable<T, D>& x, Mode) {
    return within(name, [&] { return holon::relu(x); });
}

/// Shares over the channels of each position.
template <Element T, Device D>
struct Softmax : Named {
    Variable<T, D> operator()(const Variable<T, D>& x, Mode);
    void members(auto&) {}
};

template <Element T, Device D> Variable<T, D> Softmax<T, D>::operator()(const Variable<T, D>& x, Mode) {
    return within(name, [&] { return holon::softmax(x); });
}

/// In `Mode::train` drops each element with probability `rate`, from its own counter; otherwise does nothing. In a step
/// that is recorded the layer must stay where it is as long as the recording.
template <Element T, Device D>
struct Dropout : Named {
    Dropout(double rate_, std::uint64_t seed, std::uint64_t stream) : rate(rate_), random(seed, stream) {
        expects(rate_ >= 0 && rate_ < 1, "dropout: rate ", rate_, " is not in [0, 1)");
    }
    Variable<T, D> operator()(const Variable<T, D>& x, Mode mode);
    void members(auto& visit) { visit("random", random); }

    double rate;
    Random random;
};

template <Element T, Device D> Variable<T, D> Dropout<T, D>::operator()(const Variable<T, D>& x, Mode mode) {
    if (mode == Mode::evaluate || rate == 0) return x;
    const std::uint64_t blocks = std::uint64_t(x.value().size() + 3) / 4;
    const auto draw = [this, blocks] {
        return op::DropoutMask{rate, random.seed(), random.stream(), random.reserve(blocks)};
    };
    return within(name, [&] { return holon::dropout(x, op::dropout_mask(x.context(), draw)); });
}

}  // namespace holon
