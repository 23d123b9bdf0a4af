// layer/layer.hpp: a layer lists its members once; names, files, freezing, optimizers and tables read that list.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <holon/core/function.hpp>
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

/// The dotted name of the member that a walk has come to.
class DottedName {
 public:
    /// Goes on to a member; an empty name adds nothing. Returns what `leave` takes back.
    [[gnu::noinline]] std::size_t enter(std::string_view member) {
        const std::size_t outer = name_.size();
        if (outer && !member.empty()) name_ += '.';
        name_ += member;
        return outer;
    }
    std::size_t enter(std::size_t number) { return enter(std::string_view(text(number))); }
    void leave(std::size_t outer) { name_.erase(outer); }
    const std::string& full() const { return name_; }

 private:
    std::string name_;
};

/// What a walk does at each member. `A` is the element of parameters and statistics.
template <class A, Device D>
class Visitor {
 public:
    Function<void(const std::string& name, Parameter<A, D>&)> on_parameter;
    Function<void(const std::string& name, State<A, D>&)> on_state;
    Function<void(const std::string& name, Random&)> on_random;
    Function<void(const std::string& name, Named&)> on_layer;
    Function<void(const std::string& name, FollowsStatistics&)> on_statistics;

    void operator()(std::string_view member, Parameter<A, D>& parameter) { tell(on_parameter, member, parameter); }
    void operator()(std::string_view member, State<A, D>& state) { tell(on_state, member, state); }
    void operator()(std::string_view member, Random& random) { tell(on_random, member, random); }
    /// A layer within; an empty member name adds nothing to the dotted name.
    template <class L>
        requires requires(L& layer, Visitor& self) { layer.members(self); }
    void operator()(std::string_view member, L& layer) {
        const std::size_t outer = name_.enter(member);
        if constexpr (std::derived_from<L, Named>)
            if (on_layer) on_layer(name_.full(), layer);
        if constexpr (std::derived_from<L, FollowsStatistics>)
            if (on_statistics) on_statistics(name_.full(), layer);
        layer.members(*this);
        name_.leave(outer);
    }
    template <class M>
    void operator()(std::string_view member, std::optional<M>& maybe) {
        if (maybe) (*this)(member, *maybe);
    }
    /// A row of layers, named by number.
    template <class Row>
        requires requires(Row& row) { row.begin() != row.end(); }
    void operator()(std::string_view member, Row& row) {
        const std::size_t outer = name_.enter(member);
        std::size_t number = 0;
        for (auto& layer : row) {
            const std::size_t in_row = name_.enter(number++);
            (*this)(std::string_view(), layer);
            name_.leave(in_row);
        }
        name_.leave(outer);
    }

 private:
    template <class On, class M> void tell(const On& on, std::string_view member, M& at) {
        if (!on) return;
        const std::size_t outer = name_.enter(member);
        on(name_.full(), at);
        name_.leave(outer);
    }
    DottedName name_;
};

/// Anything with members and an answer: `y = layer(x, mode)`.
template <class L, class T, class D>
concept LayerOf = Device<D> && requires(L& layer, const Variable<T, D>& x, Mode mode, Visitor<Accumulate<T>, D>& visit) {
    layer.members(visit);
    { layer(x, mode) } -> std::same_as<Variable<T, D>>;
};

/// A layer made of others in a row, which can be entered and left between any two of them.
template <class L, class T, class D>
concept RowOf = LayerOf<L, T, D> && requires(L& row, const Variable<T, D>& x, Mode mode, std::size_t i,
                                             Visitor<Accumulate<T>, D>& visit) {
    { row.depth() } -> std::same_as<std::size_t>;
    { row.run(x, mode, i, i) } -> std::same_as<Variable<T, D>>;  ///< layers [first, end) alone
    row.members_of(i, visit);
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
    AnyLayer(L layer) : held_(new Held<L>(std::move(layer))) {}

    Variable<T, D> operator()(const Variable<T, D>& x, Mode mode) { return held_->run(x, mode); }
    void members(Visitor<A, D>& visit) { held_->members(visit); }

    /// As a row of layers; one that is no row is the only layer of its own.
    std::size_t depth() const { return held_->depth(); }
    Variable<T, D> run(const Variable<T, D>& x, Mode mode, std::size_t first, std::size_t end) {
        return first < end ? held_->run_part(x, mode, first, end) : x;
    }
    void members_of(std::size_t i, Visitor<A, D>& visit) { held_->members_of(i, visit); }

    explicit operator bool() const { return bool(held_); }

 private:
    struct Base {
        virtual ~Base() = default;
        virtual Variable<T, D> run(const Variable<T, D>&, Mode) = 0;
        virtual void members(Visitor<A, D>&) = 0;
        virtual std::size_t depth() const = 0;
        virtual Variable<T, D> run_part(const Variable<T, D>&, Mode, std::size_t first, std::size_t end) = 0;
        virtual void members_of(std::size_t i, Visitor<A, D>&) = 0;
    };
    template <class L>
    struct Held final : Base {
        explicit Held(L l) : layer(std::move(l)) {}
        Variable<T, D> run(const Variable<T, D>& x, Mode mode) override { return layer(x, mode); }
        void members(Visitor<A, D>& visit) override { visit(std::string_view(), layer); }
        std::size_t depth() const override {
            if constexpr (RowOf<L, T, D>) return layer.depth();
            return 1;
        }
        Variable<T, D> run_part(const Variable<T, D>& x, Mode mode, std::size_t first, std::size_t end) override {
            if constexpr (RowOf<L, T, D>) return layer.run(x, mode, first, end);
            return layer(x, mode);
        }
        void members_of(std::size_t i, Visitor<A, D>& visit) override {
            if constexpr (RowOf<L, T, D>) return layer.members_of(i, visit);
            layer.members(visit);
        }
        L layer;
    };
    std::unique_ptr<Base> held_;
};

/// The element type and device that a network was made for: every network says `using element` and `using device`.
template <class Net>
using VisitorFor = Visitor<Accumulate<typename Net::element>, typename Net::device>;

/// Any network's members: what is done to all of them need not know the network, and is compiled once for all of them.
template <class A, Device D> class Members {
 public:
    template <class Net>
    explicit Members(Net& net)
        : net_(&net), walk_(walk<Net>) {}
    void tell(Visitor<A, D>& visit) const { walk_(net_, visit); }

 private:
    template <class Net> static void walk(void* net, Visitor<A, D>& visit) {
        visit(std::string_view(), *static_cast<Net*>(net));
    }
    void* net_;
    void (*walk_)(void*, Visitor<A, D>&);
};
template <class Net>
Members(Net&) -> Members<Accumulate<typename Net::element>, typename Net::device>;

namespace detail {
template <class A, Device D> void name_layers(const Members<A, D>& members) {
    Visitor<A, D> visit;
    visit.on_layer = [](const std::string& name, Named& layer) { layer.name = name; };
    members.tell(visit);
}
}  // namespace detail

/// Gives every layer its dotted name. Networks do it in their constructors and after being put together anew.
template <class Net> void name_layers(Net& net) { detail::name_layers(Members(net)); }

}  // namespace holon

#ifdef HOLON_COMPILED
#include <holon/graph/instances.hpp>
#endif
