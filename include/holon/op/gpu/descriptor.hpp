// op/gpu/descriptor.hpp: cuDNN's backend descriptors as values: created, given attributes, finalised; they move and
// free themselves.
#pragma once
#include <cudnn.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <holon/core/error.hpp>

namespace holon::gpu {

/// "9.19.0": the version that runs, not the one compiled against.
inline std::string cudnn_version_text() {
    const std::size_t v = cudnnGetVersion();
    return text(v / 10000, '.', v / 100 % 100, '.', v % 100);
}

/// Throws `DeviceError` with cuDNN's own last words.
inline void expects_cudnn(cudnnStatus_t status, const char* what) {
    if (status == CUDNN_STATUS_SUCCESS) return;
    char words[1024] = "";
    cudnnGetLastErrorString(words, sizeof words);
    throw DeviceError(text("cuDNN ", cudnn_version_text(), ", ", what, ": ", cudnnGetErrorString(status),
                           words[0] ? ": " : "", words));
}

class Descriptor {
 public:
    explicit Descriptor(cudnnBackendDescriptorType_t type) {
        expects_cudnn(cudnnBackendCreateDescriptor(type, &raw_), "creating a descriptor");
    }
    Descriptor(Descriptor&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(raw_, other.raw_);
        return *this;
    }
    ~Descriptor() {
        if (raw_) cudnnBackendDestroyDescriptor(raw_);
    }

    template <class T>
    Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::span<const T> values) {
        expects_cudnn(cudnnBackendSetAttribute(raw_, name, type, std::int64_t(values.size()), values.data()),
                      "setting an attribute");
        return *this;
    }
    Descriptor& set(cudnnBackendAttributeName_t name, std::int64_t value) {
        return set(name, CUDNN_TYPE_INT64, std::span<const std::int64_t>(&value, 1));
    }
    Descriptor& set(cudnnBackendAttributeName_t name, std::span<const std::int64_t> values) {
        return set(name, CUDNN_TYPE_INT64, values);
    }
    Descriptor& set(cudnnBackendAttributeName_t name, cudnnDataType_t value) {
        return set(name, CUDNN_TYPE_DATA_TYPE, std::span<const cudnnDataType_t>(&value, 1));
    }
    Descriptor& set(cudnnBackendAttributeName_t name, float value) {
        return set(name, CUDNN_TYPE_FLOAT, std::span<const float>(&value, 1));
    }
    Descriptor& set(cudnnBackendAttributeName_t name, cudnnHandle_t handle) {
        return set(name, CUDNN_TYPE_HANDLE, std::span<const cudnnHandle_t>(&handle, 1));
    }
    Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& other) {
        return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, std::span<const cudnnBackendDescriptor_t>(&other.raw_, 1));
    }
    Descriptor& set(cudnnBackendAttributeName_t name, const std::vector<Descriptor>& others) {
        std::vector<cudnnBackendDescriptor_t> raw;
        for (const Descriptor& other : others) raw.push_back(other.raw_);
        return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, std::span<const cudnnBackendDescriptor_t>(raw));
    }
    Descriptor&& finalize() && {
        expects_cudnn(cudnnBackendFinalize(raw_), "finalising a descriptor");
        return std::move(*this);
    }

    std::int64_t integer(cudnnBackendAttributeName_t name) const {
        std::int64_t value = 0, count = 0;
        expects_cudnn(cudnnBackendGetAttribute(raw_, name, CUDNN_TYPE_INT64, 1, &count, &value),
                      "reading an attribute");
        return value;
    }
    /// A number that cuDNN keeps as an enumeration.
    template <class E> E enumerator(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type) const {
        E value{};
        std::int64_t count = 0;
        expects_cudnn(cudnnBackendGetAttribute(raw_, name, type, 1, &count, &value), "reading an attribute");
        return value;
    }
    /// Text, as cuDNN serialises itself.
    std::string characters(cudnnBackendAttributeName_t name) const {
        std::int64_t count = 0;
        expects_cudnn(cudnnBackendGetAttribute(raw_, name, CUDNN_TYPE_CHAR, 0, &count, nullptr), "counting characters");
        std::string out(std::size_t(count), ' ');
        expects_cudnn(cudnnBackendGetAttribute(raw_, name, CUDNN_TYPE_CHAR, count, &count, out.data()), "reading text");
        out.resize(std::size_t(count));
        while (!out.empty() && out.back() == '\0') out.pop_back();
        return out;
    }
    /// Descriptors that cuDNN fills in, of type `kind`.
    std::vector<Descriptor> list(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t kind) const {
        std::int64_t count = 0;
        expects_cudnn(cudnnBackendGetAttribute(raw_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count, nullptr),
                      "counting");
        return list(name, kind, count);
    }
    /// The same where cuDNN does not say how many there are before it gives them, but there are at most `most`.
    std::vector<Descriptor> list(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t kind,
                                 std::int64_t most) const {
        std::vector<Descriptor> out;
        std::vector<cudnnBackendDescriptor_t> raw;
        for (std::int64_t i = 0; i < most; ++i) raw.push_back(out.emplace_back(kind).raw_);
        std::int64_t count = 0;
        expects_cudnn(cudnnBackendGetAttribute(raw_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, &count, raw.data()),
                      "reading descriptors");
        out.erase(out.begin() + std::ptrdiff_t(count), out.end());
        return out;
    }
    /// What an engine says about its numbers.
    std::vector<cudnnBackendNumericalNote_t> notes() const {
        std::vector<cudnnBackendNumericalNote_t> out(CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
        std::int64_t count = 0;
        expects_cudnn(cudnnBackendGetAttribute(raw_, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                               std::int64_t(out.size()), &count, out.data()),
                      "reading an engine's notes");
        out.resize(std::size_t(count));
        return out;
    }
    cudnnBackendDescriptor_t raw() const { return raw_; }

 private:
    cudnnBackendDescriptor_t raw_ = nullptr;
};

}  // namespace holon::gpu
