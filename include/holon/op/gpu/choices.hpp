// op/gpu/choices.hpp: which engines a context's convolutions run on, as a few lines of text that a checkpoint keeps.
#pragma once
#include <charconv>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>

#include <holon/op/gpu/convolution.hpp>

namespace holon::gpu {

/// What a choice was made for: a convolution, and how it may compute.
using ConvolutionKey =
    std::tuple<int, int, std::int64_t, std::int64_t, std::int64_t, std::int64_t, Conv2dOptions, bool, Numerics>;
/// With the sums of its result a convolution counts as a direction of its own, behind the three.
inline ConvolutionKey key_of(const Convolution& what) {
    return {what.sums ? 3 : int(what.direction), int(what.type), what.x.n,     what.x.h, what.x.w, what.x.c,
            what.options,        what.add,       what.numerics};
}
using Choices = std::map<ConvolutionKey, EngineChoice>;

namespace detail {

/// Calls f(number) for each number of a key, in one order. `Key` may be const.
template <class Key, class F> void each_number(Key& key, const F& f) {
    auto& [direction, type, n, h, w, c, o, add, numerics] = key;
    f(direction), f(type), f(n), f(h), f(w), f(c), f(o.in), f(o.out);
    f(o.kernel.h), f(o.kernel.w), f(o.stride.h), f(o.stride.w);
    f(o.padding.top), f(o.padding.bottom), f(o.padding.left), f(o.padding.right);
    f(o.dilation.h), f(o.dilation.w), f(o.bias), f(add), f(numerics.tf32), f(numerics.deterministic);
}

/// Reads a whole number off the front of `text`; false where there is none that T holds.
template <class T> bool read_number(std::string_view& text, T& number) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || std::int64_t(T(value)) != value) return false;
    number = T(value);
    text.remove_prefix(std::size_t(end - text.data()));
    return true;
}
inline bool read_mark(std::string_view& text, char mark) {
    if (text.empty() || text.front() != mark) return false;
    text.remove_prefix(1);
    return true;
}

inline bool read_choice(std::string_view line, ConvolutionKey& key, EngineChoice& choice) {
    bool good = true;
    each_number(key, [&](auto& number) { good = good && read_number(line, number) && read_mark(line, ' '); });
    if (!good || !read_mark(line, ':') || !read_number(line, choice.engine)) return false;
    while (!line.empty()) {
        auto& [knob, value] = choice.knobs.emplace_back();
        if (!read_mark(line, ' ') || !read_number(line, knob) || !read_mark(line, '=') || !read_number(line, value))
            return false;
    }
    return true;
}

}  // namespace detail

/// What choices are good for: this card under this cuDNN. The first line of their text.
inline std::string choices_are_for(const std::string& card, int capability, int multiprocessors) {
    return text("convolutions 1, cuDNN ", cudnn_version_text(), ", capability ", capability / 10, '.', capability % 10,
                ", ", multiprocessors, " multiprocessors, ", card);
}

/// One line each: what it is for, a colon, the engine and its knobs.
inline std::string format_choices(const std::string& first_line, const Choices& choices) {
    std::ostringstream out;
    out << first_line;
    for (const auto& [key, choice] : choices) {
        out << '\n';
        detail::each_number(key, [&](const auto& number) { out << std::int64_t(number) << ' '; });
        out << ':' << choice.engine;
        for (const auto& [knob, value] : choice.knobs) out << ' ' << knob << '=' << value;
    }
    return out.str();
}

/// The choices of such text; `DataError` naming the line that is none. The first line is the caller's to judge.
inline Choices parse_choices(std::string_view lines) {
    Choices choices;
    for (std::size_t number = 1; !lines.empty(); ++number) {
        const std::string_view line = lines.substr(0, lines.find('\n'));
        lines.remove_prefix(std::min(lines.size(), line.size() + 1));
        if (number == 1) continue;
        ConvolutionKey key{0, 0, 0, 0, 0, 0, {}, false, {}};
        EngineChoice choice;
        expects<DataError>(detail::read_choice(line, key, choice), "stored convolution engines: line ", number, ", \"",
                           line, "\", is not one");
        choices.insert_or_assign(key, std::move(choice));
    }
    return choices;
}

}  // namespace holon::gpu
