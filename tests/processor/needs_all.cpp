// In the place of examples/processor/needs.cpp: whatever there is, which no processor has (XOP and AVX-512 exclude each other).
extern const bool holon_processor_needs[];
#define HOLON_FEATURE(macro, name, leaf, subleaf, where, bit, state) true,
constexpr bool holon_processor_needs[] = {
#include "processor/features.def"
};
