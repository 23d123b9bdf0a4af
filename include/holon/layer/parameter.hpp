// layer/parameter.hpp: what a layer learns, and what it only measures.
#pragma once
#include <string>

#include <holon/graph/variable.hpp>

namespace holon {

/// How a tensor stands in files, which use PyTorch's layouts.
enum class Role {
    filter,  ///< k, r, s, c here; k, c, r, s on disk
    matrix,  ///< out, 1, 1, in here; out, in on disk
    vector,  ///< 1, 1, 1, c here; c on disk
};

/// A learned tensor of A = float or double. Moves, does not copy, so that no two layers share one by accident.
template <class A, Device D>
class Parameter {
 public:
    Parameter(Role role, Shape shape, Context<D>& context = default_context<D>());
    Parameter(Parameter&&) noexcept = default;
    Parameter& operator=(Parameter&&) noexcept = default;

    Role role() const { return role_; }
    const Shape& shape() const { return leaf_.shape(); }
    const Tensor<A, D>& value() const { return leaf_.value(); }
    /// For loading and stepping; shares the storage that the graph sees.
    Tensor<A, D>& writable() { return leaf_.writable(); }
    const Tensor<A, D>& gradient() const { return leaf_.gradient(); }
    void clear_gradient() { leaf_.clear_gradient(); }
    void set_gradient(Tensor<A, D> gradient) { leaf_.set_gradient(std::move(gradient)); }
    /// The gradient for scaling in place (clipping, averaging).
    Tensor<A, D> writable_gradient() { return leaf_.gradient(); }

    bool frozen() const { return frozen_; }
    void set_frozen(bool frozen) {
        frozen_ = frozen;
        if (frozen) clear_gradient();
    }

    /// What ops take: with history unless frozen.
    Variable<A, D> variable() const { return frozen_ ? leaf_.detach() : leaf_; }
    operator Variable<A, D>() const { return variable(); }

    /// True for kernels of layers made anew (not of a pretrained trunk): weight decay is for them alone.
    bool decays = false;

 private:
    static Tensor<A, D> zeros_that_last(Shape shape, Context<D>& context) {
        const Lasting lasting;
        return zeros<A, D>(shape, context);
    }

    Role role_;
    Variable<A, D> leaf_;
    bool frozen_ = false;
};

template <class A, Device D>
Parameter<A, D>::Parameter(Role role, Shape shape, Context<D>& context)
    : role_(role), leaf_(Variable<A, D>::leaf(zeros_that_last(shape, context))) {}

/// A tensor that travels with the layer but is measured, not learned: running statistics.
template <class A, Device D>
class State {
 public:
    State(Shape shape, A value, Context<D>& context = default_context<D>())
        : value_(full<A, D>(shape, value, context)) {}
    State(State&&) noexcept = default;
    State& operator=(State&&) noexcept = default;

    const Shape& shape() const { return value_.shape(); }
    const Tensor<A, D>& value() const { return value_; }
    Tensor<A, D>& writable() { return value_; }

 private:
    Tensor<A, D> value_;
};

}  // namespace holon
