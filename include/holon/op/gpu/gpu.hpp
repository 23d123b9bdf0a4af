// op/gpu/gpu.hpp: every op of `Gpu`.
#pragma once
#include <holon/op/gpu/augment.hpp>
#include <holon/op/gpu/batch_norm.hpp>
#include <holon/op/gpu/conv2d.hpp>
#include <holon/op/gpu/elementwise.hpp>
#include <holon/op/gpu/linear.hpp>
#include <holon/op/gpu/optimizer.hpp>
#include <holon/op/gpu/pool2d.hpp>
#include <holon/op/gpu/softmax.hpp>
