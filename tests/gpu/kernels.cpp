// All kernels and their launchers, compiled for the host emulation once.
#include "gpu/host_cuda.hpp"

#include <holon/kernels.cu>
