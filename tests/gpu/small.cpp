// Softmax, cross-entropy, dropout, warp and norm kernels on the host emulation against the ops in double.
#include "gpu/compare.hpp"

#include <holon/op/op.hpp>

#include "support/catch.hpp"

using namespace holon;
using namespace holon::test;

TEMPLATE_TEST_CASE("softmax kernels agree with the op", "[gpu][classify]", float, bfloat16, float16) {
    using T = TestType;
    auto& context = default_context<Cpu>();
    in_every_order([&](const gpu::Queue& queue) {
        for (const Shape s : {Shape{3, 1, 1, 5}, Shape{1, 2, 3, 2}, Shape{700, 1, 1, 1}}) {
            const Both<T> x(s, 1), dy(s, 2), old(s, 3);
            auto y = target<T>(s.size());
            gpu::softmax(queue, s.rows(), int(s.c), x.narrow.data(), y.data());
            REQUIRE(error(y, op::softmax(context, x.wide)) < kernel_tolerance<T>());
            Tensor<double, Cpu> seen(s);
            for (std::size_t i = 0; i < y.size(); ++i) seen.data()[i] = double(float(y[i]));
            for (const Both<T>* before : {static_cast<const Both<T>*>(nullptr), &old}) {
                auto dx = target(s.size(), before);
                auto expected = expected_onto(s, before);
                op::softmax_backward(context, seen, dy.wide, expected, Gradient::add);
                gpu::softmax_backward(queue, s.rows(), int(s.c), std::as_const(y).data(), dy.narrow.data(), dx.data(),
                                      before != nullptr);
                for (std::size_t i = 0; i < dx.size(); ++i)  // one class: all zeros, so absolute
                    REQUIRE(std::abs(double(float(dx[i])) - std::as_const(expected).data()[i]) <
                            4 * kernel_tolerance<T>());
            }
        }
    });
}

TEMPLATE_TEST_CASE("softmax takes the largest logit away first, whichever class has it", "[gpu][classify]", float,
                   bfloat16, float16) {
    // exp(1000) is too large for a double.
    using T = TestType;
    in_every_order([&](const gpu::Queue& queue) {
        const int classes = 5;
        std::vector<T> x(classes * classes, T(0.f)), y(x.size(), T(NAN));
        for (int k = 0; k < classes; ++k) x[std::size_t(k * classes + k)] = T(1000.f);
        gpu::softmax(queue, classes, classes, std::as_const(x).data(), y.data());
        for (int i = 0; i < classes * classes; ++i) REQUIRE(float(y[std::size_t(i)]) == (i % (classes + 1) ? 0 : 1));
    });
}

TEST_CASE("so does cross-entropy", "[gpu][classify]") {
    in_every_order([&](const gpu::Queue& queue) {
        const int classes = 5;
        std::vector<float> x(classes * classes, 0), dx(x.size(), NAN);
        for (int k = 0; k < classes; ++k) x[std::size_t(k * classes + k)] = 1000;
        const std::vector<int> labels(classes, 2);
        float loss = NAN;
        std::vector<double> losses(classes, NAN);
        const float upstream = classes;
        gpu::cross_entropy(queue, classes, classes, x.data(), labels.data(), nullptr, losses.data(), &loss);
        REQUIRE(loss == 800);  // 1000 of every image but the third
        gpu::cross_entropy_backward(queue, classes, classes, x.data(), labels.data(), nullptr, &upstream, dx.data(),
                                    false);
        for (int i = 0; i < classes; ++i)
            for (int k = 0; k < classes; ++k)
                REQUIRE(dx[std::size_t(i * classes + k)] == float(k == i) - float(k == 2));
    });
}

namespace {

void check_cross_entropy(const gpu::Queue& queue, int images, int classes, bool weighted) {
    auto& context = default_context<Cpu>();
    const Shape s{images, 1, 1, classes};
    const Both<float> x(s, 1), old(s, 2);
    std::vector<int> labels;
    std::vector<float> weights;
    for (int i = 0; i < images; ++i) {
        labels.push_back(i * 7 % classes);
        if (weighted) weights.push_back(0.25f * float(i % 9));
    }
    const float* heavy = weighted ? weights.data() : nullptr;
    float loss = NAN;
    std::vector<double> losses(std::size_t(images), NAN);
    gpu::cross_entropy(queue, images, classes, x.narrow.data(), labels.data(), heavy, losses.data(), &loss);
    REQUIRE(double(loss) == Approx(op::cross_entropy(context, x.wide, labels, weights).elements()[0]).epsilon(1e-6));
    const float upstream = 0.5f;
    for (const Both<float>* before : {static_cast<const Both<float>*>(nullptr), &old}) {
        auto dx = target(s.size(), before);
        auto expected = expected_onto(s, before);
        op::cross_entropy_backward(context, x.wide, labels, weights, full<double>({1, 1, 1, 1}, 0.5), expected,
                                   Gradient::add);
        gpu::cross_entropy_backward(queue, images, classes, x.narrow.data(), labels.data(), heavy, &upstream, dx.data(),
                                    before != nullptr);
        REQUIRE(error(dx, expected) < 1e-6);
    }
}

}  // namespace

TEST_CASE("cross-entropy kernels agree with the op, with and without weights", "[gpu][classify]") {
    in_every_order([&](const gpu::Queue& queue) {
        for (const bool weighted : {false, true}) {
            check_cross_entropy(queue, 1, 5, weighted);
            check_cross_entropy(queue, 4, 1, weighted);
            check_cross_entropy(queue, 2, 600, weighted);  // more classes than a block has threads
        }
    });
    check_cross_entropy({nullptr, 1}, 259, 3, true);  // more images than the block of the mean has threads
}

TEMPLATE_TEST_CASE("the dropout kernel draws the mask of every device", "[gpu][dropout]", float, bfloat16, float16) {
    using T = TestType;
    auto& context = default_context<Cpu>();
    const op::DropoutMask mask{.rate = 0.5, .seed = 9, .stream = 4, .first = 77};
    const gpu::Mask words{mask.seed, mask.stream, mask.first, std::uint64_t(mask.rate * 0x1p32),
                          float(1 / (1 - mask.rate))};
    in_every_order([&](const gpu::Queue& queue) {
        for (const std::int64_t count : {1, 3, 4, 5001}) {
            const Shape s = vector_shape(count);
            const Both<T> x(s, 1), old(s, 2);
            auto y = target<T>(count), dx = old.narrow;
            gpu::dropout(queue, count, &words, x.narrow.data(), y.data(), false);
            REQUIRE(error(y, op::dropout(context, x.wide, mask)) == 0);
            auto gradient = old.wide.clone();
            op::dropout_backward(context, x.wide, mask, gradient, Gradient::add);
            gpu::dropout(queue, count, &words, x.narrow.data(), dx.data(), true);
            REQUIRE(error(dx, gradient) < kernel_tolerance<T>());
        }
    });
}

TEST_CASE("dropout keeps a word at the bar and drops the one below", "[gpu][dropout]") {
    const auto words = philox(9, 77, 4);
    const float one[4] = {1, 1, 1, 1};
    in_every_order([&](const gpu::Queue& queue) {
        for (const std::uint32_t word : words)
            for (const std::uint64_t above : {0, 1}) {
                float y[4] = {NAN, NAN, NAN, NAN};
                const gpu::Mask mask{9, 4, 77, word + above, 2};
                gpu::dropout(queue, 4, &mask, one, y, false);
                for (int i = 0; i < 4; ++i) REQUIRE(y[i] == (words[std::size_t(i)] >= word + above ? 2 : 0));
            }
    });
}

namespace {

/// Turned, sheared, zoomed in and out, moved, flipped, and one that has no inverse.
std::vector<op::Warp> some_warps(bool shifted) {
    std::vector<op::Warp> warps(5);
    warps[1].matrix = {0.9, 0.15, -0.2, 1.1};
    warps[1].offset = {0.37, 0.71};
    warps[1].flip_horizontal = true;
    warps[2].matrix = {1.7, -0.3, 0.1, 0.45};
    warps[2].offset = {-2.317, 1.931};  // no position half-way between two pixels
    warps[2].flip_vertical = true;
    warps[3].matrix = {0, 1, 0, 1};
    warps[4].matrix = {-1, 0, 0, -1};
    warps[4].offset = {6.23, 5.41};
    warps[4].flip_horizontal = warps[4].flip_vertical = true;
    if (shifted) {
        warps[1].shift = {0.5f, -0.5f, 0.25f};
        warps[4].shift = {-1.5f, 0.f, 0.f};
    }
    return warps;
}

template <class T> void check_warp(const gpu::Queue& queue, Shape s, const op::WarpOptions& o, bool shifted) {
    auto& context = default_context<Cpu>();
    const std::vector<op::Warp> warps = some_warps(shifted);
    std::vector<gpu::WarpImage> images;
    for (const op::Warp& w : warps)
        images.push_back({{w.matrix[0], w.matrix[1], w.matrix[2], w.matrix[3]},
                          {w.offset[0], w.offset[1]},
                          {w.shift[0], w.shift[1], w.shift[2]},
                          w.flip_horizontal,
                          w.flip_vertical,
                          w.shift != std::array<float, 3>{}});
    const gpu::Warping warping{s.n,
                               s.h,
                               s.w,
                               int(s.c),
                               o.channels,
                               o.bilinear,
                               {o.mean[0], o.mean[1], o.mean[2]},
                               {o.scale[0], o.scale[1], o.scale[2]}};
    const Shape t{s.n, s.h, s.w, o.channels};
    const Both<T> x(s, 1), dy(t, 2), old(s, 3);
    auto y = target<T>(t.size());
    std::vector<float> range(std::size_t(2 * s.n), NAN);
    gpu::affine_warp(queue, warping, images.data(), shifted, x.narrow.data(), range.data(), y.data());
    REQUIRE(error(y, op::affine_warp(context, x.wide, std::span<const op::Warp>(warps), o)) < kernel_tolerance<T>());
    // The clip's edges are values of the image itself, in float here and in double there: the same values are cut.
    for (const Both<T>* before : {static_cast<const Both<T>*>(nullptr), &old}) {
        auto dx = target(s.size(), before);
        auto expected = expected_onto(s, before);
        op::affine_warp_backward(context, x.wide, dy.wide, std::span<const op::Warp>(warps), o, expected,
                                 Gradient::add);
        gpu::affine_warp_backward(queue, warping, images.data(), shifted, x.narrow.data(), dy.narrow.data(),
                                  range.data(), dx.data(), before != nullptr);
        REQUIRE(error(dx, expected) < kernel_tolerance<T>());
    }
}

}  // namespace

TEMPLATE_TEST_CASE("the range of a sampled image is of all its pixels and of no other", "[gpu][warp]", float, bfloat16,
                   float16) {
    // Moved down and to the left by one, so that the first row, the last column are read twice and others not at all.
    using T = TestType;
    std::vector<op::Warp> warps(3);
    warps[1].offset = {-1, 0};
    warps[2].offset = {0, 1};
    std::vector<gpu::WarpImage> images;
    for (const op::Warp& w : warps)
        images.push_back({{1, 0, 0, 1}, {w.offset[0], w.offset[1]}, {0.5f, 0.5f, 0.5f}, false, false, true});
    in_every_order([&](const gpu::Queue& queue) {
        for (const std::int64_t h : {4, 17, 32}) {
            const std::int64_t w = h == 32 ? 16 : h + 2, plane = h * w, last = plane - 1;
            std::vector<T> x(std::size_t(3 * plane), T(1.f)), y(x.size(), T(NAN));
            for (std::int64_t n = 0; n < 3; ++n) {
                x[std::size_t(n * plane)] = T(-2.f);
                x[std::size_t(n * plane + last)] = T(1.5f);
                x[std::size_t(n * plane + last + 1 - w)] = T(1.25f);
            }
            for (const bool bilinear : {false, true}) {
                std::vector<float> range(6, NAN);
                gpu::affine_warp(queue, {3, h, w, 1, 1, bilinear, {0, 0, 0}, {1, 1, 1}}, images.data(), true,
                                 std::as_const(x).data(), range.data(), y.data());
                REQUIRE(range == std::vector<float>{-2, 1.5f, -2, 1, 1, 1.5f});
            }
        }
    });
}

TEMPLATE_TEST_CASE("the warp kernels sample, cut, flip and gather as the op does", "[gpu][warp]", float, bfloat16,
                   float16) {
    in_two_orders([&](const gpu::Queue& queue) {
        for (const bool shifted : {false, true})
            for (const bool bilinear : {false, true}) {
                const op::WarpOptions grey{.channels = 3, .bilinear = bilinear, .mean = {1, 2, 3}, .scale = {1, 2, .5}};
                check_warp<TestType>(queue, {5, 9, 8, 1}, grey, shifted);
                check_warp<TestType>(queue, {5, 7, 10, 3}, grey, shifted);
                check_warp<TestType>(queue, {5, 1, 1, 1}, {.channels = 1, .bilinear = bilinear}, shifted);
            }
    });
}

TEST_CASE("the same of images with more pixels than a block has threads", "[gpu][warp]") {
    in_two_orders([&](const gpu::Queue& queue) {
        for (const bool bilinear : {false, true})
            check_warp<float>(queue, {5, 17, 19, 2}, {.channels = 2, .bilinear = bilinear}, true);
    });
}

TEST_CASE("the sum of squares over several tensors, and how a step takes gradients by it", "[gpu][optimizer]") {
    auto& context = default_context<Cpu>();
    const std::int64_t sizes[] = {1, 300, gpu::norm_chunk, gpu::norm_chunk + 1, 3 * gpu::norm_chunk - 7};
    in_every_order([&](const gpu::Queue& queue) {
        std::vector<Both<float>> all;
        std::vector<const Tensor<double, Cpu>*> wide;
        std::vector<gpu::NormPart> parts;
        std::int64_t chunks = 0;
        for (const std::int64_t size : sizes) all.emplace_back(vector_shape(size), std::uint64_t(size));
        for (auto& x : all) {
            wide.push_back(&x.wide);
            parts.push_back({x.narrow.data(), x.wide.size(), chunks});
            chunks += (x.wide.size() + gpu::norm_chunk - 1) / gpu::norm_chunk;
        }
        std::vector<double> scratch(std::size_t(1 + chunks), NAN);
        const auto sum = [&] {
            gpu::squared_norm(queue, parts.data(), int(parts.size()), chunks, scratch.data());
            return scratch[0];
        };
        const double squares = op::squared_norm(context, std::span<const Tensor<double, Cpu>* const>(wide));
        REQUIRE(sum() == Approx(squares).epsilon(1e-12));
        const double first = sum();
        REQUIRE(sum() == first);  // bit by bit

        float out[3] = {NAN, NAN, NAN}, loss = 1;
        const auto decide = [&](gpu::StepLimit limit, bool by_norm, bool by_loss) {
            gpu::step_scale(queue, by_norm ? scratch.data() : nullptr, by_loss ? &loss : nullptr, &limit, out);
        };
        const double norm = std::sqrt(first);
        decide({0.5, 0}, true, true);
        CHECK((out[0] == 0.5f && out[1] == 1 && out[2] == float(norm)));
        decide({0.5, norm / 4}, true, false);
        CHECK(out[0] == float(0.5 * (norm / 4) / (norm * 0.5)));
        decide({0.5, norm}, true, false);
        CHECK(out[0] == 0.5f);
        for (const double clip : {norm * 0.5 - 0.25, 0.25}) {  // just below the norm, and below 1
            decide({0.5, clip}, true, false);
            CHECK(out[0] == Approx(clip / norm).epsilon(1e-6));
        }
        decide({0.5, norm * 0.5 + 0.25}, true, false);
        CHECK(out[0] == 0.5f);
        loss = INFINITY;
        decide({0.5, 0}, false, true);
        CHECK((out[1] == 0 && out[2] == 0));
        decide({0.5, 0}, true, false);
        CHECK(out[1] == 1);
        all[3].narrow[5] = NAN;
        sum();
        decide({0.5, 1}, true, false);
        CHECK(out[1] == 0);
        parts.clear();
        gpu::squared_norm(queue, parts.data(), 0, 0, scratch.data());
        CHECK(scratch[0] == 0);
    });
}

TEMPLATE_TEST_CASE("sums of squares and the search for what is not finite", "[gpu][reduce]", float, bfloat16, float16) {
    using T = TestType;
    auto& context = default_context<Cpu>();
    in_every_order([&](const gpu::Queue& queue) {
        for (const std::int64_t count : {1, 255, 256, 20000}) {
            Both<T> x(vector_shape(count), 1);
            std::vector<double> scratch(gpu::norm_scratch, NAN);
            gpu::squared_norm(queue, count, x.narrow.data(), scratch.data());
            REQUIRE(scratch[0] == Approx(op::squared_norm(context, x.wide)).epsilon(1e-12));
            int bad = 0;
            gpu::find_not_finite(queue, count, x.narrow.data(), &bad);
            REQUIRE(bad == 0);
            for (const float wrong : {INFINITY, -INFINITY, NAN}) {
                bad = 0;
                auto y = x.narrow;
                y[std::size_t(count * 2 / 3)] = T(wrong);
                gpu::find_not_finite(queue, count, std::as_const(y).data(), &bad);
                REQUIRE(bad == 1);
            }
        }
    });
}
