// op/gpu/optimizer.hpp: all parameters of a network stepped by one launch; norms and the search for what is not finite.
#pragma once
#include <algorithm>
#include <cmath>

#include <holon/op/gpu/narrow.hpp>
#include <holon/op/gpu/queue.hpp>
#include <holon/op/step.hpp>

namespace holon::op {

namespace gpu_detail {

/// Counts the chunks of all parameters, and in each those before it.
inline std::int64_t number_chunks(std::vector<gpu::StepParameter>& parameters) {
    std::int64_t chunks = 0;
    for (auto& p : parameters) {
        p.first_chunk = chunks;
        chunks += (p.count + gpu::step_chunk - 1) / gpu::step_chunk;
    }
    expects(chunks <= 0x7fffffff, "optimizer: ", chunks, " chunks of ", gpu::step_chunk, " parameters are too many");
    return chunks;
}

/// The table of parameters on the card. It is sent again only when it changes: in a training loop, that is at its first
/// step and whenever rates change.
class StepTable {
 public:
    const gpu::StepParameter* fill(Context<Gpu>& context, std::vector<gpu::StepParameter> parameters) {
        const std::size_t bytes = parameters.size() * sizeof(gpu::StepParameter);
        if (parameters.size() != sent_.size() || std::memcmp(parameters.data(), sent_.data(), bytes) != 0) {
            table_ = on_card(context, std::span<const gpu::StepParameter>(parameters));
            sent_ = std::move(parameters);
        }
        return as<gpu::StepParameter>(std::as_const(table_));
    }

 private:
    std::vector<gpu::StepParameter> sent_;
    Bytes table_;
};

/// All bytes of the struct count when tables are compared, so none may be left to chance.
inline gpu::StepParameter blank_parameter() {
    gpu::StepParameter p;
    std::memset(static_cast<void*>(&p), 0, sizeof p);
    return p;
}

/// Addresses and sizes of a parameter; its rates come when the step is taken. A copy in 16 bits that is as new as the value
/// is written with it, and stays so.
template <class Operand> gpu::StepParameter step_parameter(const Operand& o) {
    gpu::StepParameter p = blank_parameter();
    Storage<Gpu>& storage = *o.value->storage();
    const auto [copy, type] = storage.copy();
    p.gradient = o.gradient->data();
    p.value = o.value->data();
    p.count = o.value->size();
    if (copy) {
        p.copy = copy->data();
        const CopyType how = CopyType::of(type);
        p.copy_type = how.element;
        if (how.padded) p.channels = int(o.value->shape().c), p.padded = how.padded;
        storage.copy_written();
    }
    return p;
}
inline gpu::AdamNumbers numbers_of(const AdamStep& o) {
    expects_step(o);
    return {float(o.beta1),
            float(1 - o.beta1),
            float(o.beta2),
            float(1 - o.beta2),
            float(1 / (1 - std::pow(o.beta1, double(o.step)))),
            float(1 / std::sqrt(1 - std::pow(o.beta2, double(o.step)))),
            float(o.epsilon),
            float(o.gradient_scale)};
}
inline gpu::SgdNumbers numbers_of(const SgdStep& o) { return {float(o.momentum), float(o.gradient_scale), o.nesterov}; }

/// Numbers and table of a step, on the card.
template <class Numbers> struct StepOnCard {
    Bytes numbers;
    const gpu::StepParameter* table;
    std::int64_t chunks;
};

/// Asks `now` for rates and numbers and puts them, with the table, on the card. In a step that is recorded both are
/// asked for and sent before every launch; else the table is sent when it has changed.
template <class Now>
auto step_on_card(Context<Gpu>& context, std::vector<gpu::StepParameter> parameters, const Now& now) {
    using Numbers = decltype(numbers_of(now({})));
    const auto ask = [now](std::vector<gpu::StepParameter>& to) {
        std::vector<Rates> rates(to.size());
        const Numbers numbers = numbers_of(now(rates));
        for (std::size_t i = 0; i < to.size(); ++i) {
            to[i].rate = float(rates[i].rate);
            to[i].coupled = float(rates[i].coupled);
            to[i].shrink = float(1 - rates[i].rate * rates[i].decoupled);
        }
        return numbers;
    };
    StepOnCard<Numbers> out;
    out.chunks = number_chunks(parameters);
    constexpr std::size_t head =
        (sizeof(Numbers) + alignof(gpu::StepParameter) - 1) / alignof(gpu::StepParameter) * alignof(gpu::StepParameter);
    const std::size_t bytes = head + parameters.size() * sizeof(gpu::StepParameter);
    const auto fill = [ask, rows = parameters](void* to) mutable {
        const Numbers numbers = ask(rows);
        std::memcpy(to, &numbers, sizeof numbers);
        std::memcpy(static_cast<char*>(to) + head, rows.data(), rows.size() * sizeof(gpu::StepParameter));
    };
    if (void* const place = context.provide(bytes, fill)) {
        out.numbers = Bytes::over(static_cast<std::uint8_t*>(place), vector_shape(std::int64_t(bytes)), {}, context);
        out.table = reinterpret_cast<const gpu::StepParameter*>(static_cast<const char*>(place) + head);
        return out;
    }
    const Numbers numbers = ask(parameters);
    return context.outside_rehearsal([&] {
        out.table = context.state<StepTable>().fill(context, std::move(parameters));
        out.numbers = on_card(context, std::span<const Numbers>(&numbers, 1));
        return out;
    });
}

}  // namespace gpu_detail

inline void adam(Context<Gpu>& context, const std::vector<AdamOperand<float, Gpu>>& operands, const AdamNow& now,
                 const Tensor<float, Gpu>* scale) {
    std::vector<gpu::StepParameter> parameters;
    for (const auto& operand : operands) {
        expects_operand(operand);
        parameters.push_back(gpu_detail::step_parameter(operand));
        parameters.back().first = operand.first->data();
        parameters.back().second = operand.second->data();
    }
    const auto step = gpu_detail::step_on_card(context, std::move(parameters), now);
    gpu::adam(gpu_detail::queue(context), step.table, int(operands.size()), step.chunks,
              gpu_detail::as<gpu::AdamNumbers>(step.numbers), scale ? scale->data() : nullptr);
}
inline void sgd(Context<Gpu>& context, const std::vector<SgdOperand<float, Gpu>>& operands, const SgdNow& now,
                const Tensor<float, Gpu>* scale) {
    std::vector<gpu::StepParameter> parameters;
    for (const auto& operand : operands) {
        expects_operand(operand, 0);
        parameters.push_back(gpu_detail::step_parameter(operand));
        if (operand.velocity) parameters.back().first = operand.velocity->data();
    }
    const bool all_have = std::all_of(operands.begin(), operands.end(), [](const auto& o) { return o.velocity; });
    const SgdNow checked = [now, all_have](std::span<Rates> rates) {
        const SgdStep step = now(rates);
        expects(all_have || step.momentum == 0, "sgd: momentum ", step.momentum, " needs a velocity");
        return step;
    };
    const auto step = gpu_detail::step_on_card(context, std::move(parameters), checked);
    gpu::sgd(gpu_detail::queue(context), step.table, int(operands.size()), step.chunks,
             gpu_detail::as<gpu::SgdNumbers>(step.numbers), scale ? scale->data() : nullptr);
}

namespace gpu_detail {
/// `now` for operands that carry their rates themselves.
template <class Operand, class Step> auto as_said(std::span<const Operand> operands, const Step& step) {
    std::vector<Rates> said;
    for (const Operand& o : operands) said.push_back({o.rate, o.coupled, o.decoupled});
    return [said, step](std::span<Rates> rates) {
        std::copy(said.begin(), said.begin() + std::ptrdiff_t(rates.size()), rates.begin());
        return step;
    };
}
}  // namespace gpu_detail

inline void adam(Context<Gpu>& context, std::span<const AdamOperand<float, Gpu>> operands, const AdamStep& o) {
    expects_step(o);
    adam(context, {operands.begin(), operands.end()}, gpu_detail::as_said(operands, o), nullptr);
}
inline void sgd(Context<Gpu>& context, std::span<const SgdOperand<float, Gpu>> operands, const SgdStep& o) {
    sgd(context, {operands.begin(), operands.end()}, gpu_detail::as_said(operands, o), nullptr);
}

/// Waits for the card.
template <Element T> double squared_norm(Context<Gpu>& context, const Tensor<T, Gpu>& x) {
    if (x.size() == 0) return 0;
    gpu_detail::Bytes scratch(vector_shape(gpu::norm_scratch * std::int64_t(sizeof(double))), context);
    double* const sums = gpu_detail::as<double>(scratch);
    gpu::squared_norm(gpu_detail::queue(context), x.size(), x.data(), sums);
    double sum = 0;
    context.download(&sum, sums, sizeof sum);
    return sum;
}

namespace gpu_detail {
/// The sum of squares over all tensors as a double on the card, by two launches.
inline Bytes squares_on_card(Context<Gpu>& context, std::span<const Tensor<float, Gpu>* const> all) {
    std::vector<gpu::NormPart> parts;
    for (const auto* x : all)
        if (x->size()) parts.push_back({x->data(), x->size(), 0});
    std::int64_t chunks = 0;
    for (auto& part : parts) {
        part.first_chunk = chunks;
        chunks += (part.count + gpu::norm_chunk - 1) / gpu::norm_chunk;
    }
    expects(chunks <= 0x7fffffff, "squared_norm: ", chunks, " chunks of ", gpu::norm_chunk, " elements are too many");
    const std::size_t bytes = parts.size() * sizeof(gpu::NormPart);
    const auto table = provided<std::uint8_t, Gpu>(
        vector_shape(std::int64_t(bytes)),
        [parts, bytes](std::span<std::uint8_t> to) {
            if (bytes) std::memcpy(to.data(), parts.data(), bytes);
        },
        context);
    Bytes sums(vector_shape((1 + chunks) * std::int64_t(sizeof(double))), context);
    gpu::squared_norm(queue(context), as<gpu::NormPart>(table), int(parts.size()), chunks, as<double>(sums));
    return sums;
}
}  // namespace gpu_detail

/// The sum over all tensors; waits for the card once.
inline double squared_norm(Context<Gpu>& context, std::span<const Tensor<float, Gpu>* const> all) {
    const auto sums = gpu_detail::squares_on_card(context, all);
    double sum = 0;
    context.download(&sum, sums.data(), sizeof sum);
    return sum;
}

inline Tensor<float, Gpu> step_scale(Context<Gpu>& context, std::span<const Tensor<float, Gpu>* const> gradients,
                                     const Tensor<float, Gpu>* loss, const LimitNow& now) {
    const auto limit = provided<std::uint8_t, Gpu>(
        vector_shape(sizeof(gpu::StepLimit)),
        [now](std::span<std::uint8_t> to) {
            const StepLimit said = now();
            const gpu::StepLimit bytes{said.unscale, said.clip};
            std::memcpy(to.data(), &bytes, sizeof bytes);
        },
        context);
    const auto squares = gradients.empty() ? gpu_detail::Bytes() : gpu_detail::squares_on_card(context, gradients);
    Tensor<float, Gpu> out({1, 1, 1, 3}, context);
    gpu::step_scale(gpu_detail::queue(context), squares ? gpu_detail::as<double>(squares) : nullptr,
                    loss ? loss->data() : nullptr, gpu_detail::as<gpu::StepLimit>(limit), out.data());
    return out;
}

/// Waits for the card.
template <Element T> bool all_finite(Context<Gpu>& context, const Tensor<T, Gpu>& x) {
    if (x.size() == 0) return true;
    gpu_detail::Bytes flag(vector_shape(sizeof(int)), context);
    int* const bad = gpu_detail::as<int>(flag);
    context.clear(bad, sizeof(int));
    gpu::find_not_finite(gpu_detail::queue(context), x.size(), x.data(), bad);
    int found = 0;
    context.download(&found, bad, sizeof found);
    return found == 0;
}

}  // namespace holon::op
