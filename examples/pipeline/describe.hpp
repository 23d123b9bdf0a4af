// pipeline/describe.hpp: the card at hand as a file that `plan --gpu FILE.json` takes on a machine without one.
#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "pipeline/report.hpp"
#include "pipeline/roof.hpp"

namespace holon::pipeline {

#ifdef HOLON_CUDA
/// Writes what the runtime says of the card, what cuDNN says of it (`cudnn`), and the rates and the bandwidth that were
/// measured. Members are those that `read_card` reads.
inline void describe_card(const std::string& path) {
    auto& context = default_context<Gpu>();
    const int device = context.card().number;
    cudaDeviceProp p{};
    gpu::expects_cuda(cudaGetDeviceProperties(&p, device), "asking for the card's properties");
    const auto attribute = [&](cudaDeviceAttr name) {
        int value = 0;
        gpu::expects_cuda(cudaDeviceGetAttribute(&value, name, device), "asking for an attribute");
        return value;
    };
    nlohmann::ordered_json json;
    json["name"] = context.card().name;
    json["source"] = "read off the card";
    json["compute_capability"] = 100 * p.major + 10 * p.minor;
    json["multiprocessors"] = p.multiProcessorCount;
    json["memory"] = p.totalGlobalMem;
    json["l2_cache"] = p.l2CacheSize;
    json["shared_memory_per_block"] = p.sharedMemPerBlockOptin;
    json["threads_per_multiprocessor"] = p.maxThreadsPerMultiProcessor;
    json["blocks_per_multiprocessor"] = p.maxBlocksPerMultiProcessor;
    json["core_khz"] = attribute(cudaDevAttrClockRate);
    json["memory_khz"] = attribute(cudaDevAttrMemoryClockRate);
    auto& numerics = context.state<gpu::Settings>().numerics;
    const auto before = numerics;
    const Roof narrow = measure_roof<bfloat16, Gpu>();
    json["bandwidth"] = narrow.bandwidth;
    json["rate_16bit"] = narrow.rate;
    numerics.tf32 = true;
    json["rate_tf32"] = measure_roof<float, Gpu>().rate;
    numerics.tf32 = false;
    json["rate_fp32"] = measure_roof<float, Gpu>().rate;
    numerics = before;

    gpu::Descriptor described(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    described.set(CUDNN_ATTR_DEVICEPROP_HANDLE, context.state<gpu::PlanCache>().handle());
    described = std::move(described).finalize();
    const auto cudnn =
        nlohmann::ordered_json::parse(described.characters(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION), nullptr, false);
    if (!cudnn.is_discarded()) json["cudnn"] = cudnn;
    write_text(path, json.dump(2) + "\n");
}
#endif

}  // namespace holon::pipeline
