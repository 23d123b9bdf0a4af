// checkpoint/saves.hpp: a save in a few writes, and what a refused one said.
#pragma once
#include <holon/checkpoint/atomic_file.hpp>

#include "checkpoint/faults.hpp"
#include "checkpoint/scratch.hpp"
#include "support/catch.hpp"

namespace scratch {

using namespace holon;

inline void save(const std::string& path, const std::string& bytes, Generations keep = Generations::one,
                 Disk& disk = real_disk()) {
    AtomicFile file(path, bytes.size(), keep, disk);
    file.write(view(bytes).first(bytes.size() / 3));
    file.write(view(bytes).subspan(bytes.size() / 3));
    if (bytes.size() > 8) file.write_at(0, view(bytes).first(8));
    file.commit();
}

inline std::string save_refusal(const std::string& path, const std::string& bytes = "new",
                                Generations keep = Generations::one, Disk& disk = real_disk()) {
    return refusal([&] { save(path, bytes, keep, disk); });
}

inline bool says(const std::string& sentence, const std::string& part) {
    UNSCOPED_INFO(sentence);
    return sentence.find(part) != std::string::npos;
}

using Names = std::vector<std::string>;

}  // namespace scratch
