// graph/variable.hpp: a tensor that remembers where it came from, if anyone will want its gradient.
#pragma once
#include <initializer_list>
#include <memory>
#include <optional>
#include <utility>

#include <holon/graph/node.hpp>
#include <holon/graph/policy.hpp>
#include <holon/tensor/make.hpp>

namespace holon {

/// How dear it is to make a tensor again.
enum class Remaking {
    cheap,  ///< one pass: done at each use, and the result let go of
    dear,   ///< a convolution: done once, and kept until the last closure that needs it has run
};

/// A tensor that was let go of, and how to make it again.
template <class T, Device D> class Redone {
 public:
    using Make = Function<Tensor<T, D>()>;

    Redone(Make make, Remaking cost) : make_(std::move(make)), cost_(cost) {}

    Tensor<T, D> get() {
        if (made_) return made_;
        Tensor<T, D> made = make_();
        if (wanted_ && cost_ == Remaking::dear) made_ = made;
        return made;
    }
    /// A closure will ask for it. What is only the source of others is made for the moment, whatever it costs.
    void want() { wanted_ = true; }

 private:
    Make make_;
    Remaking cost_;
    bool wanted_ = false;
    Tensor<T, D> made_;
};

/// What a closure keeps of a tensor: the tensor itself, or a way to make it again.
template <class T, Device D>
class Saved {
 public:
    Saved() = default;
    explicit Saved(Tensor<T, D> tensor) : tensor_(std::move(tensor)) {}
    explicit Saved(std::shared_ptr<Redone<T, D>> redone) : redone_(std::move(redone)) {}

    Tensor<T, D> get() const { return redone_ ? redone_->get() : tensor_; }

 private:
    Tensor<T, D> tensor_;
    std::shared_ptr<Redone<T, D>> redone_;
};

/// A value in the graph. Copying shares value and history. Defined by running: `result` is the one way an op enters.
template <class T, Device D>
class Variable {
 public:
    using element = T;
    using device = D;

    Variable() = default;
    /// A constant: no gradient.
    Variable(Tensor<T, D> value) : value_(std::move(value)) {}
    /// A leaf whose gradient is wanted.
    static Variable leaf(Tensor<T, D> value) {
        Variable out(std::move(value));
        out.node_.reset(new Node<T, D>(out.shape(), out.context()));
        return out;
    }

    const Tensor<T, D>& value() const { return value_; }
    /// For whoever writes into it.
    Tensor<T, D>& writable() { return value_; }
    const Shape& shape() const { return value_.shape(); }
    Context<D>& context() const { return value_.context(); }
    bool requires_grad() const { return bool(node_); }

    /// A leaf's gradient after `backward`; empty before, and for whatever wants none.
    const Tensor<T, D>& gradient() const {
        static const Tensor<T, D> none;
        return node_ ? node()->gradient() : none;
    }
    void clear_gradient() { set_gradient({}); }
    /// Takes a tensor of this shape for the gradient; empty: none.
    void set_gradient(Tensor<T, D> gradient) {
        if (node_) node()->gradient() = std::move(gradient);
    }

    /// Where a closure sends this variable's share; not wanted if it has no history.
    Edge<T, D> edge() const { return Edge<T, D>(detail::policy().record ? node() : nullptr); }
    /// What a closure should keep of this value.
    Saved<T, D> saved() const {
        if (redone_) redone_->want();
        return source();
    }
    /// What a way to make another value again should keep of this one.
    Saved<T, D> source() const { return redone_ ? Saved<T, D>(redone_) : Saved<T, D>(value_); }
    /// The value without the history.
    Variable detach() const { return Variable(value_); }

    /// Sends `seed` (default: ones) to every leaf that this came from. The graph is released on the way: once only.
    void backward(Tensor<T, D> seed = {}) const {
        expects(bool(node_), "backward: this value has no history; were all parents frozen, or was it made under NoGrad?");
        expects(node_->live(), "backward: the graph of this value was already walked and released; run forward again");
        if (!seed) seed = full<T, D>(shape(), T(1.0f), context());
        expects(seed.shape() == shape(), "backward: seed ", seed.shape(), " for a value ", shape());
        node()->gradient() = std::move(seed);
        op::DeferredGradients<D> batch(context());
        run_backward(node_);
        batch.finish();
    }

    /// The result of op `name`: `backward(dy)` gives each parent its share through the edges it captured. If no parent
    /// wants a gradient, or under `NoGrad`, the closure and all that it saved are dropped here.
    template <class... Parents>
    static Variable result(const char* name, Tensor<T, D> value, typename Node<T, D>::Backward backward,
                           const Parents&... parents) {
        return made(name, std::move(value), std::move(backward), {&parents.node_...});
    }

    /// True if whoever keeps this value keeps a way to make it again.
    bool let_go() const { return bool(redone_); }

    /// Whoever keeps this value is to keep `redone` instead, if there is one; a value without history stays as it is.
    Variable remade_by(std::shared_ptr<Redone<T, D>> redone) && {
        if (node_) redone_ = std::move(redone);
        return std::move(*this);
    }
    /// The same where the policy in force redoes what is redone under `level`; without a level never.
    Variable remade_by(std::optional<Recompute> level, Remaking cost, typename Redone<T, D>::Make make) && {
        if (!level || !redoes(*level)) return std::move(*this);
        return std::move(*this).remade_by(std::shared_ptr<Redone<T, D>>(new Redone<T, D>(std::move(make), cost)));
    }

 private:
    template <class, Device>
    friend class Variable;

    static Variable made(const char* name, Tensor<T, D> value, typename Node<T, D>::Backward backward,
                         std::initializer_list<const std::shared_ptr<NodeBase>*> parents) {
        detail::lap(name, Pass::forward);
        if (detail::policy().check_finite) refuse_non_finite(name, value);
        Variable out(std::move(value));
        if (!detail::policy().record) return out;
        for (const auto* parent : parents) {
            if (!*parent) continue;
            if (!out.node_)
                out.node_.reset(new Node<T, D>(name, out.shape(), out.context(), std::move(backward)));
            out.node_->parents().push_back(*parent);
        }
        return out;
    }
    Node<T, D>* node() const { return static_cast<Node<T, D>*>(node_.get()); }

    [[gnu::noinline]] static void refuse_non_finite(const char* name, const Tensor<T, D>& value) {
        if (!op::all_finite(value.context(), value))
            throw NumericError(text(name, ": the result ", value.shape(), " is not finite in ",
                                    Scope::current().empty() ? "an unnamed layer" : Scope::current()));
    }

    Tensor<T, D> value_;
    std::shared_ptr<NodeBase> node_;  // a Node<T, D>
    std::shared_ptr<Redone<T, D>> redone_;
};

}  // namespace holon
