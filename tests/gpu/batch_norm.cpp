// The batch norm kernels on the host emulation against the same ops in double: in every order of threads, with poisoned
// shared memory, at channels that fill packs and that do not.
#include "gpu/host_cuda.hpp"

#include <holon/batch_norm.cuh>
#include <holon/op/op.hpp>

#include "gpu/compare.hpp"
#include "support/catch.hpp"

using namespace holon;
using namespace holon::test;

namespace {

template <class T, int W> void check(const Order& order, Shape s, bool residual, bool relu, bool batch, bool add) {
    auto& context = default_context<Cpu>();
    const std::int64_t rows = s.rows(), packs = s.size() / W;
    const int c = int(s.c), parts = 3;
    const dim3 sums_grid(unsigned((c / W + gpu::sum_lanes - 1) / gpu::sum_lanes), parts),
        sums_block(gpu::sum_lanes, gpu::sum_rows);
    const dim3 channel_grid(unsigned((c + 31) / 32)), channel_block(32), flat_grid(3), flat_block(64);
    const Both<T> x(s, 1, 3.0), beside(s, 2), dy(s, 3);
    const Both<float> weight(vector_shape(c), 4), bias(vector_shape(c), 5);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const std::size_t channels = std::size_t(c), size = std::size_t(s.size());

    std::vector<float> level(channels, nan), partial(2 * parts * channels, nan), mean(channels, nan),
        variance(channels, nan);
    launch(order, gpu::sample_level<T>, channel_grid, channel_block, rows, c, x.narrow.data(), level.data());
    launch(order, gpu::channel_sums<W, gpu::MomentRows<T, W>>, sums_grid, sums_block, rows, c,
           gpu::MomentRows<T, W>{x.narrow.data(), level.data(), c}, partial.data());
    launch(order, gpu::finish_moments, channel_grid, channel_block, parts, rows, c, partial.data(), level.data(),
           mean.data(), variance.data());
    const auto moments = op::channel_moments(context, x.wide);
    REQUIRE(error(mean, moments.mean) < 1e-6);
    REQUIRE(error(variance, moments.variance) < 1e-5);

    // From here on both sides go by the same vectors.
    op::Normalization<double, Cpu> normal{moments.mean, op::inverse_deviation(context, moments.variance, 1e-5),
                                          weight.wide, bias.wide};
    std::vector<float> deviation(channels);
    for (std::size_t k = 0; k < channels; ++k) {
        mean[k] = float(std::as_const(normal.mean).data()[k]);
        normal.mean.data()[k] = double(mean[k]);
        deviation[k] = float(std::as_const(normal.inverse_deviation).data()[k]);
        normal.inverse_deviation.data()[k] = double(deviation[k]);
    }
    const gpu::Channels vectors{mean.data(), deviation.data(), weight.narrow.data(), bias.narrow.data()};
    std::vector<T> y(size, T(nan));
    launch(order, gpu::batch_norm_forward<T, W>, flat_grid, flat_block, packs, c, x.narrow.data(),
           residual ? beside.narrow.data() : nullptr, vectors, relu, y.data());
    const auto expected = op::batch_norm(context, x.wide, residual ? &beside.wide : nullptr, normal, relu);
    REQUIRE(error(y, expected) < kernel_tolerance<T>());

    // Backward, by the mask that the kernels' own y gives.
    Tensor<double, Cpu> seen(s);
    for (std::size_t i = 0; i < size; ++i) seen.data()[i] = double(float(y[i]));
    const bool by_y = relu && residual;
    const Both<T> old_x(s, 6), old_residual(s, 7);
    const Both<float> old_weight(vector_shape(c), 8), old_bias(vector_shape(c), 9);
    std::vector<T> dx = add ? old_x.narrow : std::vector<T>(size, T(nan)),
                   dresidual = add ? old_residual.narrow : std::vector<T>(size, T(nan));
    std::vector<float> dweight = add ? old_weight.narrow : std::vector<float>(channels, nan),
                       dbias = add ? old_bias.narrow : std::vector<float>(channels, nan), tilt(channels, nan),
                       lift(channels, nan);
    const gpu::Masked<T, W> masked{x.narrow.data(), by_y ? y.data() : nullptr, dy.narrow.data(), vectors, c, relu};
    std::fill(partial.begin(), partial.end(), nan);
    launch(order, gpu::channel_sums<W, gpu::GradientRows<T, W>>, sums_grid, sums_block, rows, c,
           gpu::GradientRows<T, W>{masked}, partial.data());
    launch(order, gpu::finish_gradients, channel_grid, channel_block, parts, rows, c, partial.data(), vectors, batch,
           dweight.data(), add, dbias.data(), add, tilt.data(), lift.data());
    launch(order, gpu::batch_norm_backward<T, W>, flat_grid, flat_block, packs, masked, tilt.data(), lift.data(),
           dx.data(), add, dresidual.data(), add);
    const auto before = [&](const auto& old) { return add ? old.wide.clone() : zeros<double>(old.wide.shape()); };
    auto gx = before(old_x), gr = before(old_residual), gw = before(old_weight), gb = before(old_bias);
    const op::BatchNormGradients<double, Cpu> wanted{&gx, Gradient::add, &gr, Gradient::add,
                                                     &gw, Gradient::add, &gb, Gradient::add};
    op::batch_norm_backward(context, x.wide, by_y ? &seen : nullptr, dy.wide, normal, relu, batch, wanted);
    REQUIRE(error(dx, gx) < kernel_tolerance<T>());
    REQUIRE(error(dresidual, gr) < kernel_tolerance<T>());
    REQUIRE(error(dweight, gw) < 2e-5);
    REQUIRE(error(dbias, gb) < 2e-5);
}

template <class T> void check_all(const Order& order) {
    constexpr int wide = gpu::pack_width<T>;
    for (const bool residual : {false, true})
        for (const bool relu : {false, true})
            for (const bool batch : {false, true})
                for (const bool add : {false, true}) {
                    check<T, wide>(order, {2, 5, 3, wide}, residual, relu, batch, add);
                    check<T, 1>(order, {1, 3, 7, 5}, residual, relu, batch, add);
                }
    check<T, wide>(order, {1, 9, 11, 35 * wide}, true, true, true, false);  // more packs than a block has lanes
    check<T, 1>(order, {1, 1, 1, 33}, false, true, false, true);            // one position
}

}  // namespace

TEMPLATE_TEST_CASE("batch norm kernels agree with the op in double, in every order of threads", "[gpu]", float,
                   bfloat16, half) {
    for (const Order& order : orders) check_all<TestType>(order);
}

TEST_CASE("a barrier taken out of the sums is noticed", "[gpu]") {
    // Shared memory is poisoned: whoever reads before the others have written reads no number.
    const int c = 8, rows = 50;
    const Both<float> x({1, 1, rows, c}, 1);
    const std::vector<float> level(c, 0.f);
    const auto summed = [&](const Order& order) {
        std::vector<float> partial(2 * c, 0.f);
        launch(order, gpu::channel_sums<4, gpu::MomentRows<float, 4>>, 1, dim3(gpu::sum_lanes, gpu::sum_rows),
               std::int64_t(rows), c, gpu::MomentRows<float, 4>{x.narrow.data(), level.data(), c}, partial.data());
        return partial;
    };
    const auto right = summed({Order::ascending});
    for (const float v : right) REQUIRE(std::isfinite(v));
    for (const Order& order : orders) CHECK(summed(order) == right);
    host_cuda::machine().skip_barriers = true;
    int wrong = 0;
    for (const Order& order : orders) wrong += summed(order) != right;
    host_cuda::machine().skip_barriers = false;
    CHECK(wrong > 0);
}

__global__ void parts_at_a_barrier(bool all) {
    if (all || threadIdx.x < 3) __syncthreads();
}

TEST_CASE("a barrier that some threads pass by is an error", "[gpu]") {
    CHECK_NOTHROW(launch({}, parts_at_a_barrier, 2, 8, true));
    CHECK_THROWS_WITH(launch({}, parts_at_a_barrier, 2, 8, false), ContainsText("divergent barrier"));
}
