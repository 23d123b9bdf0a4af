// op/cpu/cpu.hpp: every op of `Cpu`.
#pragma once
#include <holon/op/cpu/affine_warp.hpp>
#include <holon/op/cpu/batch_norm.hpp>
#include <holon/op/cpu/batch_norm_pair.hpp>
#include <holon/op/cpu/conv2d.hpp>
#include <holon/op/cpu/dropout.hpp>
#include <holon/op/cpu/elementwise.hpp>
#include <holon/op/cpu/linear.hpp>
#include <holon/op/cpu/optimizer.hpp>
#include <holon/op/cpu/pool2d.hpp>
#include <holon/op/cpu/reduce.hpp>
#include <holon/op/cpu/softmax.hpp>
