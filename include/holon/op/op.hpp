// op/op.hpp: every op of every device.
#pragma once
#include <holon/op/cpu_ops.hpp>
#include <holon/op/plan/plan.hpp>
#include <holon/op/step.hpp>
#ifdef HOLON_CUDA
#include <holon/op/gpu/gpu.hpp>
#endif

#ifdef HOLON_COMPILED
#include <holon/op/instances.hpp>
#endif
