// gpu/mutant.hpp: what is broken on purpose in this run, so that gpu/mutants.py can see whether a test notices.
#pragma once
#include <cstdlib>
#include <string_view>

namespace host_cuda {

/// Read from the variable HOLON_MUTANT of the environment: "barrier FILE LINE" takes that barrier out of its kernel,
/// "bound SITE SHIFT" moves a bound of the sources that mutants.py wrote. Without it nothing is broken.
struct Mutant {
    std::string_view file;
    int line = 0, site = 0, shift = 0;

    static Mutant from_environment() {
        Mutant m;
        const char* said = std::getenv("HOLON_MUTANT");
        if (!said) return m;
        const std::string_view words = said;
        const std::size_t first = words.find(' '), second = words.find(' ', first + 1);
        if (first == words.npos || second == words.npos) std::abort();
        const std::string_view kind = words.substr(0, first);
        if (kind == "barrier") {
            m.file = words.substr(first + 1, second - first - 1);
            m.line = std::atoi(said + second);
        } else if (kind == "bound") {
            m.site = std::atoi(said + first);
            m.shift = std::atoi(said + second);
        } else {
            std::abort();
        }
        return m;
    }
    bool lacks_barrier(std::string_view in, int at) const { return line == at && in.ends_with(file); }
};
inline const Mutant mutant = Mutant::from_environment();

/// By how much the bound at `site` is off.
inline int off(int site) { return mutant.site == site ? mutant.shift : 0; }

}  // namespace host_cuda
