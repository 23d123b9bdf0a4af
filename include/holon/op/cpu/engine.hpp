// op/cpu/engine.hpp: oneDNN's engine and stream of a context, its primitives remembered, and the one place where oneDNN 2
// and 3 differ.
#pragma once
#include <array>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include <dnnl.hpp>

#include <holon/op/geometry.hpp>
#include <holon/tensor/make.hpp>

namespace holon::op::cpu {

using Dims = dnnl::memory::dims;
using Tag = dnnl::memory::format_tag;

template <Element T>
constexpr dnnl::memory::data_type dnnl_type() {
    if constexpr (std::same_as<T, bfloat16>) return dnnl::memory::data_type::bf16;
    if constexpr (std::same_as<T, float>) return dnnl::memory::data_type::f32;
}

/// "2.6.3": the version that runs, not the one compiled against.
inline std::string dnnl_version_text() {
    const dnnl_version_t* v = dnnl_version();
    return text(v->major, '.', v->minor, '.', v->patch);
}


/// The memory descriptors and numbers that oneDNN wants of a convolution.
struct ConvolutionSetup {
    Direction direction;
    dnnl::memory::desc x, filter, bias, y;
    bool biased;
    Dims strides, dilates, before, after;
};

#if DNNL_VERSION_MAJOR >= 3
inline dnnl::convolution_forward::primitive_desc forward_desc(const dnnl::engine& engine, const ConvolutionSetup& s,
                                                              const dnnl::primitive_attr& attr) {
    const auto kind = dnnl::prop_kind::forward_training;
    const auto how = dnnl::algorithm::convolution_direct;
    if (s.biased)
        return {engine, kind, how, s.x, s.filter, s.bias, s.y, s.strides, s.dilates, s.before, s.after, attr};
    return {engine, kind, how, s.x, s.filter, s.y, s.strides, s.dilates, s.before, s.after, attr};
}
inline dnnl::convolution_backward_data::primitive_desc to_input_desc(
    const dnnl::engine& engine, const ConvolutionSetup& s, const dnnl::primitive_attr& attr,
    const dnnl::convolution_forward::primitive_desc& hint) {
    return {engine, dnnl::algorithm::convolution_direct, s.x, s.filter, s.y, s.strides, s.dilates, s.before, s.after, hint, attr};
}
inline dnnl::convolution_backward_weights::primitive_desc to_filter_desc(
    const dnnl::engine& engine, const ConvolutionSetup& s, const dnnl::primitive_attr& attr,
    const dnnl::convolution_forward::primitive_desc& hint) {
    return {engine, dnnl::algorithm::convolution_direct, s.x, s.filter, s.y, s.strides, s.dilates, s.before, s.after, hint, attr};
}
inline dnnl::matmul::primitive_desc matmul_desc(const dnnl::engine& engine, const dnnl::memory::desc& a,
                                                const dnnl::memory::desc& b, const dnnl::memory::desc& c,
                                                const dnnl::primitive_attr& attr) {
    return {engine, a, b, c, attr};
}
#else
inline dnnl::convolution_forward::primitive_desc forward_desc(const dnnl::engine& engine, const ConvolutionSetup& s,
                                                              const dnnl::primitive_attr& attr) {
    const auto kind = dnnl::prop_kind::forward_training;
    const auto how = dnnl::algorithm::convolution_direct;
    if (s.biased)
        return {dnnl::convolution_forward::desc(kind, how, s.x, s.filter, s.bias, s.y, s.strides, s.dilates, s.before, s.after),
                attr, engine};
    return {dnnl::convolution_forward::desc(kind, how, s.x, s.filter, s.y, s.strides, s.dilates, s.before, s.after), attr,
            engine};
}
inline dnnl::convolution_backward_data::primitive_desc to_input_desc(
    const dnnl::engine& engine, const ConvolutionSetup& s, const dnnl::primitive_attr& attr,
    const dnnl::convolution_forward::primitive_desc& hint) {
    return {dnnl::convolution_backward_data::desc(dnnl::algorithm::convolution_direct, s.x, s.filter, s.y, s.strides, s.dilates,
                                                  s.before, s.after),
            attr, engine, hint};
}
inline dnnl::convolution_backward_weights::primitive_desc to_filter_desc(
    const dnnl::engine& engine, const ConvolutionSetup& s, const dnnl::primitive_attr& attr,
    const dnnl::convolution_forward::primitive_desc& hint) {
    return {dnnl::convolution_backward_weights::desc(dnnl::algorithm::convolution_direct, s.x, s.filter, s.y, s.strides,
                                                     s.dilates, s.before, s.after),
            attr, engine, hint};
}
inline dnnl::matmul::primitive_desc matmul_desc(const dnnl::engine& engine, const dnnl::memory::desc& a,
                                                const dnnl::memory::desc& b, const dnnl::memory::desc& c,
                                                const dnnl::primitive_attr& attr) {
    return {dnnl::matmul::desc(a, b, c), attr, engine};
}
#endif

/// A primitive ready to run, and what has to be carried to and from it.
struct Prepared {
    dnnl::primitive primitive;
    dnnl::memory::desc x, filter, y, bias;  ///< as the primitive wants them (a, b, c for a matrix product)
    dnnl::primitive reorder;                ///< filter: ours -> the primitive's, or back for its gradient; may be empty
    dnnl::primitive reorder_adding;         ///< the same, adding (gradients only)
    std::int64_t scratch = 0;               ///< bytes, of all of them
    std::string implementation;
    std::uint64_t number = 0;               ///< names this form of a filter
};

/// What decides a primitive. Unused places are 0.
using Key = std::array<std::int64_t, 24>;

/// A context's oneDNN state. Primitives are kept by geometry, the least recently used one going first past `capacity`, so
/// that images of ever new sizes do not fill the memory.
class Engine {
 public:
    static constexpr std::size_t capacity = 1024;

    dnnl::engine& engine() { return engine_; }
    dnnl::stream& stream() { return stream_; }

    template <class Make>
    std::shared_ptr<Prepared> prepared(const Key& key, const Make& make) {
        const std::lock_guard lock(mutex_);
        if (const auto found = places_.find(key); found != places_.end()) {
            order_.splice(order_.begin(), order_, found->second);
            return order_.front().second;
        }
        auto made = std::make_shared<Prepared>(make());
        made->number = ++made_;
        order_.emplace_front(key, made);
        places_[key] = order_.begin();
        if (order_.size() > capacity) {
            places_.erase(order_.back().first);
            order_.pop_back();
        }
        return made;
    }
    std::size_t size() {
        const std::lock_guard lock(mutex_);
        return order_.size();
    }
    /// How many primitives were made so far, those forgotten included.
    std::uint64_t made() const { return made_; }
    /// How often a filter was carried into a primitive's own layout.
    std::uint64_t reorders = 0;

 private:
    dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
    dnnl::stream stream_{engine_};
    std::mutex mutex_;
    std::list<std::pair<Key, std::shared_ptr<Prepared>>> order_;
    std::map<Key, decltype(order_)::iterator> places_;
    std::uint64_t made_ = 0;
};

/// Scratch memory is ours, so that it is counted.
inline dnnl::primitive_attr own_scratch() {
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return attr;
}

/// bfloat16 needs AVX-512 in oneDNN.
template <Element T>
void expects_processor() {
#if defined(__x86_64__)
    if constexpr (std::same_as<T, bfloat16>) {
        static const bool capable = __builtin_cpu_supports("avx512bw");
        expects<DeviceError>(capable, "bfloat16: this processor has no AVX-512, which oneDNN needs for it; use float");
    }
#endif
}

/// oneDNN's status as a sentence.
[[noreturn]] inline void refuse(const char* op, const dnnl::error& error, const std::string& facts) {
    throw DeviceError(text(op, ": oneDNN ", dnnl_version_text(), " refused ", facts, " (", error.what(), ", status ",
                           int(error.status), "); report the shape, or try another version of oneDNN"));
}

/// A oneDNN view of numbers from `first` on, or of a tensor's.
template <class T>
dnnl::memory view(Engine& engine, const dnnl::memory::desc& desc, const T* first) {
    return {desc, engine.engine(), const_cast<T*>(first)};
}
template <class T>
dnnl::memory view(Engine& engine, const dnnl::memory::desc& desc, const Tensor<T, Cpu>& tensor) {
    return view(engine, desc, std::as_const(tensor).data());
}

}  // namespace holon::op::cpu
