// The second source of a program, in a library of its own: compiled for the processor alone, wherever it is linked.
#include <holon/holon.hpp>

#include <cstdio>

/// 0 if all went well: a file read in the source that does not write it, and functions that are no templates used in both.
int other(const std::string& path) {
    holon::PatchClassifier<float, holon::Cpu> net("resnet14", 2, 0.0, 2);
    const holon::LoadReport report = holon::load(path, net);
    std::remove(path.c_str());
    const std::string name = "other";
    const holon::Scope scope(name);
    const bool fits = report.loaded > 0 && holon::format_top(holon::parse_top("256x1")) == "256x1";
    return fits && holon::Scope::current() == name ? int(holon::op::positions(7, 0, 0, 7, 1, 1)) - 1 : 1;
}
