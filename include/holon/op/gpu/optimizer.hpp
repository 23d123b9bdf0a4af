// op/gpu/optimizer.hpp: all parameters of a network stepped by one launch; norms and the search for what is not finite.
#pragma once
#include <cmath>

#include <holon/op/gpu/queue.hpp>

namespace holon::op {

namespace gpu_detail {

/// The table of parameters on the card. It is sent again only when it changes: in a training loop, that is at its first
/// step and whenever rates change.
class StepTable {
 public:
    /// `parameters`' first_chunk is filled in here.
    void fill(Context<Gpu>& context, std::vector<gpu::StepParameter> parameters) {
        chunks_ = 0;
        for (auto& p : parameters) {
            p.first_chunk = chunks_;
            chunks_ += (p.count + gpu::step_chunk - 1) / gpu::step_chunk;
        }
        expects(chunks_ <= 0x7fffffff, "optimizer: ", chunks_, " chunks of ", gpu::step_chunk,
                " parameters are too many");
        const std::size_t bytes = parameters.size() * sizeof(gpu::StepParameter);
        if (parameters.size() == sent_.size() && std::memcmp(parameters.data(), sent_.data(), bytes) == 0) return;
        table_ = on_card(context, std::span<const gpu::StepParameter>(parameters));
        sent_ = std::move(parameters);
    }
    const gpu::StepParameter* data() const { return as<gpu::StepParameter>(table_); }
    int count() const { return int(sent_.size()); }
    std::int64_t chunks() const { return chunks_; }

 private:
    std::vector<gpu::StepParameter> sent_;
    Bytes table_;
    std::int64_t chunks_ = 0;
};

/// All bytes of the struct count when tables are compared, so none may be left to chance.
inline gpu::StepParameter blank_parameter() {
    gpu::StepParameter p;
    std::memset(static_cast<void*>(&p), 0, sizeof p);
    return p;
}

template <class Operand> gpu::StepParameter step_parameter(const Operand& o) {
    gpu::StepParameter p = blank_parameter();
    p.gradient = o.gradient->data();
    p.value = o.value->data();
    p.count = o.value->size();
    p.rate = float(o.rate);
    p.coupled = float(o.coupled);
    p.shrink = float(1 - o.rate * o.decoupled);
    return p;
}

}  // namespace gpu_detail

inline void adam(Context<Gpu>& context, std::span<const AdamOperand<float, Gpu>> operands, const AdamStep& o) {
    expects_step(o);
    std::vector<gpu::StepParameter> parameters;
    for (const auto& operand : operands) {
        expects_operand(operand);
        parameters.push_back(gpu_detail::step_parameter(operand));
        parameters.back().first = operand.first->data();
        parameters.back().second = operand.second->data();
    }
    auto& table = context.state<gpu_detail::StepTable>();
    table.fill(context, std::move(parameters));
    const gpu::AdamNumbers numbers{float(o.beta1),
                                   float(1 - o.beta1),
                                   float(o.beta2),
                                   float(1 - o.beta2),
                                   float(1 / (1 - std::pow(o.beta1, double(o.step)))),
                                   float(1 / std::sqrt(1 - std::pow(o.beta2, double(o.step)))),
                                   float(o.epsilon),
                                   float(o.gradient_scale)};
    const auto on_card = gpu_detail::on_card(context, std::span<const gpu::AdamNumbers>(&numbers, 1));
    gpu::adam(gpu_detail::queue(context), table.data(), table.count(), table.chunks(),
              gpu_detail::as<gpu::AdamNumbers>(on_card));
}

inline void sgd(Context<Gpu>& context, std::span<const SgdOperand<float, Gpu>> operands, const SgdStep& o) {
    std::vector<gpu::StepParameter> parameters;
    for (const auto& operand : operands) {
        expects_operand(operand, o.momentum);
        parameters.push_back(gpu_detail::step_parameter(operand));
        if (operand.velocity) parameters.back().first = operand.velocity->data();
    }
    auto& table = context.state<gpu_detail::StepTable>();
    table.fill(context, std::move(parameters));
    gpu::sgd(gpu_detail::queue(context), table.data(), table.count(), table.chunks(), float(o.momentum), o.nesterov,
             float(o.gradient_scale));
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
/// The sum over all tensors; waits for the card once.
template <Element T> double squared_norm(Context<Gpu>& context, std::span<const Tensor<T, Gpu>* const> all) {
    gpu_detail::Bytes scratch(vector_shape(std::int64_t(all.size() * gpu::norm_scratch * sizeof(double))), context);
    double* const sums = gpu_detail::as<double>(scratch);
    context.clear(sums, std::size_t(scratch.size()));
    for (std::size_t i = 0; i < all.size(); ++i)
        if (all[i]->size())
            gpu::squared_norm(gpu_detail::queue(context), all[i]->size(), all[i]->data(), sums + i * gpu::norm_scratch);
    std::vector<double> host(all.size() * gpu::norm_scratch);
    context.download(host.data(), sums, host.size() * sizeof(double));
    double sum = 0;
    for (std::size_t i = 0; i < all.size(); ++i) sum += host[i * gpu::norm_scratch];
    return sum;
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
