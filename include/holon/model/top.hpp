// model/top.hpp: what is put on the trunk's last map to look at a whole image: two kinds of block, in any order.
#pragma once
#include <charconv>
#include <list>
#include <string>
#include <string_view>
#include <vector>

#include <holon/layer/bottleneck.hpp>
#include <holon/layer/vgg_block.hpp>

namespace holon {

/// One top block: K bottleneck units `[L-M-N]xK`, or K VGG units `NxK`. Either halves the map.
struct TopBlock {
    enum class Kind { bottleneck, vgg } kind = Kind::vgg;
    int reduce = 0, middle = 0;  ///< L and M of a bottleneck
    int out = 256;               ///< N
    int units = 1;               ///< K >= 1
    friend bool operator==(const TopBlock&, const TopBlock&) = default;
};

/// Reads "256x1,128x1" or "[512-512-1024]x2,[512-512-1024]x2" or a mixture; "none" is no block at all: the mean over
/// the trunk's last map goes to fc. Throws `DataError` with the place.
std::vector<TopBlock> parse_top(std::string_view spec);
/// The inverse of `parse_top`.
std::string format_top(const std::vector<TopBlock>& blocks);

#ifdef HOLON_INLINE
namespace detail {
inline int read_count(std::string_view spec, std::string_view& rest, const char* what) {
    int value = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    expects<DataError>(error == std::errc() && value >= 1 && value <= 65536, "top \"", spec, "\": ", what,
                       " must be a whole number from 1 to 65536 at \"", rest,
                       "\"; write blocks as 256x1 (VGG) or [512-512-1024]x2 (bottleneck), separated by commas");
    rest.remove_prefix(std::size_t(end - rest.data()));
    return value;
}
inline void read_mark(std::string_view spec, std::string_view& rest, char mark) {
    expects<DataError>(!rest.empty() && rest.front() == mark, "top \"", spec, "\": '", mark, "' expected at \"", rest,
                       "\"; write blocks as 256x1 (VGG) or [512-512-1024]x2 (bottleneck), separated by commas");
    rest.remove_prefix(1);
}
}  // namespace detail

HOLON_INLINE std::vector<TopBlock> parse_top(std::string_view spec) {
    std::vector<TopBlock> blocks;
    if (spec == "none") return blocks;
    std::string_view rest = spec;
    for (;;) {
        TopBlock block;
        if (!rest.empty() && rest.front() == '[') {
            block.kind = TopBlock::Kind::bottleneck;
            detail::read_mark(spec, rest, '[');
            block.reduce = detail::read_count(spec, rest, "the first width");
            detail::read_mark(spec, rest, '-');
            block.middle = detail::read_count(spec, rest, "the second width");
            detail::read_mark(spec, rest, '-');
            block.out = detail::read_count(spec, rest, "the third width");
            detail::read_mark(spec, rest, ']');
        } else {
            block.out = detail::read_count(spec, rest, "the width");
        }
        detail::read_mark(spec, rest, 'x');
        block.units = detail::read_count(spec, rest, "the number of units");
        blocks.push_back(block);
        if (rest.empty()) return blocks;
        detail::read_mark(spec, rest, ',');
    }
}

HOLON_INLINE std::string format_top(const std::vector<TopBlock>& blocks) {
    if (blocks.empty()) return "none";
    std::string spec;
    for (const TopBlock& b : blocks) {
        if (!spec.empty()) spec += ',';
        spec += b.kind == TopBlock::Kind::vgg ? text(b.out, 'x', b.units)
                                              : text('[', b.reduce, '-', b.middle, '-', b.out, "]x", b.units);
    }
    return spec;
}
#endif

/// What the paper's top layers use (Keras): epsilon 1e-3, momentum 0.01, biased running variance.
inline BatchNormOptions top_norm() { return {.epsilon = 1e-3, .momentum = 0.01, .unbiased = false}; }

/// Bottleneck units in a row; the first has the stride, in its first 1x1, and a projection.
template <Element T, Device D>
struct BottleneckRow {
    BottleneckRow(int in, const TopBlock& block, Random& random);
    Variable<T, D> operator()(const Variable<T, D>& x, Mode mode);
    void members(auto& visit) { visit(std::string_view(), units); }

    std::list<Bottleneck<T, D>> units;
};

template <Element T, Device D> BottleneckRow<T, D>::BottleneckRow(int in, const TopBlock& block, Random& random) {
    for (int u = 0; u < block.units; ++u)
        units.emplace_back(BottleneckOptions{.in = u == 0 ? in : block.out,
                                             .reduce = block.reduce,
                                             .middle = block.middle,
                                             .out = block.out,
                                             .stride = u == 0 ? 2 : 1,
                                             .stride_first = true,
                                             .project = u == 0,
                                             .bias = true,
                                             .norm = top_norm()},
                           random);
}

template <Element T, Device D> Variable<T, D> BottleneckRow<T, D>::operator()(const Variable<T, D>& x, Mode mode) {
    Variable<T, D> y = x;
    for (auto& unit : units) y = unit(y, mode);
    return y;
}

/// The blocks one after another, named by block and unit: 0.0.conv1.weight, ... Kernels take weight decay.
template <Element T, Device D>
struct Top {
    using element = T;
    using device = D;

    Top(int in, const std::vector<TopBlock>& spec, Random& random);
    Variable<T, D> operator()(const Variable<T, D>& x, Mode mode);
    void members(auto& visit) { visit(std::string_view(), blocks); }

    int features;  ///< channels of the last block
    std::vector<AnyLayer<T, D>> blocks;
};

template <Element T, Device D>
Top<T, D>::Top(int in, const std::vector<TopBlock>& spec, Random& random) : features(in) {
    for (const TopBlock& block : spec) {
        if (block.kind == TopBlock::Kind::bottleneck)
            blocks.push_back(BottleneckRow<T, D>(features, block, random));
        else
            blocks.push_back(
                VggBlock<T, D>({.in = features, .out = block.out, .units = block.units, .norm = top_norm()}, random));
        features = block.out;
    }
    Visitor<Accumulate<T>, D> visit;
    visit.on_parameter = [](const std::string&, auto& p) { p.decays = p.role() == Role::filter; };
    visit(std::string_view(), *this);
}

template <Element T, Device D> Variable<T, D> Top<T, D>::operator()(const Variable<T, D>& x, Mode mode) {
    Variable<T, D> y = x;
    for (auto& block : blocks) y = block(y, mode);
    return y;
}

}  // namespace holon
