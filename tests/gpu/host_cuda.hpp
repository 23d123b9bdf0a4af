// gpu/host_cuda.hpp: runs kernels on this machine, a block after another, each of their threads a fibre. Threads run in
// an order that is asked for; shared memory is poisoned for each block; a barrier that not all threads reach is an
// error.
#pragma once
#define HOLON_HOST_CUDA 1

#include <ucontext.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include <holon/core/random.hpp>

#define __global__ [[maybe_unused]] static
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace host_cuda {

/// In which order a block's threads run up to their next barrier.
struct Order {
    enum Kind { ascending, descending, shuffled } kind = ascending;
    std::uint64_t seed = 0;
};

struct Fibre {
    ucontext_t at;
    std::unique_ptr<char[]> stack;
    dim3 id;
    bool done = false;
    int barrier = 0;  // the line of the barrier it waits at; 0: it runs
};

struct Machine {
    std::vector<Fibre> fibres;
    ucontext_t scheduler;
    std::size_t now = 0;
    std::function<void()> body;
    std::map<int, std::unique_ptr<unsigned char[]>> shared;  // by line, of the running block
    bool skip_barriers = false;                              // to see whether a test notices
};
inline Machine& machine() {
    static Machine only;
    return only;
}

/// Shared memory of a block: all ones, so that a float read before it is written is not a number.
template <class T> T* shared(int line, std::size_t count) {
    auto& place = machine().shared[line];
    if (!place) {
        place.reset(new unsigned char[count * sizeof(T) + 64]);
        std::memset(place.get(), 0xff, count * sizeof(T) + 64);
    }
    const auto address = reinterpret_cast<std::uintptr_t>(place.get());
    return reinterpret_cast<T*>((address + 63) / 64 * 64);
}

inline void barrier(int line) {
    Machine& m = machine();
    if (m.skip_barriers) return;
    m.fibres[m.now].barrier = line;
    swapcontext(&m.fibres[m.now].at, &m.scheduler);
}

inline void entry() {
    Machine& m = machine();
    m.body();
    m.fibres[m.now].done = true;
    swapcontext(&m.fibres[m.now].at, &m.scheduler);
}

inline void run_block(const dim3& block, const Order& order, std::uint64_t number) {
    Machine& m = machine();
    constexpr std::size_t stack = 64 << 10;
    const std::size_t count = std::size_t(block.x) * block.y * block.z;
    m.shared.clear();
    m.fibres.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
        Fibre& f = m.fibres[i];
        f.id = {unsigned(i % block.x), unsigned(i / block.x % block.y), unsigned(i / block.x / block.y)};
        f.done = false;
        f.barrier = 0;
        if (!f.stack) f.stack.reset(new char[stack]);
        getcontext(&f.at);
        f.at.uc_stack.ss_sp = f.stack.get();
        f.at.uc_stack.ss_size = stack;
        f.at.uc_link = nullptr;
        makecontext(&f.at, entry, 0);
    }
    std::vector<std::size_t> turn(count);
    std::iota(turn.begin(), turn.end(), std::size_t(0));
    if (order.kind == Order::descending) std::reverse(turn.begin(), turn.end());
    holon::Random random(order.seed, number);
    for (;;) {
        if (order.kind == Order::shuffled)
            for (std::size_t i = count; i > 1; --i) std::swap(turn[i - 1], turn[random.below(i)]);
        for (const std::size_t i : turn) {
            if (m.fibres[i].done) continue;
            m.now = i;
            threadIdx = m.fibres[i].id;
            swapcontext(&m.scheduler, &m.fibres[i].at);
        }
        const bool all_done = std::all_of(m.fibres.begin(), m.fibres.end(), [](const Fibre& f) { return f.done; });
        if (all_done) return;
        const int line = std::max_element(m.fibres.begin(), m.fibres.end(), [](const Fibre& a, const Fibre& b) {
                             return a.barrier < b.barrier;
                         })->barrier;
        for (const Fibre& f : m.fibres)
            if (f.done || f.barrier != line)
                throw std::logic_error(
                    "divergent barrier: a thread waits at line " + std::to_string(line) +
                    (f.done ? ", another has left the kernel" : ", another at line " + std::to_string(f.barrier)));
        for (Fibre& f : m.fibres) f.barrier = 0;
    }
}

/// Runs a kernel over its grid; throws std::logic_error for a divergent barrier.
template <class... P, class... A>
void launch(const Order& order, void (*kernel)(P...), dim3 grid, dim3 block, A... arguments) {
    gridDim = grid;
    blockDim = block;
    machine().body = [=] { kernel(arguments...); };
    std::uint64_t number = 0;
    for (unsigned z = 0; z < grid.z; ++z)
        for (unsigned y = 0; y < grid.y; ++y)
            for (unsigned x = 0; x < grid.x; ++x) {
                blockIdx = {x, y, z};
                run_block(block, order, number++);
            }
}

}  // namespace host_cuda

#define __syncthreads() host_cuda::barrier(__LINE__)
#define HOLON_SHARED(type, name, count) type* const name = host_cuda::shared<type>(__LINE__, count)
