// op/cpu/dnnl.hpp: oneDNN's C functions behind values that move and free themselves, and the one place where oneDNN 2 and
// 3 differ. Its own C++ header would be a tenth of the time that a program that trains takes to compile.
#pragma once
#include <dnnl.h>

#include <array>
#include <initializer_list>
#include <string>
#include <utility>

#include <holon/core/error.hpp>
#include <holon/op/geometry.hpp>

namespace holon::op::cpu {

/// "2.6.3": the version that runs, not the one compiled against.
inline std::string dnnl_version_text() {
    const dnnl_version_t* v = dnnl_version();
    return text(v->major, '.', v->minor, '.', v->patch);
}

/// Throws `DeviceError` unless oneDNN did what was asked.
inline void expects_dnnl(dnnl_status_t status, const char* what) {
    if (status != dnnl_success)
        throw DeviceError(text("oneDNN ", dnnl_version_text(), ", ", what, ": status ", int(status)));
}

/// What oneDNN made, and wants back.
template <class Raw, dnnl_status_t (*destroy)(Raw)> class Handle {
 public:
    Handle() = default;
    Handle(Handle&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    Handle& operator=(Handle&& other) noexcept {
        std::swap(raw_, other.raw_);
        return *this;
    }
    ~Handle() {
        if (raw_) destroy(raw_);
    }

    explicit operator bool() const { return raw_ != nullptr; }
    Raw get() const { return raw_; }
    /// For the function that makes it.
    Raw* out() { return &raw_; }

 private:
    Raw raw_ = nullptr;
};

using PrimitiveDescriptor = Handle<dnnl_primitive_desc_t, dnnl_primitive_desc_destroy>;
using Primitive = Handle<dnnl_primitive_t, dnnl_primitive_destroy>;
using Attributes = Handle<dnnl_primitive_attr_t, dnnl_primitive_attr_destroy>;

/// Extents in oneDNN's order (n, c, h, w; out, in, r, s), element type, and how the numbers lie in memory.
class Layout {
 public:
#if DNNL_VERSION_MAJOR >= 3
    using Raw = const_dnnl_memory_desc_t;
    Layout() = default;
    Layout(std::initializer_list<dnnl_dim_t> extents, dnnl_data_type_t type, dnnl_format_tag_t tag) {
        expects_dnnl(dnnl_memory_desc_create_with_tag(desc_.out(), int(extents.size()), extents.begin(), type, tag),
                     "describing memory");
    }
    Layout(std::initializer_list<dnnl_dim_t> extents, dnnl_data_type_t type, std::initializer_list<dnnl_dim_t> strides) {
        expects_dnnl(dnnl_memory_desc_create_with_strides(desc_.out(), int(extents.size()), extents.begin(), type,
                                                          strides.begin()),
                     "describing memory");
    }
    explicit Layout(Raw raw) { expects_dnnl(dnnl_memory_desc_clone(desc_.out(), raw), "describing memory"); }
    Raw get() const { return desc_.get(); }

 private:
    Handle<dnnl_memory_desc_t, dnnl_memory_desc_destroy> desc_;
#else
    using Raw = const dnnl_memory_desc_t*;
    Layout() = default;
    Layout(std::initializer_list<dnnl_dim_t> extents, dnnl_data_type_t type, dnnl_format_tag_t tag) {
        expects_dnnl(dnnl_memory_desc_init_by_tag(&desc_, int(extents.size()), extents.begin(), type, tag),
                     "describing memory");
    }
    Layout(std::initializer_list<dnnl_dim_t> extents, dnnl_data_type_t type, std::initializer_list<dnnl_dim_t> strides) {
        expects_dnnl(dnnl_memory_desc_init_by_strides(&desc_, int(extents.size()), extents.begin(), type, strides.begin()),
                     "describing memory");
    }
    explicit Layout(Raw raw) : desc_(*raw) {}
    Raw get() const { return &desc_; }

 private:
    dnnl_memory_desc_t desc_{};
#endif

 public:
    std::size_t bytes() const { return dnnl_memory_desc_get_size(get()); }
    friend bool operator==(const Layout& a, const Layout& b) { return dnnl_memory_desc_equal(a.get(), b.get()) != 0; }
};

/// Scratch memory is ours, so that it is counted. `adding`: the result joins what is there.
inline Attributes own_scratch(bool adding = false) {
    Attributes attributes;
    expects_dnnl(dnnl_primitive_attr_create(attributes.out()), "making attributes");
    expects_dnnl(dnnl_primitive_attr_set_scratchpad_mode(attributes.get(), dnnl_scratchpad_mode_user), "scratchpads");
    if (adding) {
        Handle<dnnl_post_ops_t, dnnl_post_ops_destroy> sum;
        expects_dnnl(dnnl_post_ops_create(sum.out()), "making a sum");
#if DNNL_VERSION_MAJOR >= 3
        expects_dnnl(dnnl_post_ops_append_sum(sum.get(), 1.0f, 0, dnnl_data_type_undef), "making a sum");
#else
        expects_dnnl(dnnl_post_ops_append_sum(sum.get(), 1.0f), "making a sum");
#endif
        expects_dnnl(dnnl_primitive_attr_set_post_ops(attributes.get(), sum.get()), "making a sum");
    }
    return attributes;
}

/// The layouts and numbers that oneDNN wants of a convolution.
struct ConvolutionSetup {
    Layout x, filter, bias, y;
    bool biased;
    std::array<dnnl_dim_t, 2> strides, dilates, before, after;
};

/// A direction of a convolution; backward ones are told of the forward one.
inline PrimitiveDescriptor convolution_descriptor(dnnl_engine_t engine, Direction direction, const ConvolutionSetup& s,
                                                  const Attributes& attributes,
                                                  const PrimitiveDescriptor& forward = {}) {
    PrimitiveDescriptor made;
    const auto x = s.x.get(), filter = s.filter.get(), bias = s.biased ? s.bias.get() : nullptr, y = s.y.get();
    const auto how = dnnl_convolution_direct;
    const dnnl_dim_t *strides = s.strides.data(), *dilates = s.dilates.data(), *before = s.before.data(),
                     *after = s.after.data();
    dnnl_status_t status;
#if DNNL_VERSION_MAJOR >= 3
    if (direction == Direction::forward)
        status = dnnl_convolution_forward_primitive_desc_create(made.out(), engine, dnnl_forward_training, how, x, filter,
                                                                bias, y, strides, dilates, before, after,
                                                                attributes.get());
    else if (direction == Direction::to_input)
        status = dnnl_convolution_backward_data_primitive_desc_create(made.out(), engine, how, x, filter, y, strides,
                                                                      dilates, before, after, forward.get(),
                                                                      attributes.get());
    else
        status = dnnl_convolution_backward_weights_primitive_desc_create(made.out(), engine, how, x, filter, nullptr, y,
                                                                         strides, dilates, before, after, forward.get(),
                                                                         attributes.get());
#else
    dnnl_convolution_desc_t desc;
    if (direction == Direction::forward)
        status = dnnl_dilated_convolution_forward_desc_init(&desc, dnnl_forward_training, how, x, filter, bias, y, strides,
                                                            dilates, before, after);
    else if (direction == Direction::to_input)
        status = dnnl_dilated_convolution_backward_data_desc_init(&desc, how, x, filter, y, strides, dilates, before, after);
    else
        status = dnnl_dilated_convolution_backward_weights_desc_init(&desc, how, x, filter, nullptr, y, strides, dilates,
                                                                     before, after);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(made.out(), &desc, attributes.get(), engine, forward.get());
#endif
    expects_dnnl(status, "choosing how to convolve");
    return made;
}

/// c = a b.
inline PrimitiveDescriptor product_descriptor(dnnl_engine_t engine, const Layout& a, const Layout& b, const Layout& c,
                                              const Attributes& attributes) {
    PrimitiveDescriptor made;
#if DNNL_VERSION_MAJOR >= 3
    const dnnl_status_t status = dnnl_matmul_primitive_desc_create(made.out(), engine, a.get(), b.get(), nullptr, c.get(),
                                                                   attributes.get());
#else
    dnnl_matmul_desc_t desc;
    dnnl_status_t status = dnnl_matmul_desc_init(&desc, a.get(), b.get(), nullptr, c.get());
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(made.out(), &desc, attributes.get(), engine, nullptr);
#endif
    expects_dnnl(status, "choosing how to multiply");
    return made;
}

/// The same numbers in another layout.
inline PrimitiveDescriptor reorder_descriptor(dnnl_engine_t engine, const Layout& from, const Layout& to,
                                              const Attributes& attributes) {
    PrimitiveDescriptor made;
    expects_dnnl(dnnl_reorder_primitive_desc_create(made.out(), from.get(), engine, to.get(), engine, attributes.get()),
                 "choosing how to reorder");
    return made;
}

inline Primitive primitive(const PrimitiveDescriptor& descriptor) {
    Primitive made;
    expects_dnnl(dnnl_primitive_create(made.out(), descriptor.get()), "making a primitive");
    return made;
}

/// The layout that a primitive chose for what is called `which` (dnnl_query_weights_md, ...).
inline Layout chosen_layout(const PrimitiveDescriptor& descriptor, dnnl_query_t which) {
    return Layout(dnnl_primitive_desc_query_md(descriptor.get(), which, 0));
}
/// Bytes of scratch memory that a primitive wants.
inline std::int64_t scratch_bytes(const PrimitiveDescriptor& descriptor) {
    return std::int64_t(chosen_layout(descriptor, dnnl_query_scratchpad_md).bytes());
}
/// Which of oneDNN's implementations it is, e.g. "brgconv:avx512_core".
inline std::string implementation_of(const PrimitiveDescriptor& descriptor) {
    const char* name = "";
    expects_dnnl(dnnl_primitive_desc_query(descriptor.get(), dnnl_query_impl_info_str, 0, &name), "an implementation's name");
    return name;
}

/// What a primitive reads or writes: which of its arguments (DNNL_ARG_*; 0: none), in which layout, and where it is.
struct Argument {
    int which = 0;
    const Layout& layout;
    const void* at = nullptr;
};

/// Runs a primitive of the CPU, and waits for it.
inline void run(dnnl_engine_t engine, dnnl_stream_t stream, const Primitive& primitive,
                std::initializer_list<Argument> arguments) {
    std::array<Handle<dnnl_memory_t, dnnl_memory_destroy>, 6> memories;
    std::array<dnnl_exec_arg_t, 6> given;
    int count = 0;
    for (const Argument& argument : arguments) {
        if (!argument.which) continue;
        auto& memory = memories[std::size_t(count)];
        expects_dnnl(dnnl_memory_create(memory.out(), argument.layout.get(), engine, const_cast<void*>(argument.at)),
                     "looking at a tensor");
        given[std::size_t(count++)] = {argument.which, memory.get()};
    }
    expects_dnnl(dnnl_primitive_execute(primitive.get(), stream, count, given.data()), "running a primitive");
    expects_dnnl(dnnl_stream_wait(stream), "waiting");
}

}  // namespace holon::op::cpu
