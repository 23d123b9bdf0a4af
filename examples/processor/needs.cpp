// processor/needs.cpp: what the programs are compiled for. It is compiled as they are, and has data alone: nothing in it runs.
#define HOLON_STRING(text) #text
#define HOLON_FEATURE(macro, name, leaf, subleaf, where, bit, state) HOLON_STRING(macro)[0] != '_',

/// In the order of features.def: whether the compiler defined the macro.
extern const bool holon_processor_needs[];
constexpr bool holon_processor_needs[] = {
#include "features.def"
};
