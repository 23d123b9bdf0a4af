// classify.cuh: softmax over channels, one thread a row, and the cross-entropy of labels under it, one block an image.
#pragma once
#include <cmath>

#include <holon/reduce.cuh>

namespace holon::gpu {

/// y_k = exp(x_k - max x) / sum_j exp(x_j - max x) over the channels of each row.
template <class T> __global__ void softmax_forward(std::int64_t rows, int channels, const T* x, T* y) {
    for (std::int64_t row = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; row < rows;
         row += std::int64_t(gridDim.x) * blockDim.x) {
        const T* from = x + row * channels;
        T* to = y + row * channels;
        float top = -INFINITY, sum = 0;
        for (int k = 0; k < channels; ++k) top = maximum(top, widen(from[k]));
        for (int k = 0; k < channels; ++k) sum += expf(widen(from[k]) - top);
        for (int k = 0; k < channels; ++k) to[k] = narrow<T>(expf(widen(from[k]) - top) / sum);
    }
}

/// dx_k = y_k (dy_k - sum_j dy_j y_j).
template <class T>
__global__ void softmax_slope(std::int64_t rows, int channels, const T* y, const T* dy, T* dx, bool add) {
    for (std::int64_t row = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; row < rows;
         row += std::int64_t(gridDim.x) * blockDim.x) {
        const std::int64_t first = row * channels;
        float dot = 0;
        for (int k = 0; k < channels; ++k) dot += widen(y[first + k]) * widen(dy[first + k]);
        for (int k = 0; k < channels; ++k) {
            const float slope = widen(y[first + k]) * (widen(dy[first + k]) - dot);
            dx[first + k] = narrow<T>(add ? widen(dx[first + k]) + slope : slope);
        }
    }
}

/// losses_i = w_i (log sum_k exp(x_ik) - x_i,label_i) in double; weights null means 1. A block of `reduce_threads` for each
/// image.
__global__ void image_losses(int classes, const float* logits, const int* labels, const float* weights,
                             double* losses) {
    HOLON_SHARED(double, shared, reduce_threads);
    const int image = int(blockIdx.x);
    const float* x = logits + std::int64_t(image) * classes;
    double top = -INFINITY, sum = 0;
    for (int k = int(threadIdx.x); k < classes; k += reduce_threads) top = maximum(top, double(x[k]));
    top = block_maximum(shared, top);
    for (int k = int(threadIdx.x); k < classes; k += reduce_threads) sum += exp(double(x[k]) - top);
    sum = block_sum(shared, sum);
    if (threadIdx.x == 0)
        losses[image] = (weights ? double(weights[image]) : 1.0) * (top + log(sum) - double(x[labels[image]]));
}

/// *loss = the mean of all losses. One block of `reduce_threads`.
__global__ void mean_loss(int images, const double* losses, float* loss) {
    HOLON_SHARED(double, shared, reduce_threads);
    double sum = 0;
    for (int i = int(threadIdx.x); i < images; i += reduce_threads) sum += losses[i];
    sum = block_sum(shared, sum);
    if (threadIdx.x == 0) *loss = float(sum / double(images));
}

/// dx_i = dy (w_i / n) (softmax(x_i) - onehot(label_i)); dy is one number on the device. A block of `reduce_threads` for
/// each image.
__global__ void cross_entropy_slope(int images, int classes, const float* logits, const int* labels,
                                    const float* weights, const float* dy, float* dx, bool add) {
    HOLON_SHARED(double, shared, reduce_threads);
    const int image = int(blockIdx.x);
    const float* x = logits + std::int64_t(image) * classes;
    double most = -INFINITY, all = 0;
    for (int k = int(threadIdx.x); k < classes; k += reduce_threads) most = maximum(most, double(x[k]));
    const float top = float(block_maximum(shared, most));
    for (int k = int(threadIdx.x); k < classes; k += reduce_threads) all += double(expf(x[k] - top));
    const float sum = float(block_sum(shared, all));
    const float factor = *dy * (weights ? weights[image] : 1.0f) / float(images);
    for (int k = int(threadIdx.x); k < classes; k += reduce_threads) {
        const float slope = factor * (expf(x[k] - top) / sum - (labels[image] == k ? 1.0f : 0.0f));
        float* to = dx + std::int64_t(image) * classes + k;
        *to = add ? *to + slope : slope;
    }
}

}  // namespace holon::gpu
