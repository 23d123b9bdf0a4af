// Every kernel for every element type through nvcc: what the host emulation runs is also what compiles for a card.
#include <holon/average_pool2d.cuh>
#include <holon/batch_norm.cuh>
#include <holon/classify.cuh>
#include <holon/dropout.cuh>
#include <holon/elementwise.cuh>
#include <holon/max_pool2d.cuh>
#include <holon/optimizer.cuh>

using namespace holon::gpu;

template <class T, int W> void instantiate() {
    sample_level<T><<<1, 1>>>(1, 1, nullptr, nullptr);
    channel_sums<W, MomentRows<T, W>><<<1, 1>>>(1, W, {}, nullptr);
    channel_sums<W, GradientRows<T, W>><<<1, 1>>>(1, W, {}, nullptr);
    batch_norm_forward<T, W><<<1, 1>>>(1, W, nullptr, nullptr, {}, true, nullptr);
    batch_norm_backward<T, W><<<1, 1>>>(1, {}, nullptr, nullptr, nullptr, true, nullptr, false);
    each<W, Relu<T>><<<1, 1>>>(1, {});
    each<W, ReluBackward<T>><<<1, 1>>>(1, {});
    each<W, Add<T>><<<1, 1>>>(1, {});
    each<W, Scale<T>><<<1, 1>>>(1, {});
    each<W, Fill<T>><<<1, 1>>>(1, {});
    each<W, Convert<T, float>><<<1, 1>>>(1, {});
    each<W, Convert<float, T>><<<1, 1>>>(1, {});
    average_pool_forward<T, W><<<1, 1>>>({}, nullptr, nullptr);
    average_pool_backward<T, W><<<1, 1>>>({}, nullptr, nullptr, true);
    global_average_forward<T, W><<<1, 1>>>(1, W, nullptr, nullptr);
    global_average_backward<T, W><<<1, 1>>>(1, 1, W, nullptr, nullptr, true);
    softmax_forward<T><<<1, 1>>>(1, 1, nullptr, nullptr);
    softmax_backward<T><<<1, 1>>>(1, 1, nullptr, nullptr, nullptr, true);
    masked_copy<T><<<1, 1>>>(1, {}, nullptr, nullptr, true);
    max_pool_forward<T, W><<<1, 1>>>({}, nullptr, nullptr, nullptr);
    max_pool_backward<T, W><<<1, 1>>>({}, nullptr, nullptr, nullptr, true);
}

template <class T> void both_widths() {
    instantiate<T, pack_width<T>>();
    instantiate<T, 1>();
}

void all() {
    both_widths<float>();
    both_widths<holon::bfloat16>();
    both_widths<holon::half>();
    finish_moments<<<1, 1>>>(1, 1, 1, nullptr, nullptr, nullptr, nullptr);
    finish_gradients<<<1, 1>>>(1, 1, 1, nullptr, {}, true, nullptr, true, nullptr, true, nullptr, nullptr);
    cross_entropy_forward<<<1, 1>>>(1, 1, nullptr, nullptr, nullptr, nullptr);
    cross_entropy_backward<<<1, 1>>>(1, 1, nullptr, nullptr, nullptr, nullptr, nullptr, true);
    adam_step<<<1, 1>>>(nullptr, 1, {});
}
