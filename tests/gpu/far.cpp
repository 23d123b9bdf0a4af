// Kernels on tensors of more than 2^31 elements. Address space is reserved for them and memory taken only for the pages
// that are touched: of every grid the first block and the last ones run, and what those write is compared with the
// formula. An offset that is cut to 32 bits misses the far end, which stays 0.
#include "gpu/compare.hpp"

#include <holon/op/gpu/columns.hpp>

#include <sys/mman.h>

#include <cmath>

#include <holon/op/op.hpp>

#include "support/catch.hpp"

using namespace holon;
using namespace holon::test;

namespace {

constexpr std::int64_t two_31 = std::int64_t(1) << 31;

/// So many zeros, which take memory only where they are written to.
template <class T> class Reserved {
 public:
    explicit Reserved(std::int64_t count) : bytes_(std::size_t(count) * sizeof(T)) {
        void* const place =
            mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (place == MAP_FAILED)
            throw std::runtime_error(text("no address space for ", bytes_, " bytes (ulimit -v, vm.overcommit_memory)"));
        data_ = static_cast<T*>(place);
    }
    Reserved(const Reserved&) = delete;
    Reserved& operator=(const Reserved&) = delete;
    ~Reserved() { munmap(data_, bytes_); }
    T* data() { return data_; }
    const T* read() const { return data_; }
    T& operator[](std::int64_t i) { return data_[i]; }

 private:
    std::size_t bytes_;
    T* data_;
};

/// While one exists, only the first block and the `last` ones of every grid run.
struct Ends {
    explicit Ends(std::uint64_t last) { host_cuda::machine().last_blocks = last; }
    ~Ends() { host_cuda::machine().last_blocks = 0; }
};

/// A card so wide that every thread takes one step.
const gpu::Queue wide{nullptr, 1 << 27};

/// Small whole numbers, exact in every type, different for neighbours and for far and near.
float value(std::int64_t i) { return float(i % 13) - 4; }

/// Fills the last `count` of `size` elements.
template <class T> void fill_end(Reserved<T>& x, std::int64_t size, std::int64_t count) {
    for (std::int64_t i = size - count; i < size; ++i) x[i] = T(value(i));
}

}  // namespace

TEST_CASE("beyond 2^31 elements: elementwise, packs, rest and unaligned", "[gpu][elementwise][far]") {
    const Ends ends(2);
    const std::int64_t room = two_31 + 5003;
    Reserved<bfloat16> a(room), b(room), y(room);
    Reserved<float> wide_y(room);
    for (const std::int64_t shift : {0, 1}) {
        const std::int64_t count = two_31 + 4099, first = count - 200;
        for (std::int64_t i = first; i < count; ++i) {
            a[shift + i] = bfloat16(value(i));
            b[shift + i] = bfloat16(value(i + 5));
        }
        const auto check = [&](const char* what, const auto& expected) {
            INFO(what << ", shifted by " << shift);
            for (std::int64_t i = first; i < count; ++i) REQUIRE(float(y[shift + i]) == expected(i));
        };
        gpu::relu(wide, count, a.read() + shift, y.data() + shift);
        check("relu", [](std::int64_t i) { return std::max(value(i), 0.f); });
        gpu::add(wide, count, a.read() + shift, b.read() + shift, y.data() + shift);
        check("add", [](std::int64_t i) { return value(i) + value(i + 5); });
        gpu::relu_backward(wide, count, a.read() + shift, b.read() + shift, y.data() + shift, false);
        check("relu backward", [](std::int64_t i) { return value(i) > 0 ? value(i + 5) : 0; });
        gpu::relu_backward(wide, count, a.read() + shift, b.read() + shift, y.data() + shift, true);
        check("relu backward, added", [](std::int64_t i) { return value(i) > 0 ? 2 * value(i + 5) : 0; });
        gpu::scale(wide, count, 2.f, y.data() + shift);
        check("scale", [](std::int64_t i) { return value(i) > 0 ? 4 * value(i + 5) : 0; });
        gpu::carry(wide, count, a.read() + shift, wide_y.data() + shift, false);
        for (std::int64_t i = first; i < count; ++i) REQUIRE(wide_y[shift + i] == value(i));
    }
}

TEST_CASE("beyond 2^31 elements: channels padded", "[gpu][elementwise][far]") {
    const Ends ends(2);
    for (const std::int64_t rows : {two_31 / 8 + 300, two_31 / 3 + 300}) {  // of y, and of x
        Reserved<bfloat16> x(rows * 3), y(rows * 8);
        fill_end(x, rows * 3, 300);
        gpu::pad_channels(wide, rows, 3, x.read(), y.data());
        for (std::int64_t row = rows - 100; row < rows; ++row)
            for (int k = 0; k < 8; ++k) REQUIRE(float(y[row * 8 + k]) == (k < 3 ? value(row * 3 + k) : 0));
    }
}

TEST_CASE("beyond 2^31 elements: dropout", "[gpu][dropout][far]") {
    const Ends ends(2);
    const std::int64_t count = two_31 + 4099;
    Reserved<bfloat16> x(count), y(count);
    for (std::int64_t i = count - 200; i < count; ++i) x[i] = bfloat16(3.f);
    const gpu::Mask mask{9, 4, 77, std::uint64_t(1) << 31, 2};
    gpu::dropout(wide, count, &mask, x.read(), y.data(), false);
    for (std::int64_t i = count - 200; i < count; ++i)
        REQUIRE(float(y[i]) == (philox(9, 77 + std::uint64_t(i / 4), 4)[std::size_t(i % 4)] >> 31 ? 6 : 0));
}

TEST_CASE("beyond 2^31 elements: pooling", "[gpu][pooling][far]") {
    const Ends ends(2);
    struct Size {
        std::int64_t h, w;
        int c;
    };
    for (const Size s : {Size{16387, 16387, 8}, Size{26762, 26762, 3}}) {  // packs, and single channels
        const std::int64_t count = s.h * s.w * s.c, rows = s.h - 1, columns = s.w - 1, results = rows * columns * s.c;
        REQUIRE(results > two_31);
        Reserved<bfloat16> x(count), y(results), dx(count), dy(results);
        Reserved<std::uint8_t> place(results);
        const gpu::Pooling o{1, s.h, s.w, rows, columns, s.c, 2, 2, 1, 1, 0, 0};
        // The four positions under the last window, and its gradient; the window before has none.
        const std::int64_t corner[4] = {count - s.w * s.c - 2 * s.c, count - s.w * s.c - s.c, count - 2 * s.c,
                                        count - s.c};
        for (int k = 0; k < s.c; ++k) {
            for (int t = 0; t < 4; ++t) x[corner[t] + k] = bfloat16(t == (k + 3) % 4 ? 7.f : float(t));
            dy[results - s.c + k] = bfloat16(float(4 * k + 4));
        }
        gpu::max_pool(wide, o, x.read(), y.data(), place.data());
        for (int k = 0; k < s.c; ++k) {
            REQUIRE(float(y[results - s.c + k]) == 7);
            REQUIRE(int(place[results - s.c + k]) == (k + 3) % 4);
        }
        gpu::max_pool_backward(wide, o, dy.read(), place.read(), dx.data(), false);
        for (int k = 0; k < s.c; ++k) REQUIRE(float(dx[corner[3] + k]) == (k % 4 == 0 ? 4 * k + 4 : 0));
        gpu::average_pool(wide, o, x.read(), y.data());
        for (int k = 0; k < s.c; ++k)
            REQUIRE(float(y[results - s.c + k]) == float(bfloat16((6.f - float((k + 3) % 4) + 7) / 4)));
        gpu::average_pool_backward(wide, o, dy.read(), dx.data(), false);
        for (int k = 0; k < s.c; ++k) REQUIRE(float(dx[corner[3] + k]) == float(k + 1));
    }
}

TEST_CASE("beyond 2^31 elements: means of whole images, and more of them than a grid is high", "[gpu][pooling][far]") {
    const Ends ends(1);
    for (const std::int64_t n : {65535, 70000})
        for (const int c : {8, 3}) {
            const std::int64_t positions = two_31 / 65000 / c, size = n * positions * c;
            REQUIRE(size > two_31);
            Reserved<bfloat16> x(size), dx(size), y(n * c);
            for (std::int64_t i = size - 2 * c; i < size; ++i) x[i] = bfloat16(1000.f);
            gpu::global_average(wide, n, positions, c, x.read(), y.data());
            for (int k = 0; k < c; ++k) {
                const float mean = float(bfloat16(2000.f / float(positions)));
                REQUIRE(float(y[(n - 1) * c + k]) == mean);
                y[(n - 1) * c + k] = bfloat16(float(positions));
            }
            gpu::global_average_backward(wide, n, positions, c, y.read(), dx.data(), false);
            for (int k = 0; k < c; ++k)
                REQUIRE(float(dx[size - c + k]) ==
                        Approx(double(float(bfloat16(float(positions)))) / double(positions)).epsilon(0.01));
        }
}

TEST_CASE("beyond 2^31 elements: batch norm and sums over rows", "[gpu][batch_norm][far]") {
    const Ends ends(1);
    struct Size {
        std::int64_t rows;
        int c;
    };
    // The last block has the last rows: whole rounds of 65535 blocks.
    for (const Size s : {Size{65535LL * 256 * 17, 8}, Size{65535LL * 256 * 43, 3}}) {
        const std::int64_t size = s.rows * s.c;
        REQUIRE(size > two_31);
        Reserved<bfloat16> x(size), y(size), dy(size), dx(size), beside(size);
        for (int k = 0; k < s.c; ++k) {
            x[size - s.c + k] = bfloat16(1000.f * float(k + 1));
            beside[size - s.c + k] = bfloat16(2.f);
            dy[size - s.c + k] = bfloat16(float(k + 3));
        }
        const auto channels = std::size_t(s.c);
        // Parts that no block sums are 0, which is what they would sum; two of 65535 blocks come.
        std::vector<float> scratch(std::size_t(gpu::sums_scratch<bfloat16>(wide.multiprocessors, s.rows, s.c, gpu::gradient_sums)), 0),
            mean(channels), deviation(channels), unused(channels), variance(channels), sum(channels), dweight(channels),
            dbias(channels);
        unsigned blocks_done = 0;
        const gpu::Queue sums{nullptr, wide.multiprocessors, &blocks_done};
        const auto ready = [&] {
            std::fill(scratch.begin(), scratch.end(), 0);
            blocks_done = 65535 - 2;
        };
        const std::vector<float> zero(channels, 0), one(channels, 1), half_of(channels, 0.5f);
        ready();
        gpu::batch_statistics(sums, s.rows, s.c, x.read(), 1e-5f, {unused.data(), variance.data(), 0, 1, 1},
                              scratch.data(), mean.data(), deviation.data());
        ready();
        gpu::channel_sum(sums, s.rows, s.c, dy.read(), scratch.data(), sum.data(), false);
        for (int k = 0; k < s.c; ++k) {
            const double v = float(bfloat16(1000.f * float(k + 1))), rows = double(s.rows);
            REQUIRE(double(mean[std::size_t(k)]) == Approx(v / rows).epsilon(1e-6));
            REQUIRE(double(variance[std::size_t(k)]) == Approx(v * v / rows).epsilon(1e-6));
            REQUIRE(sum[std::size_t(k)] == float(k + 3));
        }
        const gpu::Channels normal{zero.data(), half_of.data(), one.data(), one.data()};
        Reserved<std::uint8_t> mask_bits(s.rows);
        gpu::batch_norm(wide, s.rows, s.c, x.read(), beside.read(), normal, true, y.data(), mask_bits.data());
        REQUIRE(mask_bits[s.rows - 1] == (1 << s.c) - 1);
        for (int k = 0; k < s.c; ++k)
            REQUIRE(float(y[size - s.c + k]) == float(bfloat16(float(bfloat16(1000.f * float(k + 1))) * 0.5f + 1 + 2)));
        ready();
        gpu::batch_norm_backward(sums, s.rows, s.c, x.read(), mask_bits.read(), dy.read(), normal, true, false,
                                 {dx.data(), beside.data(), dweight.data(), dbias.data(), false, false, false, false},
                                 scratch.data());
        for (int k = 0; k < s.c; ++k) {
            REQUIRE(float(dx[size - s.c + k]) == float(bfloat16(0.5f * float(k + 3))));
            REQUIRE(float(beside[size - s.c + k]) == float(k + 3));
            REQUIRE(dbias[std::size_t(k)] == float(k + 3));
            REQUIRE(dweight[std::size_t(k)] ==
                    Approx(0.5 * double(k + 3) * double(float(bfloat16(1000.f * float(k + 1))))));
        }
        gpu::add_bias(wide, s.rows, s.c, one.data(), false, dy.data());
        for (int k = 0; k < s.c; ++k) REQUIRE(float(dy[size - s.c + k]) == float(k + 4));
    }
}

TEST_CASE("beyond 2^31 elements: softmax, and the slope of cross-entropy", "[gpu][classify][far]") {
    const Ends ends(1);
    const int classes = 4;
    const std::int64_t rows = two_31 / classes + 777, size = rows * classes;
    {
        Reserved<bfloat16> x(size), y(size), dx(size);
        x[size - 1] = bfloat16(100.f);
        gpu::softmax(wide, rows, classes, x.read(), y.data());
        for (int k = 0; k < classes; ++k) REQUIRE(float(y[size - classes + k]) == (k == 3 ? 1 : 0));
        for (int k = 0; k < classes; ++k) y[size - classes + k] = bfloat16(0.25f);
        gpu::softmax_backward(wide, rows, classes, y.read(), x.read(), dx.data(), false);
        for (int k = 0; k < classes; ++k) REQUIRE(float(dx[size - classes + k]) == (k == 3 ? 18.75f : -6.25f));
    }
    // The loss itself is one block's and walks through all images, so no test of it fits here.
    Reserved<float> logits(size), dx(size), weights(rows);
    Reserved<int> labels(rows);
    labels[rows - 1] = 2;
    weights[rows - 1] = float(rows);
    const float upstream = 8;
    gpu::cross_entropy_backward(wide, int(rows), classes, logits.read(), labels.read(), weights.read(), &upstream,
                                dx.data(), false);
    for (int k = 0; k < classes; ++k) REQUIRE(dx[size - classes + k] == Approx(k == 2 ? -6 : 2));
}

TEST_CASE("beyond 2^31 elements: warps", "[gpu][warp][far]") {
    const Ends ends(1);
    const std::int64_t h = 16, w = 16, plane = h * w;
    for (const int from : {1, 3}) {
        const std::int64_t n = two_31 / plane / from + 3;
        const Shape one{1, h, w, from}, result{1, h, w, 3};
        Reserved<bfloat16> x(n * plane * from), dx(n * plane * from), y(n * plane * 3), dy(n * plane * 3);
        Reserved<gpu::WarpImage> images(n);
        Reserved<float> range(2 * n);
        fill_end(x, n * plane * from, plane * from);
        fill_end(dy, n * plane * 3, plane * 3);
        images[n - 1] = {{0.9, 0.15, -0.2, 1.1}, {0.37, 0.71}, {0.5f, -0.5f, 0.25f}, true, false, true};
        const gpu::Warping o{n, h, w, from, 3, true, {1, 2, 3}, {1, 2, .5}};
        gpu::affine_warp(wide, o, images.data(), true, x.read(), range.data(), y.data());
        gpu::affine_warp_backward(wide, o, images.data(), true, x.read(), dy.read(), range.data(), dx.data(), false);

        auto& context = default_context<Cpu>();
        std::vector<op::Warp> warps(1);
        warps[0].matrix = {0.9, 0.15, -0.2, 1.1};
        warps[0].offset = {0.37, 0.71};
        warps[0].shift = {0.5f, -0.5f, 0.25f};
        warps[0].flip_horizontal = true;
        const op::WarpOptions options{.channels = 3, .bilinear = true, .mean = {1, 2, 3}, .scale = {1, 2, .5}};
        Tensor<double, Cpu> image(one), slope(result);
        for (std::int64_t i = 0; i < one.size(); ++i) image.data()[i] = double(float(x[(n - 1) * plane * from + i]));
        for (std::int64_t i = 0; i < result.size(); ++i) slope.data()[i] = double(float(dy[(n - 1) * plane * 3 + i]));
        const auto end_of = [](Reserved<bfloat16>& all, std::int64_t size, std::int64_t count) {
            return std::vector<bfloat16>(all.data() + size - count, all.data() + size);
        };
        const std::span<const op::Warp> all(warps);
        REQUIRE(error(end_of(y, n * plane * 3, plane * 3), op::affine_warp(context, image, all, options)) <
                kernel_tolerance<bfloat16>());
        auto expected = zeros<double>(one);
        op::affine_warp_backward(context, image, slope, all, options, expected, Gradient::add);
        REQUIRE(error(end_of(dx, n * plane * from, plane * from), expected) < kernel_tolerance<bfloat16>());
    }
}

TEST_CASE("beyond 2^31 elements: the optimizers, and a parameter behind", "[gpu][optimizer][far]") {
    const Ends ends(3);
    const std::int64_t count = two_31 + 5, chunks = (count + gpu::step_chunk - 1) / gpu::step_chunk;
    Reserved<float> gradient(count), w(count), first(count), second(count);
    float behind[4] = {2, 1, 0, 0};  // gradient, value, first, second
    gradient[count - 1] = 2, w[count - 1] = 1;
    const gpu::StepParameter all[] = {
        {gradient.read(), w.data(), first.data(), second.data(), count, 0, 0.5f, 0, 1},
        {&behind[0], &behind[1], &behind[2], &behind[3], 1, chunks, 0.25f, 0, 1},
    };
    const gpu::AdamNumbers numbers{0.5f, 0.5f, 0.75f, 0.25f, 2, 2, 0, 1};
    gpu::adam(wide, all, 2, chunks + 1, &numbers, nullptr);
    // first 1, second 1; value 1 - rate * 2 * 1 / (1 * 2)
    CHECK(first[count - 1] == 1);
    CHECK(second[count - 1] == 1);
    CHECK(w[count - 1] == 0.5f);
    CHECK(behind[1] == 0.75f);
    const gpu::SgdNumbers momentum{0.5f, 1, false};
    gpu::sgd(wide, all, 2, chunks + 1, &momentum, nullptr);  // velocity 0.5 + 2
    CHECK(first[count - 1] == 2.5f);
    CHECK(w[count - 1] == 0.5f - 0.5f * 2.5f);
    CHECK(behind[1] == 0.75f - 0.25f * 2.5f);
}

TEST_CASE("beyond 2^31 elements: sums of squares and what is not finite", "[gpu][reduce][far]") {
    const Ends ends(1);
    const std::int64_t count = two_31 + 65536;  // the last element is of the last of 256 blocks
    Reserved<bfloat16> x(count);
    x[count - 1] = bfloat16(3.f);
    x[0] = bfloat16(4.f);
    std::vector<double> scratch(gpu::norm_scratch, 0);
    gpu::squared_norm(wide, count, x.read(), scratch.data());
    CHECK(scratch[0] == 25);
    int bad = 0;
    gpu::find_not_finite(wide, count, x.read(), &bad);
    CHECK(bad == 0);
    x[count - 1] = bfloat16(INFINITY);
    gpu::find_not_finite(wide, count, x.read(), &bad);
    CHECK(bad == 1);
}
