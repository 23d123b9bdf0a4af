#include <holon/layer/layer.hpp>
#include "../shape.hpp"
