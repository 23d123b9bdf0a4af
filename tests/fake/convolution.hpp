// fake/convolution.hpp: what a fake cuDNN plan computes, and the engines that offer to.
#pragma once
#include <cudnn.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "fake/fake.hpp"
#include "fake/numbers.hpp"

namespace holon::fake {

/// Four dimensions: n c h w of an image, k c r s of a filter.
struct TensorLayout {
    std::int64_t id = 0, alignment = 0;
    cudnnDataType_t type = CUDNN_DATA_FLOAT;
    std::array<std::int64_t, 4> dims{}, strides{};

    std::int64_t size() const { return dims[0] * dims[1] * dims[2] * dims[3]; }
    std::size_t span() const;  ///< bytes from the first element to the last
};

enum class Direction { forward, backward_data, backward_filter };

/// result = alpha * convolution + beta * result.
struct Convolution {
    Direction direction = Direction::forward;
    TensorLayout x, w, y;
    std::array<std::int64_t, 2> before{}, after{}, stride{}, dilation{};
    double alpha = 1, beta = 0;
    cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    /// Forward only, if `sums`: of each channel of y as it was written, and of its squares.
    bool sums = false;
    TensorLayout sum, squares;

    const TensorLayout& result() const {
        return direction == Direction::forward ? y : direction == Direction::backward_data ? x : w;
    }
    /// What does not fit; empty if all does.
    std::string misfit() const;
};

std::optional<Format> format_of(cudnnDataType_t type);

/// The engines that the heuristics offer, in their order.
std::vector<std::int64_t> engines_for(const Convolution& c, cudnnBackendHeurMode_t mode);
std::vector<cudnnBackendNumericalNote_t> numerical_notes(std::int64_t engine);
std::vector<cudnnBackendBehaviorNote_t> behavior_notes(std::int64_t engine);
std::int64_t workspace_of(std::int64_t engine, const Convolution& c);
/// The knobs of an engine, by type, with the values that the heuristics choose. A plan takes any from 0 to that.
std::vector<std::pair<std::int64_t, std::int64_t>> knobs_of(std::int64_t engine);

/// Does it, in the way of an engine.
void compute(const Convolution& c, std::int64_t engine, const void* x, const void* w, const void* y);
void compute_sums(const Convolution& c, const void* y, float* sum, float* squares);

/// A convolution and its engine as text, and back; none if the text is not such.
std::string to_json(const Convolution& c, std::int64_t engine);
std::optional<std::pair<Convolution, std::int64_t>> from_json(const std::string& text);

}  // namespace holon::fake
