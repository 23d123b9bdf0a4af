// op/cpu/linear.hpp: the matrix product of a linear layer and its two transposes.
#pragma once
#include <holon/op/cpu/bfloat16.hpp>
#include <holon/op/cpu/elementwise.hpp>
#include <holon/op/cpu/engine.hpp>
#include <holon/op/types.hpp>

namespace holon::op {

namespace cpu {

/// How oneDNN multiplies a (m x k) by b (k x n), read transposed where said, into floats, or `adding` to them; none of the
/// extents is 0.
template <Element T>
std::shared_ptr<Prepared> prepare_product(Engine& engine, bool a_transposed, bool b_transposed, std::int64_t m,
                                          std::int64_t n, std::int64_t k, bool adding = false) {
    const Key key{16, std::same_as<T, bfloat16>, a_transposed, b_transposed, m, n, k, adding};
    return engine.prepared(key, [&] {
        constexpr auto type = dnnl_type<T>();
        Prepared made;
        made.x = a_transposed ? Layout({m, k}, type, {1, m}) : Layout({m, k}, type, {k, 1});
        made.filter = b_transposed ? Layout({k, n}, type, {1, k}) : Layout({k, n}, type, {n, 1});
        made.y = Layout({m, n}, dnnl_f32, {n, 1});
        try {
            const auto how = product_descriptor(engine.get(), made.x, made.filter, made.y, own_scratch(adding));
            made.primitive = primitive(how);
            made.scratch = scratch_bytes(how);
            made.implementation = implementation_of(how);
        } catch (const DeviceError& error) {
            refuse("matrix product", error, text(element_name<T>(), " matrices ", m, 'x', k, " and ", k, 'x', n));
        }
        return made;
    });
}

/// The same as `product` in float, of matrices widened to it: all of the smaller operand, which is a layer's weights, and as
/// many positions of the other one at a time as `Bfloat16Means` says.
inline void widened_product(Context<Cpu>& context, const bfloat16* a, bool a_transposed, const bfloat16* b,
                            bool b_transposed, float* c, std::int64_t m, std::int64_t n, std::int64_t k) {
    auto& engine = context.state<Engine>();
    // A transposed a is a gradient of weights, a sum over the positions k of a and b; else the positions are m, of a and c.
    const std::int64_t positions = a_transposed ? k : m, row = a_transposed ? m + n : k;
    const std::int64_t numbers = context.state<Bfloat16Means>().piece_bytes / std::int64_t(sizeof(float));
    const std::int64_t at_once = std::clamp<std::int64_t>(numbers / row, 1, positions);
    const auto widen_all = [](const bfloat16* from, float* to, std::int64_t count) {
        each(count, [=](std::int64_t i) { to[i] = float(from[i]); });
    };
    Tensor<float, Cpu> left({1, 1, at_once, a_transposed ? m : k}, context),
        right({1, 1, a_transposed ? at_once : k, n}, context);
    float *const wide_a = left.data(), *const wide_b = right.data();
    if (!a_transposed) widen_all(b, wide_b, k * n);
    for (std::int64_t i = 0; i < positions; i += at_once) {
        const std::int64_t here = std::min(at_once, positions - i);
        widen_all(a + i * (a_transposed ? m : k), wide_a, here * (a_transposed ? m : k));
        if (a_transposed) widen_all(b + i * n, wide_b, here * n);
        const auto p = prepare_product<float>(engine, a_transposed, b_transposed, a_transposed ? m : here, n,
                                              a_transposed ? here : k, a_transposed && i > 0);
        Tensor<std::uint8_t, Cpu> scratch({1, 1, 1, p->scratch}, context);
        engine.run(p->primitive, {{DNNL_ARG_SRC, p->x, wide_a},
                                  {DNNL_ARG_WEIGHTS, p->filter, wide_b},
                                  {DNNL_ARG_DST, p->y, a_transposed ? c : c + i * n},
                                  {DNNL_ARG_SCRATCHPAD, p->scratch_layout, scratch.data()}});
    }
}

/// c (m x n) = a (m x k) b (k x n); each is dense, and read transposed where said. a and b are not both transposed.
template <Element T>
void product(Context<Cpu>& context, const T* a, bool a_transposed, const T* b, bool b_transposed, Accumulate<T>* c,
             std::int64_t m, std::int64_t n, std::int64_t k) {
    if (m * n == 0 || k == 0) {  // no images: nothing, or sums of nothing; oneDNN divides by the extents
        std::fill_n(c, m * n, Accumulate<T>(0));
        return;
    }
    if constexpr (std::same_as<T, bfloat16>)
        if (widens<T>(context)) return widened_product(context, a, a_transposed, b, b_transposed, c, m, n, k);
    if constexpr (std::same_as<T, double>) {
        for (std::int64_t i = 0; i < m; ++i)
            for (std::int64_t j = 0; j < n; ++j) {
                double sum = 0;
                for (std::int64_t l = 0; l < k; ++l)
                    sum += (a_transposed ? a[l * m + i] : a[i * k + l]) * (b_transposed ? b[j * k + l] : b[l * n + j]);
                c[i * n + j] = sum;
            }
    } else {
        auto& engine = context.state<Engine>();
        const auto p = prepare_product<T>(engine, a_transposed, b_transposed, m, n, k);
        Tensor<std::uint8_t, Cpu> scratch({1, 1, 1, p->scratch}, context);
        engine.run(p->primitive, {{DNNL_ARG_SRC, p->x, a},
                                  {DNNL_ARG_WEIGHTS, p->filter, b},
                                  {DNNL_ARG_DST, p->y, c},
                                  {DNNL_ARG_SCRATCHPAD, p->scratch_layout, scratch.data()}});
    }
}

}  // namespace cpu

/// y (n, h, w, out) = W x + bias at every position; W is (out, 1, 1, in), `bias` (1, 1, 1, out) or null.
template <Element T>
Tensor<T, Cpu> linear(Context<Cpu>& context, const Tensor<T, Cpu>& x, const Tensor<Accumulate<T>, Cpu>& weight,
                      const Tensor<Accumulate<T>, Cpu>* bias) {
    using A = Accumulate<T>;
    const Shape s = x.shape();
    expects_matrix("linear", s, weight.shape());
    const std::int64_t out = weight.shape().n;
    if (bias) expects(bias->shape() == vector_shape(out), "linear: bias ", bias->shape(), " for ", out, " outputs");
    Tensor<A, Cpu> y({s.n, s.h, s.w, out}, context);
    const Tensor<T, Cpu> matrix = cast<T>(weight);
    A* to = y.data();
    if (y.size()) cpu::product<T>(context, x.data(), false, matrix.data(), true, to, s.rows(), out, s.c);
    if (bias) {
        const A* shift = bias->data();
        for (std::int64_t r = 0; r < s.rows(); ++r)
            for (std::int64_t k = 0; k < out; ++k) to[r * out + k] += shift[k];
    }
    return cast<T>(y);
}

/// dx = W^T dy.
template <Element T>
void linear_backward_input(Context<Cpu>& context, const Tensor<T, Cpu>& dy, const Tensor<Accumulate<T>, Cpu>& weight,
                           Tensor<T, Cpu>& dx, Gradient mode) {
    const Shape s = dx.shape();
    expects_linear_gradient("linear_backward_input", s, dy.shape(), weight.shape());
    Tensor<Accumulate<T>, Cpu> share(s, context);
    const Tensor<T, Cpu> matrix = cast<T>(weight);
    if (share.size())
        cpu::product<T>(context, dy.data(), false, matrix.data(), false, share.data(), s.rows(), s.c, weight.shape().n);
    const auto* from = std::as_const(share).data();
    T* to = dx.data();
    const bool add = mode == Gradient::add;
    cpu::each(dx.size(), [=](std::int64_t i) { cpu::put(to[i], from[i], add); });
}

/// dW = dy^T x, in float for bfloat16.
template <Element T>
void linear_backward_weight(Context<Cpu>& context, const Tensor<T, Cpu>& x, const Tensor<T, Cpu>& dy,
                            Tensor<Accumulate<T>, Cpu>& dweight, Gradient mode) {
    const Shape s = x.shape(), w = dweight.shape();
    expects_linear_gradient("linear_backward_weight", s, dy.shape(), w);
    Tensor<Accumulate<T>, Cpu> share = mode == Gradient::add ? Tensor<Accumulate<T>, Cpu>(w, context) : dweight;
    cpu::product<T>(context, dy.data(), true, x.data(), false, share.data(), w.n, w.c, s.rows());
    if (mode == Gradient::add) accumulate(context, share, dweight);
}

}  // namespace holon::op
