// The second source of a program, in a library of its own: compiled for the processor alone, wherever it is linked.
#include <holon/holon.hpp>

int other() {
    const std::string name = "other";
    const holon::Scope scope(name);
    return holon::Scope::current() == name ? int(holon::op::positions(7, 0, 0, 7, 1, 1)) - 1 : 1;
}
