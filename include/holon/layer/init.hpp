// layer/init.hpp: first values. Drawn on the host from a counter, so that a seed gives the same network on any device.
#pragma once
#include <cmath>

#include <holon/core/function.hpp>
#include <holon/core/random.hpp>
#include <holon/layer/parameter.hpp>
#include <holon/tensor/transfer.hpp>

namespace holon {

/// Inputs that reach one output: r * s * c of a filter, in of a matrix.
inline std::int64_t fan_in(const Shape& weight) { return weight.h * weight.w * weight.c; }
/// Outputs that one input reaches.
inline std::int64_t fan_out(const Shape& weight) { return weight.h * weight.w * weight.n; }

namespace detail {
template <class A, Device D>
void fill_in_file_order(Tensor<A, D> weight, const Function<double()>& draw) {
    if constexpr (std::same_as<D, Plan>) return;  // draws nothing: a plan is made in a second
    // In k, c, r, s order: a filter's values then do not depend on how this library lays it out.
    const Shape s = weight.shape();
    Tensor<A, Cpu> host = to_host(weight);
    A* to = host.data();
    for (std::int64_t k = 0; k < s.n; ++k)
        for (std::int64_t c = 0; c < s.c; ++c)
            for (std::int64_t r = 0; r < s.h; ++r)
                for (std::int64_t q = 0; q < s.w; ++q) to[s.at(k, r, q, c)] = A(draw());
    if constexpr (!std::same_as<D, Cpu>) copy_from_host(weight, host);
}
}  // namespace detail

/// He et al. 2015, as Keras 2.0 draws it: normal of deviation sqrt(2 / fan_in), redrawn beyond two deviations and not
/// rescaled, so that the deviation that comes out is 0.87963 of that.
template <class A, Device D>
void he_normal(Parameter<A, D>& weight, Random& random) {
    const double deviation = std::sqrt(2.0 / double(fan_in(weight.shape())));
    detail::fill_in_file_order(weight.writable(), [&] {
        double z;
        do z = random.normal();
        while (std::abs(z) > 2.0);
        return deviation * z;
    });
}

/// Glorot and Bengio 2010: uniform in +-sqrt(6 / (fan_in + fan_out)).
template <class A, Device D>
void glorot_uniform(Parameter<A, D>& weight, Random& random) {
    const double bound = std::sqrt(6.0 / double(fan_in(weight.shape()) + fan_out(weight.shape())));
    detail::fill_in_file_order(weight.writable(), [&] { return random.uniform(-bound, bound); });
}

template <class A, Device D>
void constant(Parameter<A, D>& parameter, A value) {
    Tensor<A, D> to = parameter.writable();
    copy_from_host(to, full<A, Cpu>(to.shape(), value));
}

}  // namespace holon
