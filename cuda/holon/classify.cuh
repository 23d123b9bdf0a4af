// classify.cuh: shares over channels, and the cross-entropy of labels under them. Small tensors: one thread a row.
#pragma once
#include <cmath>

#include <holon/vocabulary.cuh>

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

/// Images whose losses a block of `cross_entropy_forward` holds at a time.
constexpr int loss_threads = 128;

/// loss = (1/n) sum_i w_i (log sum_k exp(x_ik) - x_i,label_i), summed in double and in order; weights null means 1. One
/// block of `loss_threads`.
__global__ void cross_entropy_forward(int images, int classes, const float* logits, const int* labels,
                                      const float* weights, float* loss) {
    HOLON_SHARED(double, losses, loss_threads);
    double total = 0;  // thread 0's
    for (int first = 0; first < images; first += loss_threads) {
        const int image = first + int(threadIdx.x);
        if (image < images) {
            const float* x = logits + std::int64_t(image) * classes;
            double top = -INFINITY, sum = 0;
            for (int k = 0; k < classes; ++k) top = maximum(top, double(x[k]));
            for (int k = 0; k < classes; ++k) sum += exp(double(x[k]) - top);
            losses[threadIdx.x] =
                (weights ? double(weights[image]) : 1.0) * (top + log(sum) - double(x[labels[image]]));
        }
        __syncthreads();
        if (threadIdx.x == 0)
            for (int i = 0; i < loss_threads && first + i < images; ++i) total += losses[i];
        __syncthreads();
    }
    if (threadIdx.x == 0) *loss = float(total / double(images));
}

/// dx_i = dy (w_i / n) (softmax(x_i) - onehot(label_i)); dy is one number on the device. One thread an image.
__global__ void cross_entropy_slope(int images, int classes, const float* logits, const int* labels,
                                    const float* weights, const float* dy, float* dx, bool add) {
    const int image = int(blockIdx.x * blockDim.x + threadIdx.x);
    if (image >= images) return;
    const float* x = logits + std::int64_t(image) * classes;
    float top = -INFINITY, sum = 0;
    for (int k = 0; k < classes; ++k) top = maximum(top, x[k]);
    for (int k = 0; k < classes; ++k) sum += expf(x[k] - top);
    const float factor = *dy * (weights ? weights[image] : 1.0f) / float(images);
    for (int k = 0; k < classes; ++k) {
        const float slope = factor * (expf(x[k] - top) / sum - (labels[image] == k ? 1.0f : 0.0f));
        float* to = dx + std::int64_t(image) * classes + k;
        *to = add ? *to + slope : slope;
    }
}

}  // namespace holon::gpu
