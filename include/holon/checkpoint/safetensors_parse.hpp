// checkpoint/safetensors_parse.hpp: a reader for the one kind of JSON a header may hold; anything else is refused.
#pragma once
#include <holon/checkpoint/safetensors_format.hpp>

namespace holon {
namespace detail {

/// Reads header text. Recursion has no place here, so nesting cannot exhaust the stack; memory is a few times the text.
class HeaderParser {
 public:
    /// `data_bytes` is what the file holds after the header.
    HeaderParser(std::string_view header, std::uint64_t data_bytes) : text_(header), data_bytes_(data_bytes) {}

    /// Throws `DataError` with the reason and the byte, counted from the start of the file.
    SafetensorsHeader parse() {
        at_ = std::min(find_bad_utf8(text_), text_.size());
        if (at_ < text_.size()) refuse("the header is not UTF-8");
        at_ = 0;
        if (text_.empty() || text_.front() != '{') refuse("the header does not begin with '{'");
        bool has_metadata = false;
        object([&](std::string key) {
            if (key != "__metadata__") return tensor(std::move(key));
            if (std::exchange(has_metadata, true)) refuse("\"__metadata__\" stands there twice");
            metadata();
        });
        if (at_ = text_.find_first_not_of(' ', at_); at_ != text_.npos)
            refuse("something other than spaces follows the header's last '}'");
        check_names();
        check_offsets();
        return std::move(header_);
    }

 private:
    template <class Member> void object(Member member) {
        expect('{');
        if (accept('}')) return;
        do {
            std::string key = string();
            expect(':');
            member(std::move(key));
        } while (accept(','));
        expect('}');
    }

    void metadata() {
        object([&](std::string key) {
            std::string value = string();
            if (!header_.metadata.emplace(key, std::move(value)).second)
                refuse("the metadata has the key ", shown(key), " twice");
        });
    }

    void tensor(std::string name) {
        TensorEntry entry;
        entry.name = std::move(name);
        bool has_dtype = false, has_shape = false, has_offsets = false;
        const auto once = [&](bool& seen, std::string_view field) {
            if (std::exchange(seen, true)) refuse("tensor ", shown(entry.name), " has \"", field, "\" twice");
        };
        object([&](const std::string& field) {
            if (field == "dtype") {
                once(has_dtype, field);
                entry.dtype = string();
                if (dtype_rank(entry.dtype) == dtypes.size())
                    refuse("tensor ", shown(entry.name), " has the unknown type ", shown(entry.dtype));
            } else if (field == "shape") {
                once(has_shape, field);
                numbers([&](std::uint64_t extent) {
                    if (entry.shape.size() == max_rank)
                        refuse("tensor ", shown(entry.name), " has more than ", max_rank, " dimensions");
                    entry.shape.push_back(std::int64_t(extent));
                });
            } else if (field == "data_offsets") {
                once(has_offsets, field);
                std::size_t count = 0;
                numbers([&](std::uint64_t offset) { (count++ == 0 ? entry.begin : entry.end) = offset; });
                if (count != 2) refuse("tensor ", shown(entry.name), " has ", count, " data offsets instead of two");
            } else {
                refuse("tensor ", shown(entry.name), " has the unknown field ", shown(field));
            }
        });
        if (!has_dtype || !has_shape || !has_offsets)
            refuse("tensor ", shown(entry.name), " lacks one of dtype, shape, data_offsets");
        header_.tensors.push_back(std::move(entry));
    }

    template <class Take> void numbers(Take take) {
        expect('[');
        if (accept(']')) return;
        do take(number());
        while (accept(','));
        expect(']');
    }

    std::uint64_t number() {
        skip_space();
        const std::size_t first = at_;
        std::int64_t value = 0;
        for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
            if (__builtin_mul_overflow(value, std::int64_t(10), &value) ||
                __builtin_add_overflow(value, text_[at_] - '0', &value)) {
                refuse("a number is larger than 2^63-1");
            }
        }
        const bool fraction = at_ < text_.size() && (text_[at_] == '.' || text_[at_] == 'e' || text_[at_] == 'E');
        if (at_ == first || fraction) refuse("expected a whole number that is not negative");
        if (text_[first] == '0' && at_ - first > 1) refuse("a number begins with a needless 0");
        return std::uint64_t(value);
    }

    std::string string() {
        expect('"');
        std::string out;
        for (;;) {
            std::size_t stop = at_;
            while (stop < text_.size() && text_[stop] != '"' && text_[stop] != '\\' && std::uint8_t(text_[stop]) >= 0x20)
                ++stop;
            out.append(text_.substr(at_, stop - at_));
            at_ = stop;
            if (at_ == text_.size()) refuse("the header ends inside a string");
            const char c = text_[at_];
            if (c == '"') break;
            if (c != '\\') refuse("a control character stands bare in a string");
            ++at_;
            escape(out);
        }
        ++at_;
        return out;
    }

    void escape(std::string& out) {
        const char c = at_ < text_.size() ? text_[at_] : '\0';
        if (c != 'u') {
            const std::size_t named = std::string_view("\"\\/bfnrt").find(c);
            if (named == std::string_view::npos) refuse("an escape that JSON does not have");
            out += "\"\\/\b\f\n\r\t"[named];
            ++at_;
            return;
        }
        std::uint32_t point = code_unit();
        if (point >= 0xd800 && point < 0xdc00 && text_.substr(at_, 2) == "\\u") {
            ++at_;
            const std::uint32_t low = code_unit();
            if (low < 0xdc00 || low > 0xdfff) refuse("half of a surrogate pair");
            point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
        } else if (point >= 0xd800 && point < 0xe000) {
            refuse("half of a surrogate pair");
        }
        append_utf8(out, point);
    }

    // At the u of \uXXXX.
    std::uint32_t code_unit() {
        std::uint32_t value = 0;
        for (++at_; const char c : text_.substr(std::min(at_, text_.size()), 4)) {
            const std::size_t digit =
                std::string_view("0123456789abcdef").find(c >= 'A' && c <= 'F' ? char(c + 32) : c);
            if (digit == std::string_view::npos) refuse("\\u needs four hexadecimal digits");
            value = value * 16 + std::uint32_t(digit);
        }
        if (text_.size() - at_ < 4) refuse("the header ends inside a string");
        at_ += 4;
        return value;
    }

    static void append_utf8(std::string& out, std::uint32_t point) {
        const int extra = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
        constexpr std::uint32_t lead[] = {0, 0xc0, 0xe0, 0xf0};
        out += char(lead[extra] | (point >> (6 * extra)));
        for (int i = extra; i-- > 0;) out += char(0x80 | ((point >> (6 * i)) & 0x3f));
    }

    void check_names() {
        const std::string* twice = name_twice(header_.tensors, ordered_by_name(header_.tensors));
        if (twice) throw DataError(text("it has the tensor ", shown(*twice), " twice"));
    }

    void check_offsets() {
        std::vector<TensorEntry> tensors;
        std::uint64_t last = 0;
        const auto order = ordered(header_.tensors.size(), [this](std::size_t i, std::size_t k) {
            const TensorEntry &a = header_.tensors[i], &b = header_.tensors[k];
            return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
        });
        for (const std::size_t i : order) {
            tensors.push_back(std::move(header_.tensors[i]));
            last = std::max(last, tensors.back().end);
        }
        if (last > data_bytes_)
            throw DataError(text("it is cut short: its tensors need ", last, " bytes after the header, ", data_bytes_,
                                 " are there"));
        std::uint64_t expected = 0;
        for (const TensorEntry& entry : tensors) {
            const auto bad = [&](const auto&... pieces) {
                throw DataError(text("tensor ", shown(entry.name), " ", entry.dtype, ' ', shown(entry.shape),
                                     " at bytes ", entry.begin, " to ", entry.end, " of the data ", pieces...));
            };
            std::uint64_t bytes = 0;
            if (entry.end < entry.begin) bad("ends before it begins");
            if (!tensor_bytes(entry.dtype, entry.shape, bytes)) bad("has a size that is past 2^63 or not whole bytes");
            if (entry.end - entry.begin != bytes) bad("should have ", bytes, " bytes by its type and shape");
            if (entry.begin < expected) bad("overlaps the one before it, which ends at ", expected);
            if (entry.begin > expected) bad("leaves a hole: the one before it ends at ", expected);
            expected = entry.end;
        }
        if (expected != data_bytes_)
            throw DataError(
                text("its tensors end after ", expected, " bytes of data, but ", data_bytes_, " follow the header"));
        header_.tensors = std::move(tensors);
    }

    void skip_space() { at_ = std::min(text_.find_first_not_of(" \t\n\r", at_), text_.size()); }
    bool accept(char c) {
        skip_space();
        const bool found = at_ < text_.size() && text_[at_] == c;
        at_ += found;
        return found;
    }
    void expect(char c) {
        if (!accept(c)) refuse("expected '", c, "'");
    }
    template <class... Pieces> [[noreturn]] void refuse(const Pieces&... pieces) const {
        throw DataError(text(pieces..., " (at byte ", at_ + 8, ")"));
    }

    static constexpr std::size_t max_rank = 64;  // numpy's; keeps a shape of zeros from costing four times its text

    std::string_view text_;
    std::uint64_t data_bytes_;
    std::size_t at_ = 0;
    SafetensorsHeader header_;
};

}  // namespace detail

/// The header of a safetensors file from its JSON text, after all checks of the format; `data_bytes` is what the file
/// holds after it. Throws `DataError` with the reason; the path is the caller's to add.
SafetensorsHeader parse_safetensors_header(std::string_view header, std::uint64_t data_bytes);

#ifdef HOLON_INLINE
HOLON_INLINE SafetensorsHeader parse_safetensors_header(std::string_view header, std::uint64_t data_bytes) {
    return detail::HeaderParser(header, data_bytes).parse();
}
#endif

}  // namespace holon
