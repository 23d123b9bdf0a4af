// tensor/make.hpp: tensors from values, from other layouts and from other element types.
#pragma once
#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include <holon/tensor/tensor.hpp>

namespace holon {

/// Elements that `fill(std::span<T>)` writes: now and, in a step that is being recorded, before each of its launches.
/// What changes from step to step (a counter, a rate) enters a recorded step here; `fill` must live as long as it.
template <class T, class D = Cpu, class Fill>
Tensor<T, D> provided(Shape shape, const Fill& fill, Context<D>& context = default_context<D>()) {
    const std::size_t count = std::size_t(shape.size());
    if constexpr (std::same_as<D, Cpu>) {
        Tensor<T, D> out(shape, context);
        fill(std::span<T>(out.data(), count));
        return out;
    } else {
        std::vector<T> host(count);
        Tensor<T, D> out;
        if constexpr (std::same_as<D, Plan>) {
            out = Tensor<T, D>(shape, context);
        } else {
            const auto write = [fill, count](void* to) { fill(std::span<T>(static_cast<T*>(to), count)); };
            if (void* const place = context.provide(count * sizeof(T), write))
                return Tensor<T, D>::over(static_cast<T*>(place), shape, {}, context);
            out = context.outside_rehearsal([&] { return Tensor<T, D>(shape, context); });
        }
        fill(std::span<T>(host));
        context.upload(out.data(), host.data(), count * sizeof(T));
        return out;
    }
}

template <class T, class D = Cpu>
Tensor<T, D> full(Shape shape, T value, Context<D>& context = default_context<D>()) {
    [[maybe_unused]] const T zero{};
    if constexpr (!std::same_as<D, Cpu>) {
        if (std::memcmp(&value, &zero, sizeof value) == 0) {
            Tensor<T, D> out(shape, context);
            context.clear(out.data(), std::size_t(shape.size()) * sizeof(T));
            return out;
        }
    }
    return provided<T, D>(shape, [value](std::span<T> to) { std::fill(to.begin(), to.end(), value); }, context);
}

template <class T, class D = Cpu>
Tensor<T, D> zeros(Shape shape, Context<D>& context = default_context<D>()) {
    return full<T, D>(shape, T(0), context);
}

/// From `shape.size()` values in n, h, w, c order.
template <class T>
Tensor<T, Cpu> from_values(Shape shape, std::span<const T> values, Context<Cpu>& context = default_context<Cpu>()) {
    expects(std::int64_t(values.size()) == shape.size(), "from_values: ", values.size(), " values for ", shape);
    Tensor<T, Cpu> out(shape, context);
    std::copy(values.begin(), values.end(), out.data());
    return out;
}
template <class T>
Tensor<T, Cpu> from_values(Shape shape, const std::vector<T>& values) {
    return from_values<T>(shape, std::span<const T>(values));
}

/// From n, c, h, w order (the layout of most files and of PyTorch's default). Filters likewise: k, c, r, s -> k, r, s, c.
template <class T>
Tensor<T, Cpu> from_nchw(Shape shape, const T* values, Context<Cpu>& context = default_context<Cpu>()) {
    Tensor<T, Cpu> out(shape, context);
    T* to = out.data();
    for (std::int64_t n = 0; n < shape.n; ++n)
        for (std::int64_t h = 0; h < shape.h; ++h)
            for (std::int64_t w = 0; w < shape.w; ++w)
                for (std::int64_t c = 0; c < shape.c; ++c)
                    *to++ = values[((n * shape.c + c) * shape.h + h) * shape.w + w];
    return out;
}

/// To n, c, h, w order.
template <class T>
std::vector<T> to_nchw(const Tensor<T, Cpu>& x) {
    const Shape s = x.shape();
    std::vector<T> out(std::size_t(s.size()));
    const T* from = x.data();
    for (std::int64_t n = 0; n < s.n; ++n)
        for (std::int64_t h = 0; h < s.h; ++h)
            for (std::int64_t w = 0; w < s.w; ++w)
                for (std::int64_t c = 0; c < s.c; ++c) out[std::size_t(((n * s.c + c) * s.h + h) * s.w + w)] = *from++;
    return out;
}

/// The same numbers in another element type, rounded to nearest.
template <class To, class From>
Tensor<To, Cpu> cast(const Tensor<From, Cpu>& x) {
    if constexpr (std::same_as<To, From>) {
        return x;
    } else {
        Tensor<To, Cpu> out(x.shape(), x.context());
        const From* from = x.data();
        To* to = out.data();
        using Wide = std::conditional_t<std::same_as<To, double> || std::same_as<From, double>, double, float>;
#pragma omp parallel for schedule(static)
        for (std::int64_t i = 0; i < x.size(); ++i) {
            if constexpr (std::same_as<To, bfloat16>)
                to[i] = bfloat16(float(Wide(from[i])));
            else
                to[i] = To(Wide(from[i]));
        }
        return out;
    }
}

}  // namespace holon
