// fake/convolution.cpp: convolutions by plain loops, summed in double.
#include "fake/convolution.hpp"

#include <bit>
#include <cstdlib>
#include <sstream>

namespace holon::fake {
namespace {

using Axes = std::array<std::size_t, 4>;

/// Visits a tensor with its axes in another order: f(place in that order, offset in memory).
template <class F> void walk(const TensorLayout& t, const Axes& axes, const F& f) {
    std::size_t place = 0;
    std::array<std::int64_t, 4> i;
    for (i[0] = 0; i[0] < t.dims[axes[0]]; ++i[0])
        for (i[1] = 0; i[1] < t.dims[axes[1]]; ++i[1])
            for (i[2] = 0; i[2] < t.dims[axes[2]]; ++i[2])
                for (i[3] = 0; i[3] < t.dims[axes[3]]; ++i[3]) {
                    std::int64_t offset = 0;
                    for (std::size_t d = 0; d < 4; ++d) offset += i[d] * t.strides[axes[d]];
                    f(place++, offset);
                }
}

double as_read(std::int64_t engine, Format format, double value) {
    if (engine == tensor_core && format == Format::float32) return to_tf32(value);
    if (engine == down_convert) return double(float(bfloat16(float(value))));
    return value;
}

std::vector<double> gather(const TensorLayout& t, const Axes& axes, const void* at, std::int64_t engine) {
    const Format format = *format_of(t.type);
    std::vector<double> out(std::size_t(t.size()));
    walk(t, axes, [&](std::size_t place, std::int64_t offset) {
        out[place] = as_read(engine, format, load(format, at, offset));
    });
    return out;
}

void scatter(const std::vector<double>& values, const TensorLayout& t, const Axes& axes, void* at, double alpha,
             double beta) {
    const Format format = *format_of(t.type);
    walk(t, axes, [&](std::size_t place, std::int64_t offset) {
        const double before = beta == 0 ? 0 : beta * load(format, at, offset);
        store(format, at, offset, alpha * values[place] + before);
    });
}

void add_scaled(double factor, const double* from, double* to, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) to[i] += factor * from[i];
}

/// Calls f(pixel of x, tap of the filter, pixel of y) for all that meet.
template <class F> void each_tap(const Convolution& c, const F& f) {
    const auto [n, unused_c, h, w] = c.x.dims;
    const std::int64_t p = c.y.dims[2], q = c.y.dims[3], r = c.w.dims[2], s = c.w.dims[3];
    for (std::int64_t image = 0; image < n; ++image)
        for (std::int64_t i = 0; i < p; ++i)
            for (std::int64_t j = 0; j < q; ++j)
                for (std::int64_t a = 0; a < r; ++a)
                    for (std::int64_t b = 0; b < s; ++b) {
                        const std::int64_t row = i * c.stride[0] - c.before[0] + a * c.dilation[0];
                        const std::int64_t column = j * c.stride[1] - c.before[1] + b * c.dilation[1];
                        if (row < 0 || row >= h || column < 0 || column >= w) continue;
                        f((image * h + row) * w + column, a * s + b, (image * p + i) * q + j);
                    }
}

constexpr Axes pixels{0, 2, 3, 1};                                // n h w c
constexpr Axes taps_in_out{2, 3, 1, 0}, taps_out_in{2, 3, 0, 1};  // r s c k and r s k c

/// Every number of a convolution, in one order.
template <class C, class F> void numbers(C& c, const F& f) {
    f(c.direction);
    for (auto* t : {&c.x, &c.w, &c.y}) {
        f(t->id), f(t->alignment), f(t->type);
        for (auto& v : t->dims) f(v);
        for (auto& v : t->strides) f(v);
    }
    for (auto* pair : {&c.before, &c.after, &c.stride, &c.dilation})
        for (auto& v : *pair) f(v);
    f(c.alpha), f(c.beta), f(c.compute), f(c.sums), f(c.sum.id), f(c.squares.id);
}

}  // namespace

std::optional<Format> format_of(cudnnDataType_t type) {
    switch (type) {
        case CUDNN_DATA_FLOAT:
            return Format::float32;
        case CUDNN_DATA_HALF:
            return Format::float16;
        case CUDNN_DATA_BFLOAT16:
            return Format::bfloat16;
        default:
            return std::nullopt;
    }
}

std::size_t TensorLayout::span() const {
    std::int64_t last = 0;
    for (std::size_t d = 0; d < 4; ++d) last += (dims[d] - 1) * strides[d];
    return std::size_t((last + 1) * bytes_of(*format_of(type)));
}

std::string Convolution::misfit() const {
    if (x.dims[0] != y.dims[0]) return "x and y have different numbers of images";
    if (x.dims[1] != w.dims[1]) return "x and w have different numbers of channels";
    if (y.dims[1] != w.dims[0]) return "y has not the filter's number of channels";
    for (std::size_t d = 0; d < 2; ++d) {
        const std::int64_t reach = dilation[d] * (w.dims[2 + d] - 1) + 1;
        const std::int64_t room = x.dims[2 + d] + before[d] + after[d] - reach;
        const std::int64_t expected = room < 0 ? 0 : room / stride[d] + 1;
        if (y.dims[2 + d] != expected)
            return "y is " + std::to_string(y.dims[2 + d]) + " along spatial dimension " + std::to_string(d) +
                   " where the convolution gives " + std::to_string(expected);
    }
    if (x.id == w.id || w.id == y.id || x.id == y.id) return "two tensors have the same unique id";
    return "";
}

std::vector<std::int64_t> engines_for(const Convolution& c, cudnnBackendHeurMode_t mode) {
    if (settings().no_engines || c.compute != CUDNN_DATA_FLOAT || c.x.type != c.w.type || c.x.type != c.y.type)
        return {};
    if (c.sums) {
        if (c.x.type != CUDNN_DATA_HALF || mode == CUDNN_HEUR_MODE_FALLBACK) return {};
        return {with_sums};
    }
    if (mode == CUDNN_HEUR_MODE_FALLBACK) return {fallback};
    std::vector<std::int64_t> out{tensor_core, refused};
    if (c.direction != Direction::forward) out.push_back(nondeterministic);
    out.push_back(large);
    if (c.x.type == CUDNN_DATA_FLOAT) out.push_back(down_convert);
    out.push_back(plain);
    return out;
}

std::vector<cudnnBackendNumericalNote_t> numerical_notes(std::int64_t engine) {
    switch (engine) {
        case tensor_core: {
            std::vector<cudnnBackendNumericalNote_t> notes{CUDNN_NUMERICAL_NOTE_TENSOR_CORE};
            for (const int note : settings().tensor_core_notes) notes.push_back(cudnnBackendNumericalNote_t(note));
            return notes;
        }
        case nondeterministic:
            return {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC};
        case down_convert:
            return {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS};
        default:
            return {};
    }
}

std::vector<cudnnBackendBehaviorNote_t> behavior_notes(std::int64_t engine) {
    if (engine == down_convert) return {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION};
    return {CUDNN_BEHAVIOR_NOTE_SUPPORTS_CUDA_GRAPH_NATIVE_API};
}

std::int64_t workspace_of(std::int64_t engine, const Convolution& c) {
    switch (engine) {
        case tensor_core:
            return std::int64_t(settings().tensor_core_workspace);
        case large:
            return std::int64_t(settings().large_workspace);
        case nondeterministic:
        case with_sums:
            return 4096;
        case plain:
            return 1000 + c.y.size();
        default:
            return 0;
    }
}

std::vector<std::pair<std::int64_t, std::int64_t>> knobs_of(std::int64_t engine) {
    if (engine == plain) return {{CUDNN_KNOB_TYPE_TILE_SIZE, 3}, {CUDNN_KNOB_TYPE_SPLIT_K, 1}};
    if (engine == tensor_core) return {{CUDNN_KNOB_TYPE_TILE_SIZE, 7}};
    return {};
}

void compute(const Convolution& c, std::int64_t engine, const void* x, const void* w, const void* y) {
    const std::int64_t in = c.x.dims[1], out = c.y.dims[1];
    std::vector<double> sum(std::size_t(c.result().size()));
    const auto at = [](auto& values, std::int64_t row, std::int64_t width) { return values.data() + row * width; };
    if (c.direction == Direction::forward) {
        // y[out] += x[in] w[in, out]
        const auto image = gather(c.x, pixels, x, engine), filter = gather(c.w, taps_in_out, w, engine);
        each_tap(c, [&](std::int64_t from, std::int64_t tap, std::int64_t to) {
            for (std::int64_t i = 0; i < in; ++i)
                add_scaled(at(image, from, in)[i], at(filter, tap * in + i, out), at(sum, to, out), out);
        });
        scatter(sum, c.y, pixels, const_cast<void*>(y), c.alpha, c.beta);
    } else if (c.direction == Direction::backward_data) {
        // dx[in] += dy[out] w[out, in]
        const auto gradient = gather(c.y, pixels, y, engine), filter = gather(c.w, taps_out_in, w, engine);
        each_tap(c, [&](std::int64_t to, std::int64_t tap, std::int64_t from) {
            for (std::int64_t o = 0; o < out; ++o)
                add_scaled(at(gradient, from, out)[o], at(filter, tap * out + o, in), at(sum, to, in), in);
        });
        scatter(sum, c.x, pixels, const_cast<void*>(x), c.alpha, c.beta);
    } else {
        // dw[out, in] += dy[out] x[in]
        const auto gradient = gather(c.y, pixels, y, engine), image = gather(c.x, pixels, x, engine);
        each_tap(c, [&](std::int64_t from, std::int64_t tap, std::int64_t to) {
            for (std::int64_t o = 0; o < out; ++o)
                add_scaled(at(gradient, to, out)[o], at(image, from, in), at(sum, tap * out + o, in), in);
        });
        scatter(sum, c.w, taps_out_in, const_cast<void*>(w), c.alpha, c.beta);
    }
}

void compute_sums(const Convolution& c, const void* y, float* sum, float* squares) {
    const std::int64_t channels = c.y.dims[1];
    std::vector<double> first(std::size_t(channels), 0), second = first;
    const auto values = gather(c.y, pixels, y, plain);
    for (std::size_t i = 0; i < values.size(); ++i) {
        first[i % std::size_t(channels)] += values[i];
        second[i % std::size_t(channels)] += values[i] * values[i];
    }
    for (std::size_t k = 0; k < std::size_t(channels); ++k) sum[k] = float(first[k]), squares[k] = float(second[k]);
}

std::string to_json(const Convolution& c, std::int64_t engine) {
    std::ostringstream out;
    out << "{\"cudnn\":" << cudnnGetVersion() << ",\"engine\":" << engine << ",\"numbers\":[";
    const char* comma = "";
    numbers(c, [&]<class T>(const T& v) {
        out << comma;
        if constexpr (std::same_as<T, double>)
            out << std::bit_cast<std::int64_t>(v);
        else
            out << std::int64_t(v);
        comma = ",";
    });
    out << "]}";
    return out.str();
}

std::optional<std::pair<Convolution, std::int64_t>> from_json(const std::string& text) {
    const auto after = [&](const std::string& key) {
        const auto found = text.find(key);
        return found == std::string::npos ? nullptr : text.c_str() + found + key.size();
    };
    const char *version = after("\"cudnn\":"), *engine = after("\"engine\":"), *list = after("\"numbers\":[");
    if (!version || !engine || !list || std::strtoull(version, nullptr, 10) != cudnnGetVersion()) return std::nullopt;
    Convolution c;
    bool whole = true;
    numbers(c, [&]<class T>(T& v) {
        char* end = nullptr;
        const std::int64_t number = std::strtoll(list, &end, 10);
        whole = whole && end != list;
        list = *end == ',' ? end + 1 : end;
        if constexpr (std::same_as<T, double>)
            v = std::bit_cast<double>(number);
        else
            v = T(number);
    });
    if (!whole || *list != ']') return std::nullopt;
    return std::pair(c, std::int64_t(std::strtoll(engine, nullptr, 10)));
}

}  // namespace holon::fake
