// pipeline/roof.hpp: what a device reaches at best, measured: the rate of a matrix product and the bandwidth of a copy.
#pragma once
#include <chrono>

#include <holon/core/random.hpp>
#include <holon/op/op.hpp>
#include <holon/tensor/transfer.hpp>

namespace holon::pipeline {

/// Measures what a device does between two calls.
template <Device D> class Watch;
template <> class Watch<Cpu> {
 public:
    explicit Watch(Context<Cpu>&) {}
    void start() { begin_ = std::chrono::steady_clock::now(); }
    double stop() { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

 private:
    std::chrono::steady_clock::time_point begin_;
};
#ifdef HOLON_CUDA
template <> class Watch<Gpu> : public gpu::Stopwatch {
 public:
    explicit Watch(Context<Gpu>& context) : gpu::Stopwatch(context.stream()) {}
};
#endif

/// Numbers between -1 and 1; on a GPU one block of them repeated, since all of a large batch would take this machine minutes.
template <class T, class D> Tensor<T, D> random_on(Shape shape, std::uint64_t seed) {
#ifdef HOLON_CUDA
    if constexpr (std::same_as<D, Gpu>) return op::gpu_detail::noise<T>(default_context<Gpu>(), shape, seed);
#endif
    Random random(seed);
    Tensor<float, Cpu> host(shape);
    for (float& v : host.elements()) v = float(random.uniform(-1, 1));
    const auto there = to_device<D>(host);
    return op::template convert<T>(there.context(), there);
}

/// Seconds of the fastest of a few runs.
template <class D, class F> double fastest(Context<D>& context, const F& run) {
    Watch<D> watch(context);
    double least = 0;
    for (int i = 0; i < 6; ++i) {
        watch.start();
        run();
        const double took = watch.stop();
        if (i == 1 || (i > 1 && took < least)) least = took;
    }
    return least;
}

/// Seconds of a product of two n x n matrices; on a GPU without what a layer does besides (conversions to and from float,
/// memory).
template <class T, class D> double seconds_of_product(Context<D>& context, std::int64_t n) {
    const Shape square{n, 1, 1, n};
    const auto x = random_on<T, D>(square, 1);
#ifdef HOLON_CUDA
    if constexpr (std::same_as<D, Gpu>) {
        const auto w = random_on<T, D>(square, 2);
        Tensor<float, D> y(square, context);
        return fastest(context, [&] {
            op::gpu_detail::product(context, x.data(), false, w.data(), true, y.data(), false, n, n, n);
        });
    }
#endif
    const auto w = random_on<Accumulate<T>, D>(square, 2);
    const Tensor<Accumulate<T>, D>* none = nullptr;
    return fastest(context, [&] { op::linear(context, x, w, none); });
}

/// What this device reaches in this run: FLOP a second of a matrix product, bytes a second of a copy (read and write).
struct Roof {
    double rate = 0, bandwidth = 0;
};
template <class T, class D> Roof measure_roof() {
    auto& context = default_context<D>();
    constexpr bool large = !std::same_as<D, Cpu>;
    const std::int64_t n = large ? 8192 : 2048, bytes = std::int64_t(large ? 1024 : 256) << 20;
    Roof roof;
    roof.rate = 2.0 * double(n) * double(n) * double(n) / seconds_of_product<T>(context, n);
    Tensor<std::uint8_t, D> from(vector_shape(bytes), context), to(vector_shape(bytes), context);
    context.clear(from.data(), std::size_t(bytes));
    roof.bandwidth = 2.0 * double(bytes) /
                     fastest(context, [&] { context.copy(to.data(), std::as_const(from).data(), std::size_t(bytes)); });
    return roof;
}

}  // namespace holon::pipeline
