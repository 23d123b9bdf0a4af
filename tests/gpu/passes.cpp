// Elementwise kernels, pooling and the optimizers on the host emulation against the ops in double.
#include "gpu/compare.hpp"

#include <holon/op/op.hpp>

#include "support/catch.hpp"

using namespace holon;
using namespace holon::test;

TEMPLATE_TEST_CASE("elementwise kernels agree with the ops: packs, rest, unaligned", "[gpu][elementwise]", float,
                   bfloat16, float16) {
    using T = TestType;
    constexpr int W = gpu::pack_width<T>;
    auto& context = default_context<Cpu>();
    in_every_order([&](const gpu::Queue& queue) {
        for (const std::int64_t count : {1, W - 1, W, 5 * W + 3, 3000}) {
            const Shape s{1, 1, 1, count};
            const Both<T> a(s, 1), b(s, 2), old(s, 3);
            auto y = target<T>(count);
            gpu::relu(queue, count, a.narrow.data(), y.data());
            REQUIRE(error(y, op::relu(context, a.wide)) == 0);
            gpu::add(queue, count, a.narrow.data(), b.narrow.data(), y.data());
            REQUIRE(error(y, op::add(context, a.wide, b.wide)) < kernel_tolerance<T>());
            y = a.narrow;
            gpu::scale(queue, count, 0.5f, y.data());
            auto half_a = a.wide.clone();
            op::scale(context, half_a, 0.5);
            REQUIRE(error(y, half_a) == 0);
            for (const Both<T>* before : {static_cast<const Both<T>*>(nullptr), &old}) {
                auto dx = target(count, before);
                auto expected = expected_onto(s, before);
                op::relu_backward(context, a.wide, b.wide, expected, Gradient::add);
                gpu::relu_backward(queue, count, a.narrow.data(), b.narrow.data(), dx.data(), before != nullptr);
                REQUIRE(error(dx, expected) < kernel_tolerance<T>());
            }
            auto wide = target<float>(count);
            gpu::carry(queue, count, a.narrow.data(), wide.data(), false);
            REQUIRE(error(wide, a.wide) == 0);
            y = target<T>(count);
            gpu::carry(queue, count, std::as_const(wide).data(), y.data(), false);
            REQUIRE(error(y, a.wide) == 0);
            gpu::carry(queue, count, a.narrow.data(), wide.data(), true);
            auto twice = a.wide.clone();
            op::scale(context, twice, 2.0);
            REQUIRE(error(wide, twice) == 0);
            // One element further on nothing is aligned to 16 bytes.
            y = target<T>(count);
            gpu::add(queue, count - 1, a.narrow.data() + 1, b.narrow.data() + 1, y.data() + 1);
            REQUIRE(std::isnan(float(y[0])));
            if (count > 1) {
                y[0] = T(float(a.narrow[0]) + float(b.narrow[0]));
                REQUIRE(error(y, op::add(context, a.wide, b.wide)) < kernel_tolerance<T>());
            }
        }
    });
}

TEST_CASE("channels are padded with zeros up to a pack, whatever their number", "[gpu][elementwise]") {
    constexpr int W = gpu::pack_width<bfloat16>;
    in_every_order([&](const gpu::Queue& queue) {
        for (const std::int64_t rows : {1, 5, 300, 5000})
            for (int channels = 1; channels <= W; ++channels) {
                const Shape s{1, 1, rows, channels};
                const Both<bfloat16> x(s, 1);
                std::vector<float> wide(x.narrow.begin(), x.narrow.end());
                for (float& v : wide) v *= 1.001f;  // no bfloat16 any more: rounded on the way
                auto y = target<bfloat16>(rows * W), z = y;
                gpu::pad_channels(queue, rows, channels, x.narrow.data(), y.data());
                gpu::pad_channels(queue, rows, channels, std::as_const(wide).data(), z.data());
                for (std::int64_t i = 0; i < rows * W; ++i) {
                    const std::int64_t k = i % W, at = i / W * channels + k;
                    const bool there = k < channels;
                    REQUIRE(y[std::size_t(i)].bits == (there ? x.narrow[std::size_t(at)].bits : 0));
                    REQUIRE(z[std::size_t(i)].bits == (there ? bfloat16(wide[std::size_t(at)]).bits : 0));
                }
            }
    });
    gpu::pad_channels<bfloat16, bfloat16>({nullptr, 1}, 0, 3, nullptr, nullptr);
}

TEST_CASE("the deviation's inverse agrees with the op: packs, rest, unaligned",
          "[gpu][elementwise]") {
    auto& context = default_context<Cpu>();
    in_every_order([&](const gpu::Queue& queue) {
        for (const int channels : {1, 3, 4, 23, 1500}) {
            // One element further on nothing is aligned to 16 bytes.
            for (const int shift : {0, 1}) {
                const Shape s = vector_shape(channels);
                Both<float> variance(vector_shape(channels + shift), 1, 2.0);
                Tensor<double, Cpu> wide(s);
                for (int k = 0; k < channels; ++k) {
                    float& v = variance.narrow[std::size_t(k + shift)];
                    v = std::abs(v);
                    wide.data()[k] = double(v);
                }
                auto y = target<float>(channels + shift);
                gpu::inverse_deviation(queue, channels, variance.narrow.data() + shift, 0.25f, y.data() + shift);
                REQUIRE(std::isnan(y[0]) == (shift == 1));
                y.erase(y.begin(), y.begin() + shift);
                REQUIRE(error(y, op::inverse_deviation(context, wide, 0.25)) < 1e-6);
            }
        }
    });
}

namespace {

gpu::Pooling pooling(Shape s, const Pool2dOptions& o) {
    const Shape t = op::pool2d_shape(s, o);
    return {s.n,        s.h,        s.w,        t.h,        t.w,           int(s.c),
            o.window.h, o.window.w, o.step().h, o.step().w, o.padding.top, o.padding.left};
}

template <class T> void check_pools(const gpu::Queue& queue, Shape s, const Pool2dOptions& o) {
    auto& context = default_context<Cpu>();
    const Shape t = op::pool2d_shape(s, o), g{s.n, 1, 1, s.c};
    const gpu::Pooling p = pooling(s, o);
    const Both<T> x(s, 1), dy(t, 2), old(s, 3), dg(g, 4);
    auto y = target<T>(t.size()), mean = target<T>(g.size());
    std::vector<std::uint8_t> place(std::size_t(t.size()), 255);
    gpu::max_pool(queue, p, x.narrow.data(), y.data(), place.data());
    const auto largest = op::max_pool2d(context, x.wide, o);
    REQUIRE(error(y, largest.y) == 0);
    REQUIRE(std::equal(place.begin(), place.end(), std::as_const(largest.place).data()));
    gpu::average_pool(queue, p, x.narrow.data(), y.data());
    REQUIRE(error(y, op::average_pool2d(context, x.wide, o)) < kernel_tolerance<T>());
    gpu::global_average(queue, s.n, s.h * s.w, int(s.c), x.narrow.data(), mean.data());
    REQUIRE(error(mean, op::global_average(context, x.wide)) < kernel_tolerance<T>());
    for (const Both<T>* before : {static_cast<const Both<T>*>(nullptr), &old}) {
        const bool add = before;
        auto dx = target(s.size(), before);
        auto expected = expected_onto(s, before);
        op::max_pool2d_backward(context, dy.wide, largest.place, o, expected, Gradient::add);
        gpu::max_pool_backward(queue, p, dy.narrow.data(), std::as_const(place).data(), dx.data(), add);
        REQUIRE(error(dx, expected) < kernel_tolerance<T>());
        dx = target(s.size(), before);
        expected = expected_onto(s, before);
        op::average_pool2d_backward(context, dy.wide, o, expected, Gradient::add);
        gpu::average_pool_backward(queue, p, dy.narrow.data(), dx.data(), add);
        REQUIRE(error(dx, expected) < kernel_tolerance<T>());
        dx = target(s.size(), before);
        expected = expected_onto(s, before);
        op::global_average_backward(context, dg.wide, expected, Gradient::add);
        gpu::global_average_backward(queue, s.n, s.h * s.w, int(s.c), dg.narrow.data(), dx.data(), add);
        REQUIRE(error(dx, expected) < kernel_tolerance<T>());
    }
}

}  // namespace

TEMPLATE_TEST_CASE("pooling kernels agree with the ops: windows, ties, whole images", "[gpu][pooling]", float, bfloat16,
                   float16) {
    using T = TestType;
    constexpr int W = gpu::pack_width<T>;
    in_every_order([&](const gpu::Queue& queue) {
        check_pools<T>(queue, {2, 9, 7, 2 * W}, {.window = 3, .stride = 2, .padding = 1});  // ResNet's
        check_pools<T>(queue, {1, 8, 6, W}, {.window = 2});                                 // VGG's
        check_pools<T>(queue, {1, 3, 2, 33 * W}, {.window = 2, .stride = 1});
        check_pools<T>(queue, {1, 5, 11, 3}, {.window = {2, 4}, .stride = {1, 3}, .padding = {0, 1, 2, 1}});
        check_pools<T>(queue, {3, 1, 1, 5}, {.window = 1});
    });
}

TEST_CASE("one launch of an optimizer steps every parameter as the op does", "[gpu][optimizer]") {
    auto& context = default_context<Cpu>();
    const std::int64_t sizes[] = {1, 64, gpu::step_chunk, gpu::step_chunk + 1, 3 * gpu::step_chunk - 5};
    enum class Kind { adam, sgd, momentum, nesterov };
    in_every_order([&](const gpu::Queue& queue) {
        // Half of the gradients are taken, as the numbers say or as was decided on the card; or none, and nothing
        // moves.
        constexpr float half_taken[] = {0.5f, 1}, left_out[] = {0.5f, 0};
        for (const float* scale : {static_cast<const float*>(nullptr), half_taken, left_out})
            for (const Kind kind : {Kind::adam, Kind::sgd, Kind::momentum, Kind::nesterov}) {
                std::vector<Both<float>> g, w, m, v;
                std::uint64_t seed = 1;
                for (const std::int64_t size : sizes)
                    for (auto* list : {&g, &w, &m, &v}) list->emplace_back(vector_shape(size), seed++);
                for (auto& second : v)
                    for (std::size_t i = 0; i < second.narrow.size(); ++i) {
                        second.narrow[i] = std::abs(second.narrow[i]);
                        second.wide.data()[i] = double(second.narrow[i]);
                    }
                std::vector<op::AdamOperand<double, Cpu>> adams;
                std::vector<op::SgdOperand<double, Cpu>> sgds;
                std::vector<gpu::StepParameter> parameters;
                std::vector<std::vector<std::uint16_t>> copies;
                std::int64_t chunks = 0;
                const double rate = 0.01, coupled = 0.1, decoupled = 0.2;
                const bool moving = kind != Kind::sgd;
                for (std::size_t k = 0; k < g.size(); ++k) {
                    adams.push_back({&g[k].wide, &w[k].wide, &m[k].wide, &v[k].wide, rate, coupled, decoupled});
                    sgds.push_back({&g[k].wide, &w[k].wide, moving ? &m[k].wide : nullptr, rate, coupled, decoupled});
                    parameters.push_back({g[k].narrow.data(), w[k].narrow.data(), moving ? m[k].narrow.data() : nullptr,
                                          kind == Kind::adam ? v[k].narrow.data() : nullptr, sizes[k], chunks,
                                          float(rate), float(coupled), float(1 - rate * decoupled)});
                    chunks += (sizes[k] + gpu::step_chunk - 1) / gpu::step_chunk;
                    // Of the last two, rows of 3 and of 7 channels, with room for 8 in the copy.
                    const int channels = k + 2 < g.size() ? 0 : k + 1 < g.size() ? 3 : 7, padded = channels ? 8 : 0;
                    REQUIRE((!channels || sizes[k] % channels == 0));
                    parameters.back().channels = channels, parameters.back().padded = padded;
                    copies.emplace_back(std::size_t(channels ? sizes[k] / channels * padded : sizes[k]),
                                        std::uint16_t(0x7fff));
                    parameters.back().copy = copies.back().data();
                    parameters.back().copy_type = gpu::NarrowType((k + std::size_t(kind)) % 3);
                }
                if (kind == Kind::adam) {
                    const op::AdamStep step{.step = 3, .gradient_scale = 0.5};
                    const gpu::AdamNumbers numbers{0.9f,
                                                   0.1f,
                                                   0.999f,
                                                   0.001f,
                                                   float(1 / (1 - std::pow(step.beta1, 3.0))),
                                                   float(1 / std::sqrt(1 - std::pow(step.beta2, 3.0))),
                                                   1e-8f,
                                                   scale ? NAN : 0.5f};
                    if (scale != left_out)
                        op::adam(context, std::span<const op::AdamOperand<double, Cpu>>(adams), step);
                    gpu::adam(queue, parameters.data(), int(parameters.size()), chunks, &numbers, scale);
                } else {
                    const op::SgdStep step{moving ? 0.9 : 0.0, kind == Kind::nesterov, 0.5};
                    if (scale != left_out) op::sgd(context, std::span<const op::SgdOperand<double, Cpu>>(sgds), step);
                    const gpu::SgdNumbers numbers{float(step.momentum), scale ? NAN : float(step.gradient_scale),
                                                  step.nesterov};
                    gpu::sgd(queue, parameters.data(), int(parameters.size()), chunks, &numbers, scale);
                }
                for (std::size_t k = 0; k < g.size(); ++k) {
                    REQUIRE(error(w[k].narrow, w[k].wide) < 1e-5);
                    REQUIRE(error(m[k].narrow, m[k].wide) < 1e-6);
                    REQUIRE(error(v[k].narrow, v[k].wide) < 1e-6);
                    const gpu::NarrowType type = parameters[k].copy_type;
                    const auto channels = std::size_t(parameters[k].channels), padded = std::size_t(parameters[k].padded);
                    for (std::size_t at = 0; at < copies[k].size(); ++at) {
                        const bool there = !channels || at % padded < channels;
                        const std::size_t i = channels ? at / padded * channels + at % padded : at;
                        REQUIRE(copies[k][at] ==
                                (scale == left_out || type == gpu::NarrowType::none || !there ? 0x7fff
                                 : type == gpu::NarrowType::bfloat16 ? bfloat16(w[k].narrow[i]).bits
                                                                     : float16(w[k].narrow[i]).bits));
                    }
                }
            }
    });
}

TEST_CASE("one launch widens every gradient that came in 16 bits", "[gpu][optimizer]") {
    const std::int64_t sizes[] = {1, 64, gpu::step_chunk, gpu::step_chunk + 1, 3 * gpu::step_chunk - 5};
    in_every_order([&](const gpu::Queue& queue) {
        for (const bool add : {false, true}) {
            std::vector<Both<bfloat16>> b;
            std::vector<Both<float16>> h;
            std::vector<Both<float>> old;
            std::vector<std::vector<float>> to;
            std::vector<gpu::NarrowGradient> parts;
            std::int64_t chunks = 0;
            for (const std::int64_t size : sizes) {
                b.emplace_back(vector_shape(size), 1), h.emplace_back(vector_shape(size), 2);
                old.emplace_back(vector_shape(size), 3);
                to.push_back(target(size, add ? &old.back() : nullptr)), to.push_back(to.back());
            }
            for (std::size_t k = 0; k < to.size(); ++k) {
                const bool is_half = k % 2;
                parts.push_back({is_half ? static_cast<const void*>(h[k / 2].narrow.data()) : b[k / 2].narrow.data(),
                                 to[k].data(), sizes[k / 2], chunks,
                                 is_half ? gpu::NarrowType::float16 : gpu::NarrowType::bfloat16, add});
                chunks += (sizes[k / 2] + gpu::step_chunk - 1) / gpu::step_chunk;
            }
            gpu::widen_gradients(queue, parts.data(), int(parts.size()), chunks);
            for (std::size_t k = 0; k < to.size(); ++k)
                for (std::size_t i = 0; i < to[k].size(); ++i)
                    REQUIRE(to[k][i] == (k % 2 ? float(h[k / 2].narrow[i]) : float(b[k / 2].narrow[i])) +
                                            (add ? old[k / 2].narrow[i] : 0));
        }
    });
    gpu::widen_gradients({nullptr, 1}, nullptr, 0, 0);
}

TEST_CASE("of gradients of padded filters only the channels that count are widened", "[gpu][optimizer]") {
    constexpr int W = gpu::pack_width<bfloat16>;
    in_every_order([&](const gpu::Queue& queue) {
        for (const bool add : {false, true})
            for (int channels = 1; channels < W; ++channels) {
                // Two chunks and a rest, so that a row lies on both sides of where one ends.
                const std::int64_t rows = (2 * gpu::step_chunk + 40) / channels, count = rows * channels;
                const Both<bfloat16> narrow(vector_shape(rows * W), 1);
                const Both<float16> plain(vector_shape(77), 2);
                const Both<float> old(vector_shape(count), 3);
                auto to = target(count, add ? &old : nullptr), other = target<float>(77);
                const std::int64_t chunks = (count + gpu::step_chunk - 1) / gpu::step_chunk;
                const gpu::NarrowGradient parts[] = {
                    {narrow.narrow.data(), to.data(), count, 0, gpu::NarrowType::bfloat16, add, channels, W},
                    {plain.narrow.data(), other.data(), 77, chunks, gpu::NarrowType::float16, false}};
                gpu::widen_gradients(queue, parts, 2, chunks + 1);
                for (std::int64_t i = 0; i < count; ++i)
                    REQUIRE(to[std::size_t(i)] == float(narrow.narrow[std::size_t(i / channels * W + i % channels)]) +
                                                      (add ? old.narrow[std::size_t(i)] : 0));
                for (std::size_t i = 0; i < 77; ++i) REQUIRE(other[i] == float(plain.narrow[i]));
            }
    });
}
