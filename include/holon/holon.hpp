// holon.hpp: the library, floor by floor, in the order in which an image passes through it.
#pragma once
#include <holon/core/random.hpp>
#include <holon/tensor/make.hpp>
#include <holon/op/op.hpp>
#include <holon/graph/affine_warp.hpp>
#include <holon/layer/freeze.hpp>
#include <holon/layer/sequential.hpp>
#include <holon/layer/summary.hpp>
#include <holon/loss/balance.hpp>
#include <holon/optim/adam.hpp>
#include <holon/optim/loss_scale.hpp>
#include <holon/optim/sgd.hpp>
#include <holon/checkpoint/network.hpp>
#include <holon/model/input_form.hpp>
#include <holon/model/stage.hpp>
#include <holon/model/whole_image.hpp>
#include <holon/version.hpp>
