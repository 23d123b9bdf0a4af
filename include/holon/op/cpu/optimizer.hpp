// op/cpu/optimizer.hpp: one pass over value, gradient and moments.
#pragma once
#include <cmath>
#include <span>

#include <holon/op/cpu/loop.hpp>
#include <holon/op/types.hpp>

namespace holon::op {

/// One Adam step for every operand; the formula stands at `AdamStep`.
template <Element A>
void adam(Context<Cpu>&, std::span<const AdamOperand<A, Cpu>> operands, const AdamStep& o) {
    expects_step(o);
    const A b1 = A(o.beta1), b2 = A(o.beta2), rest1 = A(1 - o.beta1), rest2 = A(1 - o.beta2), epsilon = A(o.epsilon),
            unscale = A(o.gradient_scale);
    const double corrected1 = 1 - std::pow(o.beta1, double(o.step));
    const A root = A(1 / std::sqrt(1 - std::pow(o.beta2, double(o.step))));
    for (const auto& p : operands) {
        expects_operand(p);
        const A* g = p.gradient->data();
        A *w = p.value->data(), *m = p.first->data(), *v = p.second->data();
        const A rate = A(p.rate / corrected1), coupled = A(p.coupled), shrink = A(1 - p.rate * p.decoupled);
        cpu::each(p.value->size(), [=](std::int64_t i) {
            const A slope = unscale * g[i] + coupled * w[i];
            const A first = b1 * m[i] + rest1 * slope, second = b2 * v[i] + rest2 * slope * slope;
            m[i] = first;
            v[i] = second;
            w[i] = shrink * w[i] - rate * first / (std::sqrt(second) * root + epsilon);
        });
    }
}

/// One step of descent with momentum for every operand; the formula stands at `SgdStep`.
template <Element A>
void sgd(Context<Cpu>&, std::span<const SgdOperand<A, Cpu>> operands, const SgdStep& o) {
    const A momentum = A(o.momentum), unscale = A(o.gradient_scale);
    for (const auto& p : operands) {
        expects_operand(p, o.momentum);
        const A* g = p.gradient->data();
        A *w = p.value->data(), *v = p.velocity ? p.velocity->data() : nullptr;
        const A rate = A(p.rate), coupled = A(p.coupled), shrink = A(1 - p.rate * p.decoupled);
        const bool ahead = o.nesterov;
        if (!v) {
            cpu::each(p.value->size(),
                      [=](std::int64_t i) { w[i] = shrink * w[i] - rate * (unscale * g[i] + coupled * w[i]); });
            continue;
        }
        cpu::each(p.value->size(), [=](std::int64_t i) {
            const A slope = unscale * g[i] + coupled * w[i];
            const A velocity = momentum * v[i] + slope;
            v[i] = velocity;
            w[i] = shrink * w[i] - rate * (ahead ? slope + momentum * velocity : velocity);
        });
    }
}

}  // namespace holon::op
