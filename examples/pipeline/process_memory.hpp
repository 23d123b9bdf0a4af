// pipeline/process_memory.hpp: what the operating system says of this process's memory, beside what the library counts.
#pragma once
#include <malloc.h>

#include <cstddef>
#include <fstream>
#include <string>

#include <holon/core/error.hpp>

namespace holon::pipeline {

/// A line of /proc/self/status in bytes: "VmHWM" is the most that was ever resident, "VmSize" the address space mapped.
inline std::size_t process_status(const std::string& name) {
    std::ifstream in("/proc/self/status");
    for (std::string key; in >> key;) {
        std::size_t kilobytes = 0;
        if (key == name + ":" && in >> kilobytes) return kilobytes * 1024;
        in.ignore(1 << 12, '\n');
    }
    throw DeviceError("/proc/self/status has no " + name + "; this needs Linux's /proc");
}

/// What this process has from the system by any way: address space mapped, and of it the C library's heap.
struct FromSystem {
    std::size_t mapped = 0, heap = 0;
    static FromSystem now() {
        const auto info = mallinfo2();
        return {process_status("VmSize"), info.arena + info.hblkhd};
    }
};

}  // namespace holon::pipeline
