// layer/layer.hpp: a layer lists its members once; names, files, freezing, optimizers and tables read that list.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <holon/core/random.hpp>
#include <holon/layer/parameter.hpp>

namespace holon {

/// Said with every call, never guessed from a batch size.
enum class Mode { train, evaluate };

/// What freezing means for a batch norm's running statistics (it has no default on purpose).
enum class Statistics {
    follow,  ///< keep normalising by the batch and moving the statistics (what Keras before 2.1.3 did)
    fixed,   ///< normalise by the running statistics and leave them alone
};

/// The base of layers that have a name of their own or a switch that a walk sets.
struct Named {
    std::string name;  ///< dotted, set by `name_layers`; appears in errors and tables
};

/// A base for batch norm, so that walks can reach its switch without knowing T.
struct FollowsStatistics {
    Statistics statistics = Statistics::follow;
};

/// What a walk does at each member. `A` is the element of parameters and statistics.
template <class A, Device D>
class Visitor {
 public:
    std::function<void(const std::string& name, Parameter<A, D>&)> on_parameter;
    std::function<void(const std::string& name, State<A, D>&)> on_state;
    std::function<void(const std::string& name, Random&)> on_random;
    std::function<void(const std::string& name, Named&)> on_layer;
    std::function<void(const std::string& name, FollowsStatistics&)> on_statistics;

    void operator()(std::string_view member, Parameter<A, D>& parameter) {
        if (on_parameter) on_parameter(joined(member), parameter);
    }
    void operator()(std::string_view member, State<A, D>& state) {
        if (on_state) on_state(joined(member), state);
    }
    void operator()(std::string_view member, Random& random) {
        if (on_random) on_random(joined(member), random);
    }
    /// A layer within; an empty member name adds nothing to the dotted name.
    template <class L>
        requires requires(L& layer, Visitor& self) { layer.members(self); }
    void operator()(std::string_view member, L& layer) {
        const std::string outer = prefix_;
        prefix_ = joined(member);
        if constexpr (std::derived_from<L, Named>)
            if (on_layer) on_layer(prefix_, layer);
        if constexpr (std::derived_from<L, FollowsStatistics>)
            if (on_statistics) on_statistics(prefix_, layer);
        layer.members(*this);
        prefix_ = outer;
    }
    template <class M>
    void operator()(std::string_view member, std::optional<M>& maybe) {
        if (maybe) (*this)(member, *maybe);
    }
    template <class L>
    void operator()(std::string_view member, std::vector<L>& row) {
        const std::string outer = prefix_;
        prefix_ = joined(member);
        for (std::size_t i = 0; i < row.size(); ++i) (*this)(std::to_string(i), row[i]);
        prefix_ = outer;
    }

 private:
    std::string joined(std::string_view member) const {
        if (prefix_.empty()) return std::string(member);
        if (member.empty()) return prefix_;
        return prefix_ + "." + std::string(member);
    }
    std::string prefix_;
};

/// Anything with members and an answer: `y = layer(x, mode)`.
template <class L, class T, class D>
concept LayerOf = Device<D> && requires(L& layer, const Variable<T, D>& x, Mode mode, Visitor<Accumulate<T>, D>& visit) {
    layer.members(visit);
    { layer(x, mode) } -> std::same_as<Variable<T, D>>;
};

/// Runs `compute` as the layer `name`: errors and history carry the name.
template <class F>
auto within(const std::string& name, F&& compute) {
    const Scope scope(name);
    try {
        return compute();
    } catch (Error& error) {
        error.within(name);
        throw;
    }
}

/// Any layer at run time, so that the depth of a network is no part of its type.
template <Element T, Device D>
class AnyLayer {
    using A = Accumulate<T>;

 public:
    AnyLayer() = default;
    template <class L>
        requires(!std::same_as<L, AnyLayer>) && LayerOf<L, T, D>
    AnyLayer(L layer) : held_(std::make_unique<Held<L>>(std::move(layer))) {}

    Variable<T, D> operator()(const Variable<T, D>& x, Mode mode) { return held_->run(x, mode); }
    void members(Visitor<A, D>& visit) { held_->members(visit); }
    explicit operator bool() const { return bool(held_); }

 private:
    struct Base {
        virtual ~Base() = default;
        virtual Variable<T, D> run(const Variable<T, D>&, Mode) = 0;
        virtual void members(Visitor<A, D>&) = 0;
    };
    template <class L>
    struct Held final : Base {
        explicit Held(L l) : layer(std::move(l)) {}
        Variable<T, D> run(const Variable<T, D>& x, Mode mode) override { return layer(x, mode); }
        void members(Visitor<A, D>& visit) override { visit(std::string_view(), layer); }
        L layer;
    };
    std::unique_ptr<Base> held_;
};

/// The element type and device that a network was made for: every network says `using element` and `using device`.
template <class Net>
using VisitorFor = Visitor<Accumulate<typename Net::element>, typename Net::device>;

/// Gives every layer its dotted name. Networks do it in their constructors and after being put together anew.
template <class Net>
void name_layers(Net& net) {
    VisitorFor<Net> visit;
    visit.on_layer = [](const std::string& name, Named& layer) { layer.name = name; };
    visit(std::string_view(), net);
}

}  // namespace holon
