// checkpoint/safetensors.hpp: one format for weights and optimizer state, read and written by every tool of the field.
#pragma once
#include <holon/checkpoint/safetensors_reader.hpp>
#include <holon/checkpoint/safetensors_writer.hpp>
