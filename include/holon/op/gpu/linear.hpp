// op/gpu/linear.hpp: the matrix product of a linear layer and its two transposes, by cuBLAS.
#pragma once
#include <holon/op/gpu/blas.hpp>
#include <holon/op/gpu/narrow.hpp>
#include <holon/op/gpu/settings.hpp>

namespace holon::op {

namespace gpu_detail {

/// Bytes that cuBLAS keeps of a context's memory from the first product on: what NVIDIA's documentation of
/// cublasSetWorkspace recommends, 32 MiB from Hopper on, 4 MiB before.
constexpr std::size_t blas_workspace(int capability) { return std::size_t(capability >= 90 ? 32 : 4) << 20; }

/// cuBLAS in a context's stream, with workspace out of its memory.
struct ContextBlas {
    explicit ContextBlas(Context<Gpu>& context)
        : workspace(scratch<std::uint8_t>(context, std::int64_t(blas_workspace(context.card().capability)))),
          blas(context.stream(), workspace.data(), std::size_t(workspace.size())) {}
    Tensor<std::uint8_t, Gpu> workspace;
    gpu::Blas blas;
};

/// See `gpu::Blas::product`.
template <Element T>
void product(Context<Gpu>& context, const T* a, bool a_transposed, const T* b, bool b_transposed, float* c, bool add,
             std::int64_t m, std::int64_t n, std::int64_t k) {
    if (m == 0 || n == 0) return;
    context.state<ContextBlas>().blas.product(a, a_transposed, b, b_transposed, c, add, narrow("linear", m),
                                              narrow("linear", n), narrow("linear", k),
                                              context.state<gpu::Settings>().numerics.tf32);
}

}  // namespace gpu_detail

template <Element T>
Tensor<T, Gpu> linear(Context<Gpu>& context, const Tensor<T, Gpu>& x, const Tensor<float, Gpu>& weight,
                      const Tensor<float, Gpu>* bias) {
    const Shape s = x.shape();
    expects_matrix("linear", s, weight.shape());
    const std::int64_t out = weight.shape().n;
    if (bias) expects(bias->shape() == vector_shape(out), "linear: bias ", bias->shape(), " for ", out, " outputs");
    Tensor<float, Gpu> y({s.n, s.h, s.w, out}, context);
    const gpu_detail::Narrowed<T> narrow(context, weight);
    gpu_detail::product(context, x.data(), false, narrow.data(), true, y.data(), false, s.rows(), out, s.c);
    if (bias)
        gpu::add_bias(gpu_detail::queue(context), s.rows(), gpu_detail::narrow("linear", out), bias->data(), false,
                      y.data());
    return convert<T>(context, y);
}

template <Element T>
void linear_backward_input(Context<Gpu>& context, const Tensor<T, Gpu>& dy, const Tensor<float, Gpu>& weight,
                           Tensor<T, Gpu>& dx, Gradient mode) {
    const Shape s = dx.shape();
    expects_linear_gradient("linear_backward_input", s, dy.shape(), weight.shape());
    const gpu_detail::Narrowed<T> narrow(context, weight);
    const std::int64_t out = weight.shape().n;
    if constexpr (std::same_as<T, float>) {
        gpu_detail::product(context, dy.data(), false, narrow.data(), false, dx.data(), gpu_detail::adds(mode),
                            s.rows(), s.c, out);
    } else {
        Tensor<float, Gpu> wide(s, context);
        gpu_detail::product(context, dy.data(), false, narrow.data(), false, wide.data(), false, s.rows(), s.c, out);
        gpu::carry(gpu_detail::queue(context), s.size(), std::as_const(wide).data(), dx.data(), gpu_detail::adds(mode));
    }
}

template <Element T>
void linear_backward_weight(Context<Gpu>& context, const Tensor<T, Gpu>& x, const Tensor<T, Gpu>& dy,
                            Tensor<float, Gpu>& dweight, Gradient mode) {
    const Shape s = x.shape();
    expects_linear_gradient("linear_backward_weight", s, dy.shape(), dweight.shape());
    gpu_detail::product(context, dy.data(), true, x.data(), false, dweight.data(), gpu_detail::adds(mode),
                        dweight.shape().n, s.c, s.rows());
}

}  // namespace holon::op
