// fake/descriptor.hpp: the fake cuDNN's backend descriptors: bags of attributes until they are finalised, then what
// they mean.
#pragma once
#include <map>
#include <memory>

#include "fake/convolution.hpp"
#include "fake/runtime.hpp"

struct cudnnContext {
    cudaStream_t stream = nullptr;
    bool destroyed = false;
};

namespace holon::fake {

struct Content;

/// As it was set: numbers as bytes, descriptors as what they held.
struct Attribute {
    cudnnBackendAttributeType_t type = CUDNN_TYPE_INT64;
    std::int64_t count = 0;
    std::vector<char> bytes;
    std::vector<std::shared_ptr<const Content>> children;

    template <class T> T get(std::size_t index = 0) const {
        T value;
        std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
        return value;
    }
};

/// What a descriptor holds. Others that it was set in share it, so it may outlive its descriptor.
struct Content {
    cudnnBackendDescriptorType_t type;
    bool finalized = false;
    std::map<cudnnBackendAttributeName_t, Attribute> attributes;

    TensorLayout tensor;              // of a tensor
    Convolution convolution;          // of a convolution (but its tensors), an operation, and all that is made of it
    std::vector<std::int64_t> offer;  // of heuristics
    std::int64_t engine = 0;          // of an engine, its configuration, its plan
    std::vector<std::pair<std::int64_t, std::int64_t>> knobs;  // of a configuration; of a choice, only one
    std::int64_t workspace = 0;       // of a plan

    const Attribute* find(cudnnBackendAttributeName_t name) const {
        const auto found = attributes.find(name);
        return found == attributes.end() ? nullptr : &found->second;
    }
    const Attribute& at(cudnnBackendAttributeName_t name) const { return attributes.at(name); }
    const Content& child(cudnnBackendAttributeName_t name) const { return *at(name).children.front(); }
};

/// What a cudnnBackendDescriptor_t points to.
struct BackendDescriptor {
    std::shared_ptr<Content> content;
    bool destroyed = false;
};

/// What may be set in a descriptor.
struct Rule {
    cudnnBackendDescriptorType_t of;
    cudnnBackendAttributeName_t name;
    const char* words;
    cudnnBackendAttributeType_t type;
    std::int64_t least, most;
    bool required;
    int child = -1;  ///< the type of descriptor it takes; -1: any
};
const Rule* find_rule(cudnnBackendDescriptorType_t of, cudnnBackendAttributeName_t name);
std::size_t element_size(cudnnBackendAttributeType_t type);

/// Remembers words for cudnnGetLastErrorString, and returns the status.
cudnnStatus_t refuse(cudnnStatus_t status, const std::string& words);

/// The handle that a pointer names; stops at one that is not alive.
cudnnContext& cudnn_context(cudnnHandle_t handle, const char* caller);

/// Checks the attributes and works out what they mean.
cudnnStatus_t finalize(Content& content);

}  // namespace holon::fake
