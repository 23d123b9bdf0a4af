// All kernels and their launchers, compiled for the host emulation once.
#include "gpu/host_cuda.hpp"

#include <holon/batch_norm.cu>
#include <holon/kernels.cu>
#include <holon/pool2d.cu>
