// gpu/publications.hpp: what a block tells others through global memory, watched: a value that is stored past the first cache
// (__stcg) must be behind a fence and a barrier before its block is counted (atomicAdd), or a block that sees the count may
// not see the value.
#pragma once
#include <set>
#include <string>

#include "gpu/shared_memory.hpp"

namespace host_cuda {

/// Of the block that runs.
class Publications {
 public:
    void store() {
        unfenced_.insert(watch().thread);
        last_store_ = watch().epoch;
        if (counted_ == watch().epoch) complain("is stored after its block was counted, with no barrier in between");
    }
    void fence() { unfenced_.erase(watch().thread); }
    void count() {
        if (!unfenced_.empty()) complain("is not behind a fence when its block is counted");
        if (last_store_ == watch().epoch) complain("is stored with no barrier before its block is counted");
        counted_ = watch().epoch;
    }

 private:
    static void complain(const char* what) {
        if (watch().complaint.empty()) watch().complaint = std::string("global memory: a value ") + what;
    }
    std::set<std::size_t> unfenced_;  // threads with a store that no fence of theirs has followed
    std::uint64_t last_store_ = 0, counted_ = 0;  // epochs
};
inline Publications& publications() {
    static Publications only;
    return only;
}

}  // namespace host_cuda

inline void __stcg(float* to, float value) {
    host_cuda::publications().store();
    *to = value;
}
inline float __ldcg(const float* from) { return *from; }
inline unsigned atomicAdd(unsigned* counter, unsigned more) {
    host_cuda::publications().count();
    const unsigned before = *counter;
    *counter += more;
    return before;
}
