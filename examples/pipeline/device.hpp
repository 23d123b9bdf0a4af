// pipeline/device.hpp: one program, several element types and devices: what --device, --precision and --memory choose.
#pragma once
#include <charconv>
#include <iostream>
#include <string>

#include <holon/op/cpu/bfloat16.hpp>
#include <holon/op/op.hpp>

#include "pipeline/options.hpp"

namespace holon::pipeline {

/// --device read: which of cpu, gpu or auto, and for gpu:N the card's number.
struct DeviceChoice {
    enum Kind { cpu, gpu, automatic } kind = cpu;
    int number = 0;
};
inline DeviceChoice parse_device(const std::string& device) {
    if (device == "cpu") return {};
    if (device == "auto") return {DeviceChoice::automatic, 0};
    if (device == "gpu") return {DeviceChoice::gpu, 0};
    int number = -1;
    const char* const end = device.data() + device.size();
    expects<DataError>(device.starts_with("gpu:") && std::from_chars(device.data() + 4, end, number).ptr == end &&
                           number >= 0,
                       "--device ", device, ": cpu, gpu, gpu:N (counted from 0) or auto is needed");
    return {DeviceChoice::gpu, number};
}

/// "8GiB", "7.4GiB" or "900MiB" in bytes.
inline std::size_t parse_memory(const std::string& memory) {
    double count = 0;
    const char* const end = memory.data() + memory.size();
    const auto read = std::from_chars(memory.data(), end, count);
    const std::string_view unit(read.ptr, std::size_t(end - read.ptr));
    expects<DataError>(read.ec == std::errc() && count > 0 && (unit == "GiB" || unit == "MiB"), "--memory ", memory,
                       ": a size like 8GiB or 900MiB is needed");
    return std::size_t(count * (unit == "GiB" ? 0x1p30 : 0x1p20));
}

/// Caps the allocator at what a device of that size leaves a program, and says so.
template <Device D> void limit_memory(const Options& options) {
    if (options.memory.empty()) return;
    constexpr std::size_t driver = std::size_t(0.6 * 0x1p30);
    const std::size_t size = parse_memory(options.memory);
    expects<DataError>(size > driver, "--memory ", options.memory, ": driver and context alone take 0.6 GiB");
    default_context<D>().memory().set_limit(size - driver);
    std::cout << "memory: as on a device of " << double(size) / 0x1p30 << " GiB, less 0.6 GiB for driver and context: "
              << double(size - driver) / 0x1p30 << " GiB\n";
}

#ifdef HOLON_CUDA
/// Opens the card, says which and how it will compute.
inline void open_gpu(const DeviceChoice& choice, const Options& options) {
    gpu::choose_device(choice.number);
    auto& context = default_context<Gpu>();
    auto& settings = context.state<gpu::Settings>();
    settings.numerics = {options.tf32, !options.nondeterministic};
    settings.workspace_budget = std::int64_t(options.workspace_mib) << 20;
    settings.timed_engines = options.timed_engines;
    // Made now, so that a cuDNN that is too old is told before anything is read.
    context.state<gpu::PlanCache>().say = [](const std::string& sentence) { std::cout << "note: " << sentence << '\n'; };
    int driver = 0;
    cudaDriverGetVersion(&driver);
    const auto& card = context.card();
    std::cout << "gpu:" << card.number << " " << card.name << ", " << double(card.memory) / 0x1p30
              << " GiB, compute capability " << card.capability / 10 << '.' << card.capability % 10 << ", driver for CUDA "
              << gpu::cuda_version_text(driver) << ", cuDNN " << gpu::cudnn_version_text() << "; TF32 "
              << (options.tf32 ? "on" : "off") << ", "
              << (options.nondeterministic ? "not deterministic" : "deterministic") << ", convolutions within "
              << options.workspace_mib << " MiB of workspace"
              << (options.timed_engines > 1 ? text(", the fastest of ", options.timed_engines, " engines") : "") << '\n';
}
#endif

namespace detail {
template <class F> int on_cpu(const Options& options, const F& body) {
    expects<DataError>(options.precision != "fp16", "--precision fp16 is for the GPU; use fp32 or bf16, or --device gpu");
    limit_memory<Cpu>(options);
    if (options.precision == "bf16") {
        std::cout << "bf16: " << op::cpu::bfloat16_means() << '\n';
        return body.template operator()<bfloat16, Cpu>();
    }
    return body.template operator()<float, Cpu>();
}
}  // namespace detail

/// Calls `body.operator()<T, D>()` with the element type that --precision names and the device that --device names.
/// `DeviceError` where that device cannot be used; `auto` then takes the CPU and says so.
template <class F> int with_device(const Options& options, const F& body) {
    const DeviceChoice choice = parse_device(options.device);
    if (choice.kind == DeviceChoice::cpu) return detail::on_cpu(options, body);
#ifdef HOLON_CUDA
    try {
        open_gpu(choice, options);
    } catch (const DeviceError& error) {
        if (choice.kind != DeviceChoice::automatic) throw;
        std::cout << "--device auto: the CPU, because: " << error.what() << '\n';
        return detail::on_cpu(options, body);
    }
    limit_memory<Gpu>(options);
    if (options.precision == "bf16") return body.template operator()<bfloat16, Gpu>();
    if (options.precision == "fp16") return body.template operator()<float16, Gpu>();
    return body.template operator()<float, Gpu>();
#else
    const char* const why = "this program was built without CUDA; configure where nvcc and cuDNN are found";
    expects<DeviceError>(choice.kind == DeviceChoice::automatic, "--device ", options.device, ": ", why);
    std::cout << "--device auto: the CPU, because " << why << '\n';
    return detail::on_cpu(options, body);
#endif
}

}  // namespace holon::pipeline
