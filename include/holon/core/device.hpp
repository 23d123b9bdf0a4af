// core/device.hpp: where a tensor lives is part of its type; a wrong pair does not compile.
#pragma once
#include <concepts>
#include <holon/core/element.hpp>

namespace holon {

/// This machine's processor: oneDNN and OpenMP loops.
struct Cpu {};
/// One CUDA device.
struct Gpu {};
/// No device: tensors without data, an allocator that only counts. Answers "does it fit" anywhere.
struct Plan {};

template <class D>
concept Device = std::same_as<D, Cpu> || std::same_as<D, Gpu> || std::same_as<D, Plan>;

/// Elements flow on their devices: double is the oracle and runs on the CPU alone; float16 needs a GPU (or its plan).
/// Bytes (the places of maxima) live anywhere.
template <class T, class D>
concept Runs = (Element<T> || std::same_as<T, std::uint8_t>)&&Device<D> &&
               !(std::same_as<T, double> && !std::same_as<D, Cpu>)&&!(std::same_as<T, float16> && std::same_as<D, Cpu>);

}  // namespace holon
