// op/plan/on_cpu.hpp: what oneDNN takes for a convolution, so that a plan can be one of a step on the CPU.
#pragma once
#include <holon/op/cpu/conv2d.hpp>
#include <holon/op/plan/ledger.hpp>

namespace holon::op::plan {

/// oneDNN's choice for a direction of this convolution on `cpu`, and all that `op::conv2d*` there asks its memory for
/// besides operands and result: the scratchpad, the filter in oneDNN's layout, a gradient that is then added, images widened to float.
template <Element T>
Choice choice_on_cpu(Context<Cpu>& cpu, Direction direction, const Shape& x, const Conv2dOptions& o, bool add) {
    if constexpr (std::same_as<T, double>) {
        return {"plain loops", 0, Choice::Form{}, 0};
    } else {
        if constexpr (std::same_as<T, bfloat16>)
            if (cpu::widens<T>(cpu)) {
                const bool biased = o.bias && direction == Direction::forward;
                const auto w = cpu::prepare_widened(cpu, direction, x, o, biased, add);
                Choice choice{w.implementation(), std::size_t(w.scratch), Choice::Form{},
                              std::size_t(w.bytes() + w.other_forms())};
                if (!w.forms.empty()) choice.form = Choice::Form{w.forms[0]->filter.bytes(), w.forms[0]->number};
                return choice;
            }
        if (direction == Direction::to_filter && cpu::filter_by_product<T>(x, o)) {
            const std::int64_t positions = conv2d_shape(x, o).rows();
            const auto p = cpu::prepare_product<T>(cpu.state<cpu::Engine>(), true, false, o.out, o.in, positions);
            const std::size_t seen = positions == x.rows() ? 0 : std::size_t(positions * o.in) * sizeof(T),
                              share = add ? std::size_t(filter_shape(o).size()) * sizeof(Accumulate<T>) : 0;
            return {p->implementation, std::size_t(p->scratch), Choice::Form{}, seen + share};
        }
        if (direction == Direction::to_input && cpu::input_by_forward<T>(o, add)) {
            const auto p = cpu::prepare_input_by_forward<T>(cpu.state<cpu::Engine>(), x, o);
            return {p->implementation, std::size_t(p->scratch), Choice::Form{p->filter.bytes(), p->number}, 0};
        }
        const bool aside = direction == Direction::to_input && add;
        const Shape at_once{aside ? cpu::images_aside<T>(x) : x.n, x.h, x.w, x.c};
        const auto p = cpu::prepare_convolution<T>(cpu.state<cpu::Engine>(), direction, at_once, o,
                                                   o.bias && direction == Direction::forward);
        Choice choice{p->implementation, std::size_t(p->scratch), Choice::Form{}, 0};
        const std::size_t filter = p->filter.bytes();
        if (direction == Direction::to_filter)
            choice.aside = p->reorder || add ? filter : 0;
        else if (p->reorder)
            choice.form = Choice::Form{filter, p->number};
        if (aside) choice.aside = std::size_t(at_once.size()) * sizeof(T);
        return choice;
    }
}

/// From here on the ledger's convolutions run as they would on `cpu`, by oneDNN.
inline void choose_on_cpu(Ledger& ledger, Context<Cpu>& cpu) {
    ledger.on_gpu = false;
    ledger.choose = [&cpu](std::string_view type, Direction direction, const Shape& x, const Conv2dOptions& o,
                           bool add) {
        if (type == element_name<bfloat16>()) return choice_on_cpu<bfloat16>(cpu, direction, x, o, add);
        if (type == element_name<double>()) return choice_on_cpu<double>(cpu, direction, x, o, add);
        expects<DeviceError>(type == element_name<float>(), "plan: ", type, " does not run on the CPU");
        return choice_on_cpu<float>(cpu, direction, x, o, add);
    };
}

}  // namespace holon::op::plan
