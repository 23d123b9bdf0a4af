// checkpoint/engines.hpp: which of cuDNN's engines a run's convolutions take, stored, so that a resumed run takes the
// same.
#pragma once
#include <functional>
#include <string>

#include <holon/checkpoint/network.hpp>

namespace holon {

namespace gpu {
class PlanCache;
}

inline constexpr const char* engines_key = "holon.convolutions";

/// Puts the engines of the context's convolutions into a file's metadata: about 60 bytes for each. Devices that choose
/// none have none to store.
template <Device D> void add_engines([[maybe_unused]] Metadata& metadata, [[maybe_unused]] Context<D>& context) {
    if constexpr (std::same_as<D, Gpu>) metadata[engines_key] = context.template state<gpu::PlanCache>().choices();
}

/// Takes the engines that a file has, if any, so that nothing is chosen or timed again. `say` is told where that cannot
/// be: the card or cuDNN is another, or, once it comes to it, an engine cannot be had. Throws `DataError` for a file
/// that is damaged there.
template <Device D>
void load_engines([[maybe_unused]] const SafetensorsFile& file, [[maybe_unused]] Context<D>& context,
                  [[maybe_unused]] const std::function<void(const std::string&)>& say) {
    if constexpr (std::same_as<D, Gpu>) {
        const auto found = file.metadata().find(engines_key);
        if (found == file.metadata().end()) return;
        auto& cache = context.template state<gpu::PlanCache>();
        cache.say = say;
        try {
            const std::string why = cache.remember(found->second);
            if (!why.empty()) say(text(file.path(), ": ", why));
        } catch (const DataError& error) {
            throw DataError(text(file.path(), ": ", error.what()));
        }
    }
}

}  // namespace holon
