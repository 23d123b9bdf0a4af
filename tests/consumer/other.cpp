#include <holon/holon.hpp>

int other() { return int(holon::op::positions(7, 0, 0, 7, 1, 1)) - 1; }
