// processor/check.cpp: before anything else of a program runs, what it was compiled for is compared with the processor it
// runs on; without that it would end at some instruction with SIGILL and not a word. It is compiled for every x86-64, and
// takes no inline function of a library's, since the linker might choose one that was compiled as the program is.
#if defined(__x86_64__)
#include <cpuid.h>
#include <unistd.h>

extern const bool holon_processor_needs[];

namespace {

struct Feature {
    const char* name;
    unsigned leaf, subleaf;
    char where;
    unsigned bit, state;
};
#define HOLON_FEATURE(macro, name, leaf, subleaf, where, bit, state) {name, leaf, subleaf, #where[0], bit, state},
constexpr Feature features[] = {
#include "features.def"
};

/// XCR0: which registers the system saves when it switches between processes; 0 where it cannot be asked.
unsigned saved_registers() {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1)) return 0;
    asm volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return a;
}

bool has(const Feature& feature, unsigned saved) {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(feature.leaf, feature.subleaf, &a, &b, &c, &d)) return false;
    const unsigned value = feature.where == 'a' ? a : feature.where == 'b' ? b : feature.where == 'c' ? c : d;
    return (value >> feature.bit & 1) && (saved & feature.state) == feature.state;
}

void say(const char* text) {
    unsigned long length = 0;
    while (text[length]) ++length;
    if (write(STDERR_FILENO, text, length) < 0) return;
}

/// The names of the features that are needed and, if asked for, lacking; returns how many those are.
int list(bool lacking, unsigned saved, bool aloud) {
    int count = 0;
    for (unsigned i = 0; i < sizeof(features) / sizeof(*features); ++i) {
        if (!holon_processor_needs[i] || (lacking && has(features[i], saved))) continue;
        if (aloud && count) say(", ");
        if (aloud) say(features[i].name);
        ++count;
    }
    return count;
}

[[gnu::constructor(101)]] void check() {  // 101: the first there is; other objects' are later
    const unsigned saved = saved_registers();
    if (!list(true, saved, false)) return;
    say("this program was compiled for a processor with ");
    list(false, saved, true);
    say("; this one lacks ");
    list(true, saved, true);
    say(": build it on this machine, or with -DHOLON_NATIVE=OFF for any\n");
    _exit(2);
}

}  // namespace
#endif
