// Batch norm's kernels on the host emulation against the same ops in double: in every order of threads, with poisoned
// shared memory, at channels that fill packs and that do not.
#include "gpu/compare.hpp"

#include <holon/op/gpu/columns.hpp>

#include <holon/op/op.hpp>

#include "support/catch.hpp"

using namespace holon;
using namespace holon::test;

namespace {

struct Case {
    bool residual, relu, batch, add;
    unsigned wanted = 15;  // bits: x, residual, weight, bias
};

template <class T> void check(const gpu::Queue& queue, Shape s, const Case& o) {
    auto& context = default_context<Cpu>();
    const std::int64_t rows = s.rows();
    const int c = int(s.c);
    const Both<T> x(s, 1, 3.0), beside(s, 2), dy(s, 3);
    const Both<float> weight(vector_shape(c), 4);
    Both<float> bias(vector_shape(c), 5);

    std::vector<float> scratch(std::size_t(gpu::sums_scratch<T>(queue.multiprocessors, rows, c, gpu::gradient_sums)), NAN);
    auto mean = target<float>(c), deviation = target<float>(c);
    const Both<float> running(vector_shape(c), 6), running_variance(vector_shape(c), 7);
    auto moved = running.narrow, moved_variance = running_variance.narrow;
    gpu::batch_statistics(queue, rows, c, x.narrow.data(), 1e-5f,
                          {moved.data(), moved_variance.data(), 0.9f, 0.1f, 0.1f * 1.5f,
                           o.relu ? bias.narrow.data() : nullptr},
                          scratch.data(), mean.data(),
                          deviation.data());
    auto moved_by_op = running.wide.clone();
    Tensor<double, Cpu> variance(vector_shape(c));
    const auto by_op = op::batch_statistics<double>(context, x.wide, 1e-5, {&moved_by_op, &variance, 0.1, false});
    op::batch_statistics<double>(context, x.wide, 1e-5, {&moved_by_op, &variance, 1.0, false});
    auto moved_variance_by_op = running_variance.wide.clone();
    moved_by_op = running.wide.clone();
    for (int k = 0; k < c; ++k) {
        moved_by_op.data()[k] = 0.9 * moved_by_op.data()[k] + 0.1 * (by_op.mean.data()[k] +
                                                                              (o.relu ? bias.wide.data()[k] : 0));
        moved_variance_by_op.data()[k] = 0.9 * moved_variance_by_op.data()[k] + 0.15 * variance.data()[k];
    }
    REQUIRE(error(mean, by_op.mean) < 1e-6);
    REQUIRE(error(deviation, by_op.inverse_deviation) < 1e-5);
    REQUIRE(error(moved, moved_by_op) < 1e-6);
    REQUIRE(error(moved_variance, moved_variance_by_op) < 1e-5);
    // The level that they were taken relative to: the mean of up to 32 rows, as a number of T.
    const std::int64_t samples = std::min<std::int64_t>(rows, 32);
    for (int k = 0; k < c; ++k) {
        double level = 0;
        for (std::int64_t i = 0; i < samples; ++i)
            level += std::as_const(x.wide).data()[rows * i / samples * c + k] / double(samples);
        REQUIRE(double(scratch[std::size_t(k)]) == Approx(level).epsilon(kernel_tolerance<T>()));
    }

    // The same from the sums of the values and of their squares.
    std::vector<float> values(std::size_t(c), 0), squares(std::size_t(c), 0);
    for (std::int64_t i = 0; i < s.size(); ++i) {
        const double v = std::as_const(x.wide).data()[i];
        values[std::size_t(i % c)] += float(v), squares[std::size_t(i % c)] += float(v * v);
    }
    auto mean_of_sums = target<float>(c), deviation_of_sums = target<float>(c);
    auto moved_again = running.narrow, moved_variance_again = running_variance.narrow;
    gpu::batch_statistics(queue, rows, c, values.data(), squares.data(), 1e-5f,
                          {moved_again.data(), moved_variance_again.data(), 0.9f, 0.1f, 0.1f * 1.5f,
                           o.relu ? bias.narrow.data() : nullptr},
                          mean_of_sums.data(), deviation_of_sums.data());
    REQUIRE(error(mean_of_sums, by_op.mean) < 1e-5);
    if (rows > 2) REQUIRE(error(deviation_of_sums, by_op.inverse_deviation) < 1e-3);
    REQUIRE(error(moved_again, moved_by_op) < 1e-5);
    REQUIRE(error(moved_variance_again, moved_variance_by_op) < 1e-3);

    op::Normalization<double, Cpu> normal{by_op.mean, by_op.inverse_deviation, weight.wide, bias.wide};
    // From here on both sides go by the same vectors.
    for (std::size_t k = 0; k < std::size_t(c); ++k) {
        normal.mean.data()[k] = double(mean[k]);
        normal.inverse_deviation.data()[k] = double(deviation[k]);
    }
    const gpu::Channels vectors{mean.data(), deviation.data(), weight.narrow.data(), bias.narrow.data()};
    auto y = target<T>(s.size());
    constexpr int wide = gpu::pack_width<T>;
    const int packs = (c + wide - 1) / wide;
    std::vector<std::uint8_t> mask_bits(std::size_t(rows * packs), 255);
    const bool masked = o.relu && o.residual;
    gpu::batch_norm(queue, rows, c, x.narrow.data(), o.residual ? beside.narrow.data() : nullptr, vectors, o.relu,
                    y.data(), masked ? mask_bits.data() : nullptr);
    REQUIRE(error(y, op::batch_norm(context, x.wide, o.residual ? &beside.wide : nullptr, normal, o.relu, false).y) <
            kernel_tolerance<T>());
    for (std::int64_t i = 0; masked && i < rows * packs; ++i)
        for (int bit = 0; bit < 8; ++bit) {
            const std::int64_t channel = i % packs * wide + bit;
            const bool positive = bit < wide && channel < c && float(y[std::size_t(i / packs * c + channel)]) > 0;
            REQUIRE((mask_bits[std::size_t(i)] >> bit & 1) == int(positive));
        }

    // Backward, by the mask that the kernels' own y gives.
    Tensor<double, Cpu> seen(s);
    for (std::size_t i = 0; i < y.size(); ++i) seen.data()[i] = double(float(y[i]));
    const Both<T> old_x(s, 6), old_residual(s, 7);
    const Both<float> old_weight(vector_shape(c), 8), old_bias(vector_shape(c), 9);
    const auto old = [&](const auto& both) { return o.add ? &both : nullptr; };
    auto dx = target(s.size(), old(old_x)), dresidual = target(s.size(), old(old_residual));
    auto dweight = target(c, old(old_weight)), dbias = target(c, old(old_bias));
    const auto asked = [&](unsigned bit, auto* pointer) { return o.wanted & bit ? pointer : nullptr; };
    const gpu::BatchNormTargets<T> targets{asked(1, dx.data()),
                                           asked(2, dresidual.data()),
                                           asked(4, dweight.data()),
                                           asked(8, dbias.data()),
                                           o.add,
                                           o.add,
                                           o.add,
                                           o.add};
    std::fill(scratch.begin(), scratch.end(), NAN);
    const std::uint8_t* const mask = masked ? mask_bits.data() : nullptr;
    gpu::batch_norm_backward(queue, rows, c, x.narrow.data(), mask, dy.narrow.data(), vectors, o.relu, o.batch, targets,
                             scratch.data());
    auto gx = expected_onto(s, old(old_x)), gr = expected_onto(s, old(old_residual));
    auto gw = expected_onto(vector_shape(c), old(old_weight)), gb = expected_onto(vector_shape(c), old(old_bias));
    const op::BatchNormGradients<double, Cpu> all{&gx, Gradient::add, &gr, Gradient::add,
                                                  &gw, Gradient::add, &gb, Gradient::add};
    const op::ReluMask<double, Cpu> mask_of_op{seen, {}};
    op::batch_norm_backward(context, x.wide, masked ? &mask_of_op : nullptr, dy.wide, normal, o.relu, o.batch, all);
    if (o.wanted & 1) REQUIRE(error(dx, gx) < kernel_tolerance<T>());
    if (o.wanted & 2) REQUIRE(error(dresidual, gr) < kernel_tolerance<T>());
    if (o.wanted & 4) REQUIRE(error(dweight, gw) < 2e-5);
    if (o.wanted & 8) REQUIRE(error(dbias, gb) < 2e-5);
    if (!o.add && (o.wanted & 2)) {  // the residual's gradient over dy: the same bits
        auto over = dy.narrow;
        auto again = target<T>(s.size());
        auto weights = target<float>(c), biases = target<float>(c);
        std::fill(scratch.begin(), scratch.end(), NAN);
        gpu::batch_norm_backward<T>(queue, rows, c, x.narrow.data(), mask, over.data(), vectors, o.relu, o.batch,
                                    {asked(1, again.data()), over.data(), asked(4, weights.data()),
                                     asked(8, biases.data()), false, false, false, false},
                                    scratch.data());
        const auto same = [](const auto& a, const auto& b) {
            return std::memcmp(a.data(), b.data(), a.size() * sizeof(a[0])) == 0;
        };
        REQUIRE(same(over, dresidual));
        if (o.wanted & 1) REQUIRE(same(again, dx));
        if (o.wanted & 4) REQUIRE(same(weights, dweight));
        if (o.wanted & 8) REQUIRE(same(biases, dbias));
    }

    auto sums = target(c, old(old_bias));
    std::fill(scratch.begin(), scratch.end(), NAN);
    gpu::channel_sum(queue, rows, c, dy.narrow.data(), scratch.data(), sums.data(), o.add);
    auto sums_by_op = expected_onto(vector_shape(c), old(old_bias));
    op::channel_sum(context, dy.wide, sums_by_op, Gradient::add);
    REQUIRE(error(sums, sums_by_op) < 2e-5);

    auto biased = x.narrow;
    gpu::add_bias(queue, rows, c, bias.narrow.data(), false, biased.data());
    Tensor<double, Cpu> biased_by_hand(s);
    for (std::int64_t i = 0; i < s.size(); ++i)
        biased_by_hand.data()[i] = std::as_const(x.wide).data()[i] + std::as_const(bias.wide).data()[i % c];
    REQUIRE(error(biased, biased_by_hand) < kernel_tolerance<T>());

    // The same with the ReLU that follows, and its way back, which may be written over dy.
    auto positive = x.narrow;
    for (std::size_t i = 0; i < positive.size(); ++i) positive[i] = T(float(positive[i]) - 3);
    const auto before_relu = positive;
    gpu::add_bias(queue, rows, c, bias.narrow.data(), true, positive.data());
    auto slope = o.add ? dy.narrow : target<T>(s.size());
    auto dshift = target(c, old(old_bias));
    std::fill(scratch.begin(), scratch.end(), NAN);
    gpu::bias_relu_backward<T>(queue, rows, c, positive.data(), o.add ? slope.data() : dy.narrow.data(), slope.data(),
                               scratch.data(), dshift.data(), o.add);
    Tensor<double, Cpu> slope_by_hand(s);
    auto dshift_by_hand = expected_onto(vector_shape(c), old(old_bias));
    for (std::int64_t i = 0; i < s.size(); ++i) {
        const double sum = double(float(before_relu[std::size_t(i)])) + std::as_const(bias.wide).data()[i % c];
        REQUIRE(double(float(positive[std::size_t(i)])) ==
                Approx(std::max(sum, 0.0)).epsilon(kernel_tolerance<T>()).margin(1e-6));
        const double g = float(positive[std::size_t(i)]) > 0 ? std::as_const(dy.wide).data()[i] : 0;
        slope_by_hand.data()[i] = g;
        dshift_by_hand.data()[i % c] += g;
    }
    REQUIRE(error(slope, slope_by_hand) == 0);
    REQUIRE(error(dshift, dshift_by_hand) < 2e-5);
}

/// Two batch norms, their sum and a ReLU, against the op in double, by vectors that need not be the images' own.
struct PairCase {
    bool batch, add;
    unsigned wanted = 63;  // bits: x, weight, bias, and the residual's
};

template <class T> void check_pair(const gpu::Queue& queue, Shape s, const PairCase& o) {
    auto& context = default_context<Cpu>();
    const std::int64_t rows = s.rows();
    const int c = int(s.c);
    const Shape vector = vector_shape(c);
    const Both<T> x(s, 1, 1.0), beside(s, 2, -1.0), dy(s, 3);
    const std::array<Both<float>, 8> vectors{Both<float>(vector, 11), Both<float>(vector, 12, 2), Both<float>(vector, 13), Both<float>(vector, 14),
                                             Both<float>(vector, 15), Both<float>(vector, 16, 2), Both<float>(vector, 17), Both<float>(vector, 18)};
    const auto channels = [&](std::size_t at) {
        return gpu::Channels{vectors[at].narrow.data(), vectors[at + 1].narrow.data(), vectors[at + 2].narrow.data(),
                             vectors[at + 3].narrow.data()};
    };
    const auto normalization = [&](std::size_t at) {
        return op::Normalization<double, Cpu>{vectors[at].wide, vectors[at + 1].wide, vectors[at + 2].wide, vectors[at + 3].wide};
    };

    auto y = target<T>(s.size());
    constexpr int wide = gpu::pack_width<T>;
    const int packs = (c + wide - 1) / wide;
    std::vector<std::uint8_t> mask_bits(std::size_t(rows * packs), 255);
    gpu::batch_norm_pair(queue, rows, c, x.narrow.data(), channels(0), beside.narrow.data(), channels(4), y.data(), mask_bits.data());
    REQUIRE(error(y, op::batch_norm_pair(context, x.wide, normalization(0), beside.wide, normalization(4), false).y) <
            2 * kernel_tolerance<T>());
    for (std::int64_t i = 0; i < rows * packs; ++i)
        for (int bit = 0; bit < 8; ++bit) {
            const std::int64_t channel = i % packs * wide + bit;
            const bool positive = bit < wide && channel < c && float(y[std::size_t(i / packs * c + channel)]) > 0;
            REQUIRE((mask_bits[std::size_t(i)] >> bit & 1) == int(positive));
        }
    auto unmasked = target<T>(s.size());
    gpu::batch_norm_pair(queue, rows, c, x.narrow.data(), channels(0), beside.narrow.data(), channels(4), unmasked.data(), nullptr);
    REQUIRE(std::memcmp(unmasked.data(), y.data(), y.size() * sizeof(T)) == 0);

    Tensor<double, Cpu> seen(s);
    for (std::size_t i = 0; i < y.size(); ++i) seen.data()[i] = double(float(y[i]));
    const op::ReluMask<double, Cpu> mask_of_op{seen, {}};
    struct Side {
        Both<T> old_x;
        Both<float> old_weight, old_bias;
        std::vector<T> x;
        std::vector<float> weight, bias;
        Tensor<double, Cpu> x_by_op, weight_by_op, bias_by_op;
    };
    const auto side = [&](std::uint64_t seed) {
        Side out{Both<T>(s, seed), Both<float>(vector, seed + 1), Both<float>(vector, seed + 2), {}, {}, {}, {}, {}, {}};
        const auto old = [&](const auto& both) { return o.add ? &both : nullptr; };
        out.x = target(s.size(), old(out.old_x)), out.weight = target(c, old(out.old_weight)), out.bias = target(c, old(out.old_bias));
        out.x_by_op = expected_onto(s, old(out.old_x)), out.weight_by_op = expected_onto(vector, old(out.old_weight)),
        out.bias_by_op = expected_onto(vector, old(out.old_bias));
        return out;
    };
    std::array<Side, 2> sides{side(20), side(30)};
    const auto targets = [&](std::size_t i) {
        const auto asked = [&](unsigned bit, auto& values) { return o.wanted >> 3 * i & bit ? values.data() : nullptr; };
        return gpu::BatchNormTargets<T>{asked(1, sides[i].x), nullptr, asked(2, sides[i].weight), asked(4, sides[i].bias), o.add, false, o.add, o.add};
    };
    std::vector<float> scratch(std::size_t(gpu::sums_scratch<T>(queue.multiprocessors, rows, c, gpu::pair_gradient_sums)), NAN);
    gpu::batch_norm_pair_backward(queue, rows, c, x.narrow.data(), channels(0), beside.narrow.data(), channels(4), mask_bits.data(),
                                  dy.narrow.data(), o.batch, targets(0), targets(1), scratch.data());
    const auto all = [](Side& of) {
        return op::BatchNormGradients<double, Cpu>{&of.x_by_op, Gradient::add, nullptr, Gradient::add, &of.weight_by_op, Gradient::add,
                                                   &of.bias_by_op, Gradient::add};
    };
    op::batch_norm_pair_backward(context, x.wide, normalization(0), beside.wide, normalization(4), mask_of_op, dy.wide, o.batch,
                                 all(sides[0]), all(sides[1]));
    for (std::size_t i = 0; i < 2; ++i) {
        if (o.wanted >> 3 * i & 1) REQUIRE(error(sides[i].x, sides[i].x_by_op) < kernel_tolerance<T>());
        if (o.wanted >> 3 * i & 2) REQUIRE(error(sides[i].weight, sides[i].weight_by_op) < 2e-5);
        if (o.wanted >> 3 * i & 4) REQUIRE(error(sides[i].bias, sides[i].bias_by_op) < 2e-5);
    }
}

}  // namespace

TEMPLATE_TEST_CASE("batch norm kernels agree with the op in double, in every order of threads", "[gpu][batch_norm]",
                   float, bfloat16, float16) {
    using T = TestType;
    constexpr int wide = gpu::pack_width<T>;
    in_every_order([&](const gpu::Queue& queue) {
        check<T>(queue, {2, 5, 3, wide}, {true, true, true, true});
        check<T>(queue, {1, 3, 7, 5}, {false, true, true, false});
    });
    in_two_orders([&](const gpu::Queue& queue) {
        check<T>(queue, {1, 3, 7, 35 * wide}, {true, true, true, false});  // more packs than a block has lanes
        check<T>(queue, {1, 1, 1, 33}, {false, true, false, true});        // one position
        check<T>(queue, {1, 1, 1, 1}, {true, false, false, false});
    });
}

TEMPLATE_TEST_CASE("batch norm kernels agree with the op whatever is asked of them", "[gpu][batch_norm]", float,
                   bfloat16, float16) {
    using T = TestType;
    in_two_orders([&](const gpu::Queue& queue) {
        for (const bool residual : {false, true})
            for (const bool relu : {false, true})
                for (const bool batch : {false, true})
                    for (const bool add : {false, true}) {
                        check<T>(queue, {2, 5, 3, gpu::pack_width<T>}, {residual, relu, batch, add});
                        check<T>(queue, {1, 3, 7, 5}, {residual, relu, batch, add});
                    }
        for (const unsigned wanted : {1u, 2u, 4u, 8u, 12u})
            check<T>(queue, {1, 3, 5, 3}, {true, true, true, false, wanted});
    });
}

TEMPLATE_TEST_CASE("kernels of two batch norms in one pass agree with the op in double", "[gpu][batch_norm]", float, bfloat16,
                   float16) {
    using T = TestType;
    constexpr int wide = gpu::pack_width<T>;
    in_every_order([&](const gpu::Queue& queue) {
        check_pair<T>(queue, {2, 5, 3, wide}, {true, true});
        check_pair<T>(queue, {1, 3, 7, 5}, {true, false});
    });
    in_two_orders([&](const gpu::Queue& queue) {
        check_pair<T>(queue, {1, 3, 7, 35 * wide}, {true, false});  // more packs than a block has lanes
        check_pair<T>(queue, {1, 1, 1, 33}, {false, true});         // one position
        check_pair<T>(queue, {1, 40, 60, 3}, {true, false});        // several rows for each thread
        for (const bool batch : {false, true})
            for (const unsigned wanted : {1u, 2u, 4u, 8u, 16u, 32u, 9u, 14u, 54u, 62u})
                check_pair<T>(queue, {1, 3, 5, 2 * wide}, {batch, false, wanted});
    });
}

TEST_CASE("sums over rows join every part, and no other, around the shares that join them", "[gpu][batch_norm]") {
    in_two_orders([&](const gpu::Queue& queue) {
        const gpu::Queue wide{nullptr, queue.multiprocessors * 512, queue.blocks_done};
        // 33 channels: 32 rows a part, joined by 8 shares, and a second column of one channel. The last part has one row.
        for (const std::int64_t parts : {7, 8, 9, 31, 32, 33, 65})
            check<float>(wide, {1, 1, 32 * (parts - 1) + 1, 33}, {false, true, true, false});
        check<float>(queue, {1, 100, 60, 2}, {false, true, true, false});  // few parts, many rows for each thread
    });
}
