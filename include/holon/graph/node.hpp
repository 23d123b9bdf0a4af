// graph/node.hpp: who came from whom. A node holds no value, only where its gradient goes.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <holon/core/function.hpp>
#include <holon/core/scope.hpp>
#include <holon/graph/policy.hpp>
#include <holon/op/op.hpp>

namespace holon {

/// A node of any element type and device; edges point from results to parents, so there are no circles.
class NodeBase {
 public:
    NodeBase() : layer_(Scope::current()) {}
    NodeBase(const NodeBase&) = delete;
    NodeBase& operator=(const NodeBase&) = delete;

    /// Lets go of a chain of any length without recursion, which would use up the stack.
    virtual ~NodeBase() {
        std::vector<std::shared_ptr<NodeBase>> chain = std::move(parents_);
        while (!chain.empty()) {
            std::shared_ptr<NodeBase> node = std::move(chain.back());
            chain.pop_back();
            if (!node || node.use_count() != 1) continue;
            for (auto& parent : node->parents_) chain.push_back(std::move(parent));
            node->parents_.clear();
        }
    }

    /// Hands this node's gradient to its parents, then forgets closure and gradient. Leaves keep theirs.
    virtual void step() = 0;
    /// False once `step` ran: what was saved is gone.
    virtual bool live() const = 0;

    std::vector<std::shared_ptr<NodeBase>>& parents() { return parents_; }
    /// Dotted name of the layer that made it.
    const std::string& layer() const { return layer_; }

 private:
    friend void run_backward(const std::shared_ptr<NodeBase>&);
    std::vector<std::shared_ptr<NodeBase>> parents_;
    std::string layer_;
    std::size_t waiting_ = 0;  // consumers that have not handed over their share yet
};

/// Walks from `root` to the leaves, each node after all of its consumers, releasing nodes on the way.
inline void run_backward(const std::shared_ptr<NodeBase>& root) {
    std::vector<std::shared_ptr<NodeBase>> stack{root};
    while (!stack.empty()) {
        const std::shared_ptr<NodeBase> node = std::move(stack.back());
        stack.pop_back();
        for (const auto& parent : node->parents_)
            if (parent->waiting_++ == 0) stack.push_back(parent);
    }
    stack.push_back(root);
    while (!stack.empty()) {
        const std::shared_ptr<NodeBase> node = std::move(stack.back());
        stack.pop_back();
        try {
            const Scope scope(node->layer());
            node->step();
        } catch (Error& error) {
            error.within(text(node->layer(), " (backward)"));
            throw;
        }
        for (auto& parent : node->parents_)
            if (--parent->waiting_ == 0) stack.push_back(std::move(parent));
        node->parents_.clear();
    }
}

template <class T, Device D>
    requires Runs<T, D>
class Node final : public NodeBase {
 public:
    using Backward = Function<void(const Tensor<T, D>&)>;

    Node(Shape shape, Context<D>& context) : shape_(shape), context_(context) {}
    /// What op `name` (a literal) made.
    Node(const char* name, Shape shape, Context<D>& context, Backward backward)
        : name_(name), shape_(shape), context_(context), backward_(std::move(backward)), live_(true) {}

    void step() override {
        if (!name_) return;
        const Backward backward = std::move(backward_);
        const Tensor<T, D> gradient = std::exchange(gradient_, {});
        live_ = false;
        if (!gradient) return;
        Profiler* const profiler = detail::policy().profiler;
        const std::size_t laps = profiler ? profiler->laps() : 0;
        backward(gradient);
        if (profiler && profiler->laps() == laps) profiler->lap(name_, Pass::backward);  // else it told its parts
    }
    bool live() const override { return !name_ || live_; }
    bool is_leaf() const { return !name_; }

    const Shape& shape() const { return shape_; }
    Context<D>& context() const { return context_; }
    Tensor<T, D>& gradient() { return gradient_; }

 private:
    const char* name_ = nullptr;  // none: a leaf
    Shape shape_;
    Context<D>& context_;
    Tensor<T, D> gradient_;
    Backward backward_;
    bool live_ = false;
};

/// Where a closure sends a parent's share. It does not own the node: the parents list does.
template <class T, Device D>
class Edge {
 public:
    Edge() = default;
    explicit Edge(Node<T, D>* node) : node_(node) {}

    bool wanted() const { return node_ != nullptr; }
    explicit operator bool() const { return wanted(); }

    /// The gradient to write to, and in `mode` whether to assign or to add.
    Tensor<T, D>& open(Gradient& mode) const {
        Tensor<T, D>& g = node_->gradient();
        mode = g ? Gradient::add : Gradient::assign;
        if (g && node_->is_leaf()) op::finish_gradients(node_->context());
        // A leaf keeps its gradient until the optimizer has stepped. Where the step's peak is at the end of backward,
        // gradients between the activations would cut up the room that these need; where it is at the beginning, before
        // there are gradients, a place of their own would be idle then.
        std::optional<Lasting> lasting;
        if (node_->is_leaf() && redoes(Recompute::expansion)) lasting.emplace();
        if (!g)
            g = Tensor<T, D>(node_->shape(), node_->context());
        else if (!g.unique())
            g = g.clone();  // shared with a brother of an addition: writing in place would change his
        return g;
    }

    /// Calls `write(gradient, mode)` if the parent wants a gradient.
    template <class Write>
    void give(const Write& write) const {
        if (!node_) return;
        Gradient mode;
        Tensor<T, D>& g = open(mode);
        write(g, mode);
    }

    /// Hands over `share`, to be changed in place; null if others look at it, or if there is one to add to.
    Tensor<T, D>* inherit(const Tensor<T, D>& share) const {
        if (node_->is_leaf() || node_->gradient() || !share.unique()) return nullptr;
        node_->gradient() = share;
        return &node_->gradient();
    }

    /// Adds `share`; the first share is taken over as it is.
    void take(const Tensor<T, D>& share) const {
        if (!node_) return;
        if (!node_->gradient()) {
            node_->gradient() = share;
            return;
        }
        give([&](Tensor<T, D>& g, Gradient) { op::accumulate(node_->context(), share, g); });
    }

 private:
    Node<T, D>* node_ = nullptr;
};

}  // namespace holon
