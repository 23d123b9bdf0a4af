// op/cpu/widened.hpp: convolution of bfloat16 where oneDNN has none: piece by piece, each widened to float, computed in
// float and rounded once. What is float at a time is of the size of a cache, whatever the size of the images.
#pragma once
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <holon/op/cpu/bfloat16.hpp>
#include <holon/op/cpu/elementwise.hpp>
#include <holon/op/cpu/pieces.hpp>
#include <holon/op/cpu/prepare.hpp>

namespace holon::op::cpu {

inline void widen(const bfloat16* from, std::int64_t count, float* to) {
    each(count, [=](std::int64_t i) { to[i] = float(from[i]); });
}

/// Rounds to bfloat16, or adds in float to what is there and then rounds.
inline void narrow(const float* from, std::int64_t count, bfloat16* to, bool add) {
    if (add)
        each(count, [=](std::int64_t i) { put(to[i], from[i], true); });
    else
        each(count, [=](std::int64_t i) { put(to[i], from[i], false); });
}

/// A direction of a convolution in pieces: what computes each, and the memory that it takes.
struct Widened {
    std::vector<Piece> pieces;
    std::vector<std::shared_ptr<Prepared>> how;    ///< for each piece; null where its rows see padding alone
    std::vector<std::shared_ptr<Prepared>> forms;  ///< one for each layout of the filter that differs from ours
    std::int64_t x_numbers = 0, y_numbers = 0, carry_numbers = 0;  ///< of the float images, and of rows in two bands
    std::int64_t gradient_bytes = 0;                               ///< of a filter's gradient aside
    std::int64_t scratch = 0;                                      ///< bytes, for oneDNN

    /// All that is float, in one block.
    std::int64_t bytes() const {
        return (x_numbers + y_numbers + carry_numbers) * std::int64_t(sizeof(float)) + gradient_bytes;
    }
    /// Of the forms that `Storage::form` does not keep: all but the first.
    std::int64_t other_forms() const {
        std::int64_t sum = 0;
        for (std::size_t i = 1; i < forms.size(); ++i) sum += std::int64_t(forms[i]->filter.bytes());
        return sum;
    }
    /// "widened:jit:avx2"; all of them where the pieces differ.
    std::string implementation() const {
        std::string names;
        for (const auto& p : how)
            if (p && names.find(p->implementation) == names.npos)
                names += (names.empty() ? "" : ", ") + p->implementation;
        return "widened:" + (names.empty() ? "nothing" : names);
    }
};

/// `add`: the result joins what is there.
inline Widened prepare_widened(Context<Cpu>& context, Direction direction, const Shape& x, const Conv2dOptions& o,
                               bool biased, bool add) {
    auto& engine = context.state<Engine>();
    const Shape y = conv2d_shape(x, o);
    Widened w;
    w.pieces = pieces(x, o, context.state<Bfloat16Means>().piece_bytes / std::int64_t(sizeof(float)));
    const auto lines = [](std::int64_t numbers) { return (numbers + 15) / 16 * 16; };  // whole lines of the cache
    const bool filter_gradient = direction == Direction::to_filter;
    for (const Piece& piece : w.pieces) {
        if (piece.x_rows == 0) {
            w.how.push_back(nullptr);
            continue;
        }
        const auto p = prepare_convolution(engine, dnnl_f32, element_name<bfloat16>(), direction, piece.x(x),
                                           piece.options, biased);
        w.how.push_back(p);
        w.x_numbers = std::max(w.x_numbers, lines(piece.x(x).size()));
        w.y_numbers = std::max(w.y_numbers, lines(piece.y(y).size()));
        w.scratch = std::max(w.scratch, p->scratch);
        if (filter_gradient) {
            if (p->reorder || add || w.pieces.size() > 1)
                w.gradient_bytes = std::max(w.gradient_bytes, std::int64_t(p->filter.bytes()));
        } else if (p->reorder && std::none_of(w.forms.begin(), w.forms.end(),
                                              [&](const auto& known) { return known->number == p->number; })) {
            w.forms.push_back(p);
        }
    }
    const bool bands = !w.pieces.empty() && w.pieces[0].y_rows < y.h;
    if (direction == Direction::to_input && bands)
        w.carry_numbers = lines(std::max<std::int64_t>(0, reach(o) - o.stride.h) * x.w * x.c);
    return w;
}

/// The filter in the layout of each piece.
class FilterForms {
 public:
    FilterForms(Context<Cpu>& context, const Widened& w, const Tensor<float, Cpu>& filter, const Bytes& scratch)
        : as_it_is_(filter.storage()) {
        auto& engine = context.state<Engine>();
        for (const auto& p : w.forms)
            forms_.emplace_back(p->number, forms_.empty() ? formed_filter(context, engine, *p, filter, scratch)
                                                          : form_filter(context, engine, *p, filter, scratch));
    }
    const void* of(const Prepared& p) const {
        if (p.reorder)
            for (const auto& [number, form] : forms_)
                if (number == p.number) return form->data();
        return as_it_is_->data();
    }

 private:
    std::shared_ptr<Storage<Cpu>> as_it_is_;
    std::vector<std::pair<std::uint64_t, std::shared_ptr<Storage<Cpu>>>> forms_;
};

/// The float memory of a widened convolution.
struct WideImages {
    explicit WideImages(Context<Cpu>& context, const Widened& w)
        : memory(bytes(context, w.bytes())),
          x(reinterpret_cast<float*>(memory.data())),
          y(x + w.x_numbers),
          carry(y + w.y_numbers),
          gradient(carry + w.carry_numbers) {}
    Bytes memory;
    float *x, *y, *carry, *gradient;
};

/// See `conv2d`.
inline void widened_forward(Context<Cpu>& context, const Tensor<bfloat16, Cpu>& x, const Tensor<float, Cpu>& filter,
                            const Tensor<float, Cpu>* bias, const Conv2dOptions& o, Tensor<bfloat16, Cpu>& y) {
    auto& engine = context.state<Engine>();
    const Shape xs = x.shape(), ys = y.shape();
    const Widened w = prepare_widened(context, Direction::forward, xs, o, bias != nullptr, false);
    const Bytes scratch = bytes(context, w.scratch);
    const FilterForms forms(context, w, filter, scratch);
    const WideImages wide(context, w);
    bfloat16* const to = y.data();
    for (std::size_t i = 0; i < w.pieces.size(); ++i) {
        const Piece& piece = w.pieces[i];
        bfloat16* const there = to + ys.at(piece.image, piece.y_row, 0, 0);
        if (!w.how[i]) {
            const float* const shift = bias ? bias->data() : nullptr;
            for (std::int64_t k = 0; k < piece.y(ys).size(); ++k) there[k] = bfloat16(shift ? shift[k % ys.c] : 0.0f);
            continue;
        }
        const Prepared& p = *w.how[i];
        widen(x.data() + xs.at(piece.image, piece.x_row, 0, 0), piece.x(xs).size(), wide.x);
        engine.run(p.primitive, {{DNNL_ARG_SRC, p.x, wide.x},
                                 {DNNL_ARG_WEIGHTS, p.filter, forms.of(p)},
                                 {bias ? DNNL_ARG_BIAS : 0, p.bias, bias ? bias->data() : nullptr},
                                 {DNNL_ARG_DST, p.y, wide.y},
                                 {DNNL_ARG_SCRATCHPAD, p.scratch_layout, scratch.data()}});
        narrow(wide.y, piece.y(ys).size(), there, false);
    }
}

/// See `conv2d_backward_input`. Where windows of two bands see the same row of x, the upper band's share of it is
/// carried to the lower one in float.
inline void widened_to_input(Context<Cpu>& context, const Tensor<bfloat16, Cpu>& dy, const Tensor<float, Cpu>& filter,
                             const Conv2dOptions& o, Tensor<bfloat16, Cpu>& dx, bool add) {
    auto& engine = context.state<Engine>();
    const Shape xs = dx.shape(), ys = dy.shape();
    const Widened w = prepare_widened(context, Direction::to_input, xs, o, false, add);
    const Bytes scratch = bytes(context, w.scratch);
    const FilterForms forms(context, w, filter, scratch);
    const WideImages wide(context, w);
    bfloat16* const to = dx.data();
    const auto skip = [&](std::int64_t image, std::int64_t begin, std::int64_t end) {  // rows that no window sees
        if (!add && begin < end)
            std::fill_n(to + xs.at(image, begin, 0, 0), (end - begin) * xs.w * xs.c, bfloat16(0.0f));
    };
    std::int64_t written = 0, carried = 0;  // rows of the image: those that are done; those begun, which come next
    for (std::size_t i = 0; i < w.pieces.size(); ++i) {
        const Piece& piece = w.pieces[i];
        const bool last = piece.y_row + piece.y_rows == ys.h;
        if (piece.y_row == 0) written = carried = 0;
        if (w.how[i]) {
            const Prepared& p = *w.how[i];
            widen(dy.data() + ys.at(piece.image, piece.y_row, 0, 0), piece.y(ys).size(), wide.y);
            engine.run(p.primitive, {{DNNL_ARG_DIFF_DST, p.y, wide.y},
                                     {DNNL_ARG_WEIGHTS, p.filter, forms.of(p)},
                                     {DNNL_ARG_DIFF_SRC, p.x, wide.x},
                                     {DNNL_ARG_SCRATCHPAD, p.scratch_layout, scratch.data()}});
            const std::int64_t row = piece.images * xs.w * xs.c;  // of all images where a piece has whole ones
            if (carried) accumulate(wide.carry, wide.x, carried * row);
            const std::int64_t end = piece.x_row + piece.x_rows;
            const std::int64_t done =
                last ? end : std::clamp(first_seen(o, piece.y_row + piece.y_rows), piece.x_row, end);
            skip(piece.image, written, piece.x_row);
            narrow(wide.x, (done - piece.x_row) * row, to + xs.at(piece.image, piece.x_row, 0, 0), add);
            carried = end - done;
            std::copy_n(wide.x + (done - piece.x_row) * row, carried * row, wide.carry);
            written = done;
        }
        if (last)
            for (std::int64_t n = 0; n < piece.images; ++n) skip(piece.image + n, written, xs.h);
    }
}

/// See `conv2d_backward_filter`: the pieces' gradients are added one after another.
inline void widened_to_filter(Context<Cpu>& context, const Tensor<bfloat16, Cpu>& x, const Tensor<bfloat16, Cpu>& dy,
                              const Conv2dOptions& o, Tensor<float, Cpu>& dfilter, bool add) {
    auto& engine = context.state<Engine>();
    const Shape xs = x.shape(), ys = dy.shape();
    const Widened w = prepare_widened(context, Direction::to_filter, xs, o, false, add);
    const Bytes scratch = bytes(context, w.scratch);
    const WideImages wide(context, w);
    float* const to = dfilter.data();
    bool there = add;
    for (std::size_t i = 0; i < w.pieces.size(); ++i) {
        if (!w.how[i]) continue;
        const Piece& piece = w.pieces[i];
        const Prepared& p = *w.how[i];
        widen(x.data() + xs.at(piece.image, piece.x_row, 0, 0), piece.x(xs).size(), wide.x);
        widen(dy.data() + ys.at(piece.image, piece.y_row, 0, 0), piece.y(ys).size(), wide.y);
        const bool straight = !p.reorder && !there;
        float* const result = straight ? to : wide.gradient;
        engine.run(p.primitive, {{DNNL_ARG_SRC, p.x, wide.x},
                                 {DNNL_ARG_DIFF_DST, p.y, wide.y},
                                 {DNNL_ARG_DIFF_WEIGHTS, p.filter, result},
                                 {DNNL_ARG_SCRATCHPAD, p.scratch_layout, scratch.data()}});
        if (!straight)
            engine.run(there ? p.reorder_adding : p.reorder, {{DNNL_ARG_FROM, p.filter, result},
                                                              {DNNL_ARG_TO, p.ours, to},
                                                              {DNNL_ARG_SCRATCHPAD, p.scratch_layout, scratch.data()}});
        there = true;
    }
    if (!there) std::fill_n(to, dfilter.size(), 0.0f);
}

}  // namespace holon::op::cpu
