// op/cpu/engine.hpp: oneDNN's engine and stream of a context, and its primitives remembered.
#pragma once
#include <array>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <holon/op/cpu/dnnl.hpp>
#include <holon/tensor/make.hpp>

namespace holon::op::cpu {

template <Element T>
constexpr dnnl_data_type_t dnnl_type() {
    if constexpr (std::same_as<T, bfloat16>) return dnnl_bf16;
    if constexpr (std::same_as<T, float>) return dnnl_f32;
}

/// A primitive ready to run, and what has to be carried to and from it.
struct Prepared {
    Primitive primitive;
    Layout x, filter, y, bias;    ///< as the primitive wants them (a, b, c for a matrix product)
    Layout ours;                  ///< the filter as it lies with us
    Primitive reorder;            ///< filter: ours -> the primitive's, or back for its gradient; may be empty
    Primitive reorder_adding;     ///< the same, adding (gradients only)
    std::int64_t scratch = 0;     ///< bytes, of all of them
    Layout scratch_layout;
    std::string implementation;
    std::uint64_t number = 0;     ///< names this form of a filter: the same for the same layout and kind of primitive
};

/// What decides a primitive. Unused places are 0.
using Key = std::array<std::int64_t, 24>;

/// A context's oneDNN state. Primitives are kept by geometry, the least recently used one going first past `capacity`, so
/// that images of ever new sizes do not fill the memory.
class Engine {
 public:
    static constexpr std::size_t capacity = 1024;

    Engine() {
        expects_dnnl(dnnl_engine_create(engine_.out(), dnnl_cpu, 0), "making an engine");
        expects_dnnl(dnnl_stream_create(stream_.out(), engine_.get(), dnnl_stream_default_flags), "making a stream");
    }

    dnnl_engine_t get() const { return engine_.get(); }

    /// Runs a primitive, and waits for it.
    void run(const Primitive& primitive, std::initializer_list<Argument> arguments) {
        cpu::run(engine_.get(), stream_.get(), primitive, arguments);
    }

    template <class Make>
    std::shared_ptr<Prepared> prepared(const Key& key, const Make& make) {
        const std::lock_guard lock(mutex_);
        auto known = find(key);
        return known ? known : keep(key, make());
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
    std::shared_ptr<Prepared> find(const Key& key) {
        for (auto each = order_.begin(); each != order_.end(); ++each)
            if (each->first == key) {
                order_.splice(order_.begin(), order_, each);
                return each->second;
            }
        return nullptr;
    }
    std::shared_ptr<Prepared> keep(const Key& key, Prepared prepared) {
        const std::shared_ptr<Prepared> kept(new Prepared(std::move(prepared)));
        kept->scratch_layout = Layout({kept->scratch}, dnnl_u8, dnnl_x);
        ++made_;
        if (kept->reorder) kept->number = number_of(key[0], kept->ours, kept->filter);
        order_.emplace_front(key, kept);
        if (order_.size() > capacity) order_.pop_back();
        return kept;
    }
    /// Kinds are told apart, or the forms of one filter for two directions would be a second use of one, and kept.
    std::uint64_t number_of(std::int64_t kind, const Layout& ours, const Layout& filter) {
        std::uint64_t number = 0;
        for (const FilterLayout& known : filter_layouts_) {
            ++number;
            if (known.kind == kind && known.ours == ours && known.filter == filter) return number;
        }
        filter_layouts_.push_back({kind, Layout(ours.get()), Layout(filter.get())});
        return number + 1;
    }

    struct FilterLayout {
        std::int64_t kind;
        Layout ours, filter;
    };
    Handle<dnnl_engine_t, dnnl_engine_destroy> engine_;
    Handle<dnnl_stream_t, dnnl_stream_destroy> stream_;
    std::mutex mutex_;
    std::list<std::pair<Key, std::shared_ptr<Prepared>>> order_;  // the last used first
    std::list<FilterLayout> filter_layouts_;
    std::uint64_t made_ = 0;
};

/// oneDNN's refusal as a sentence.
[[noreturn]] inline void refuse(const char* op, const DeviceError& error, const std::string& facts) {
    throw DeviceError(
        text(op, ": ", facts, " is refused (", error.what(), "); report the shape, or try another version of oneDNN"));
}

}  // namespace holon::op::cpu
