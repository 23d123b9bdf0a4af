// Two batch norms, their sum and a ReLU in one pass, on every device: what batch_norm gives one after the other.
#include <holon/graph/batch_norm.hpp>
#include <holon/graph/elementwise.hpp>

#include "support/catch.hpp"
#include "support/devices.hpp"

using namespace holon;
using namespace holon::test;

namespace {

template <class T, class D> struct Pair {
    using A = Accumulate<T>;
    Operand<T, D> x, residual, dy;
    op::Normalization<A, D> normal, of_residual;

    explicit Pair(const Shape& s) : x(s, 1), residual(s, 2), dy(s, 3), normal(normalization(s.c, 10)), of_residual(normalization(s.c, 20)) {}
    static op::Normalization<A, D> normalization(std::int64_t channels, std::uint64_t seed) {
        const Shape v = vector_shape(channels);
        return {Operand<A, D>(v, seed).value, Operand<A, D>(v, seed + 1).value, Operand<A, D>(v, seed + 2).value,
                Operand<A, D>(v, seed + 3).value};
    }
};

template <class T, class D> struct Side {
    using A = Accumulate<T>;
    Tensor<T, D> x;
    Tensor<A, D> weight, bias;
    static Side poisoned_for(const Shape& s) {
        return {poisoned<T, D>(s), poisoned<A, D>(vector_shape(s.c)), poisoned<A, D>(vector_shape(s.c))};
    }
    op::BatchNormGradients<T, D> wanted() {
        op::BatchNormGradients<T, D> out;
        out.x = &x, out.weight = &weight, out.bias = &bias;
        return out;
    }
    std::array<Tensor<double, Cpu>, 3> all() const { return {numbers(x), numbers(weight), numbers(bias)}; }
};

/// Both sides' gradients by batch_norm_backward: the sum's gradient is written aside, and normalised on from there.
template <class T, class D> std::array<Side<T, D>, 2> one_after_the_other(const Pair<T, D>& p, const op::ReluMask<T, D>& mask, bool batch) {
    auto& context = default_context<D>();
    const Shape s = p.x.value.shape();
    std::array<Side<T, D>, 2> out{Side<T, D>::poisoned_for(s), Side<T, D>::poisoned_for(s)};
    Tensor<T, D> between = poisoned<T, D>(s);
    auto wanted = out[0].wanted();
    wanted.residual = &between;
    op::batch_norm_backward(context, p.x.value, &mask, p.dy.value, p.normal, true, batch, wanted);
    const op::ReluMask<T, D>* const none = nullptr;
    op::batch_norm_backward(context, p.residual.value, none, between, p.of_residual, false, batch, out[1].wanted());
    return out;
}

const std::vector<Shape> shapes{{1, 1, 2, 1},  {2, 5, 3, 17}, {3, 4, 4, 64}, {2, 7, 1, 35}, {1, 9, 9, 3}, {4, 16, 16, 256}};

}  // namespace

TEMPLATE_TEST_CASE("two batch norms in one pass give the same bits as one after the other", "[op][kernels]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    auto& context = default_context<D>();
    for (const Shape s : shapes) {
        CAPTURE(text(s));
        const Pair<T, D> p(s);
        const Tensor<T, D>* const none = nullptr;
        const auto between = op::batch_norm(context, p.residual.value, none, p.of_residual, false, false).y;
        const auto expected = op::batch_norm(context, p.x.value, &between, p.normal, true, true);
        const auto given = op::batch_norm_pair(context, p.x.value, p.normal, p.residual.value, p.of_residual, true);
        CHECK(same_numbers(numbers(given.y), numbers(expected.y)));
        const auto unmasked = op::batch_norm_pair(context, p.x.value, p.normal, p.residual.value, p.of_residual, false);
        CHECK(same_numbers(numbers(unmasked.y), numbers(expected.y)));
        CHECK_FALSE(unmasked.mask);
        // The masks let the same through.
        for (const bool batch : {false, true}) {
            const auto by_given = one_after_the_other(p, given.mask, batch), by_expected = one_after_the_other(p, expected.mask, batch);
            CHECK(same_numbers(numbers(by_given[1].x), numbers(by_expected[1].x)));
        }
    }
}

TEMPLATE_TEST_CASE("gradients of two batch norms in one pass are those of one after the other", "[op][kernels]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    auto& context = default_context<D>();
    for (const Shape s : shapes)
        for (const bool batch : {false, true}) {
            CAPTURE(text(s), batch);
            const Pair<T, D> p(s);
            const auto mask = op::batch_norm_pair(context, p.x.value, p.normal, p.residual.value, p.of_residual, true).mask;
            const auto expected = one_after_the_other(p, mask, batch);
            const auto run = [&](const Tensor<T, D>& x, const Tensor<T, D>& residual, op::BatchNormGradients<T, D> to,
                                 op::BatchNormGradients<T, D> to_residual) {
                op::batch_norm_pair_backward(context, x, p.normal, residual, p.of_residual, mask, p.dy.value, batch, to, to_residual);
            };
            std::array<Side<T, D>, 2> given{Side<T, D>::poisoned_for(s), Side<T, D>::poisoned_for(s)};
            run(p.x.value, p.residual.value, given[0].wanted(), given[1].wanted());
            // A GPU's sums are taken in other parts.
            const double bound = std::same_as<D, Cpu> ? 0 : std::same_as<T, float> ? 1e-5 : 4 * tolerance<T>();
            for (std::size_t side = 0; side < 2; ++side)
                for (std::size_t i = 0; i < 3; ++i) {
                    CAPTURE(side, i);
                    CHECK(distance(given[side].all()[i], expected[side].all()[i]) <= bound);
                }
            // Over their images: the same bits.
            Side<T, D> over = Side<T, D>::poisoned_for(s), over_beside = Side<T, D>::poisoned_for(s);
            over.x = p.x.value.clone(), over_beside.x = p.residual.value.clone();
            run(over.x, over_beside.x, over.wanted(), over_beside.wanted());
            for (std::size_t i = 0; i < 3; ++i) {
                CHECK(same_numbers(over.all()[i], given[0].all()[i]));
                CHECK(same_numbers(over_beside.all()[i], given[1].all()[i]));
            }
            // One by one, assigned and added.
            for (std::size_t side = 0; side < 2; ++side) {
                const auto all = given[side].all();
                const auto alone = [&](const auto& fill) {
                    std::array<op::BatchNormGradients<T, D>, 2> wanted;
                    fill(wanted[side]);
                    run(p.x.value, p.residual.value, wanted[0], wanted[1]);
                };
                const double rounding = std::same_as<T, double> ? 1e-10 : 4 * tolerance<T>();
                CHECK(written_error<T, D>(s, all[0], [&](auto& out, Gradient mode) {
                          alone([&](auto& w) { w.x = &out, w.to_x = mode; });
                      }) <= rounding);
                CHECK(written_error<A, D>(vector_shape(s.c), all[1], [&](auto& out, Gradient mode) {
                          alone([&](auto& w) { w.weight = &out, w.to_weight = mode; });
                      }) <= rounding);
                CHECK(written_error<A, D>(vector_shape(s.c), all[2], [&](auto& out, Gradient mode) {
                          alone([&](auto& w) { w.bias = &out, w.to_bias = mode; });
                      }) <= rounding);
            }
        }
}

TEMPLATE_TEST_CASE("one image under two batch norms gets both gradients, and an image that others hold is left alone",
                   "[op][kernels]", HOLON_ELEMENTS) {
    using T = typename TestType::element;
    using D = typename TestType::device;
    using A = Accumulate<T>;
    using V = Variable<T, D>;
    const Shape s{2, 5, 3, 24}, vector = vector_shape(s.c);
    const Operand<T, D> image(s, 1), beside(s, 2), dy(s, 3);
    const Operand<A, D> w(vector, 4), b(vector, 5), w_beside(vector, 6), b_beside(vector, 7);
    // An op's result: not a leaf, so that a gradient may be written over it.
    const auto made = [](const V& v) { return add(v, V(zeros<T, D>(v.shape()))); };
    const auto run = [&](bool pair, bool same, bool held) {
        auto mean = zeros<A, D>(vector), variance = full<A, D>(vector, A(1)), mean_beside = mean.clone(), variance_beside = variance.clone();
        const V x = V::leaf(image.value.clone()), z = V::leaf(beside.value.clone());
        std::optional<V> first = made(x), second = same ? *first : made(z);
        const V y = [&] {
            const BatchNormTerm<T, D> term{*first, Variable<A, D>(w.value), Variable<A, D>(b.value), mean, variance},
                other{*second, Variable<A, D>(w_beside.value), Variable<A, D>(b_beside.value), mean_beside, variance_beside};
            if (pair) return batch_norm_pair(term, other, BatchNormState::batch);
            const V between = batch_norm(other, static_cast<const V*>(nullptr), false, BatchNormState::batch);
            return batch_norm(term, &between, true, BatchNormState::batch);
        }();
        const auto before = numbers(first->value());
        if (!held) first.reset(), second.reset();
        y.backward(dy.value.clone());
        if (held) CHECK(same_numbers(numbers(first->value()), before));
        const std::array out{numbers(y.value()), numbers(x.gradient()), numbers(mean), numbers(variance), numbers(mean_beside),
                       numbers(variance_beside), same ? Tensor<double, Cpu>() : numbers(z.gradient())};
        return out;
    };
    for (const bool same : {false, true})
        for (const bool held : {false, true}) {
            CAPTURE(same, held);
            const auto together = run(true, same, held), apart = run(false, same, held);
            const double bound = std::same_as<T, double> ? 1e-10 : std::same_as<T, float> ? 1e-5 : 4 * tolerance<T>();
            for (std::size_t i = 0; i < together.size(); ++i) {
                CAPTURE(i);
                if (apart[i]) CHECK(distance(together[i], apart[i]) <= bound);
            }
        }
}
