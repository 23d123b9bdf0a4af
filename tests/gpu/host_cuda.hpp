// gpu/host_cuda.hpp: runs kernels on this machine, a block after another, each of their threads a fibre. Threads run in
// an order that is asked for; shared memory is watched (gpu/shared_memory.hpp); a barrier that not all threads reach is
// an error.
#pragma once
#define HOLON_HOST_CUDA 1

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <holon/core/random.hpp>

#include "gpu/publications.hpp"
#include "gpu/mutant.hpp"
#include "gpu/shared_memory.hpp"

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

struct CUstream_st;

// Where stacks are changed by swapcontext alone: see Place.
#if defined(__SANITIZE_ADDRESS__) || __USE_FORTIFY_LEVEL > 0
#define HOST_CUDA_SWAPCONTEXT 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOST_CUDA_SWAPCONTEXT 1
#endif
#endif

namespace host_cuda {

/// In which order a block's threads run up to their next barrier.
struct Order {
    enum Kind { ascending, descending, shuffled } kind = ascending;
    std::uint64_t seed = 0;
};

/// Where a stack was left. swapcontext alone would do; but it asks the system for the mask of signals at every change,
/// which takes three quarters of the time of the tests. _longjmp does not. _FORTIFY_SOURCE stops a program that uses it
/// between stacks, and AddressSanitizer follows swapcontext: builds with either change by that.
struct Place {
    ucontext_t start;
#ifdef HOST_CUDA_SWAPCONTEXT
    void change_to(Place& other) { swapcontext(&start, &other.start); }
#else
    jmp_buf left;
    bool begun = true;  // false: `start` has not been entered
    void change_to(Place& other) {
        if (_setjmp(left)) return;
        if (other.begun) _longjmp(other.left, 1);
        other.begun = true;
        setcontext(&other.start);
    }
#endif
    /// The next change to this place calls `f`, which must not return, on a stack of its own.
    void begin(char* stack, std::size_t bytes, void (*f)()) {
        getcontext(&start);
        start.uc_stack.ss_sp = stack;
        start.uc_stack.ss_size = bytes;
        start.uc_link = nullptr;
        makecontext(&start, f, 0);
#ifndef HOST_CUDA_SWAPCONTEXT
        begun = false;
#endif
    }
};

/// A stack that runs threads of a block one after another until one of them waits at a barrier; from then on it is that
/// thread's until the thread ends. Then it waits for the next block.
struct Fibre {
    Place at;
    std::unique_ptr<char[]> stack;
    std::size_t thread = 0;
    bool done = false;  // its last thread has ended
    int barrier = 0;    // the line of the barrier that its thread waits at; 0: it runs
};

/// How wide a kernel was started.
struct Launch {
    dim3 grid, block;
};

struct Machine {
    std::vector<std::unique_ptr<Fibre>> fibres;
    Place scheduler;
    Fibre* now = nullptr;
    dim3 block;
    std::vector<std::size_t> turn;  // threads in the order they start in
    std::size_t started = 0;
    std::function<void()> body;
    SharedArrays shared;  // of the running block
    /// If not 0, only the first block of a grid and so many last ones run: for grids too large to run whole.
    std::uint64_t last_blocks = 0;
    /// If not null, launches are written down here instead of run.
    std::vector<Launch>* launches = nullptr;
};
inline Machine& machine() {
    static Machine only;
    return only;
}

inline void set_thread(std::size_t i) {
    const dim3& block = machine().block;
    threadIdx = {unsigned(i % block.x), unsigned(i / block.x % block.y), unsigned(i / block.x / block.y)};
    watch().thread = i;
}

inline void barrier(const char* file, int line) {
    Machine& m = machine();
    if (mutant.lacks_barrier(file, line)) return;
    m.now->barrier = line;
    m.now->at.change_to(m.scheduler);
}

inline void fence(const char* file, int line) {
    if (!mutant.lacks_barrier(file, line)) publications().fence();
}

inline void entry() {
    Machine& m = machine();
    Fibre* const me = m.now;
    for (;;) {  // a block each time
        while (m.started < m.turn.size()) {
            me->thread = m.turn[m.started++];
            set_thread(me->thread);
            m.body();
            if (me->barrier) break;  // it has waited: others have gone on, and threads are started no more
        }
        me->done = true;
        me->barrier = 0;
        me->at.change_to(m.scheduler);
    }
}

inline void resume(Fibre& fibre) {
    Machine& m = machine();
    m.now = &fibre;
    m.scheduler.change_to(fibre.at);
    if (!watch().complaint.empty()) throw std::logic_error(std::exchange(watch().complaint, {}));
}

inline void run_block(const dim3& block, const Order& order, std::uint64_t number) {
    Machine& m = machine();
    constexpr std::size_t stack = 64 << 10;
    const std::size_t count = std::size_t(block.x) * block.y * block.z;
    m.shared.by_place.clear();
    ++watch().epoch;
    publications() = {};
    m.block = block;
    m.started = 0;
    m.turn.resize(count);
    std::iota(m.turn.begin(), m.turn.end(), std::size_t(0));
    holon::Random random(order.seed, number);
    const auto arrange = [&](auto& row) {
        if (order.kind == Order::descending) std::reverse(row.begin(), row.end());
        if (order.kind == Order::shuffled)
            for (std::size_t i = row.size(); i > 1; --i) std::swap(row[i - 1], row[random.below(i)]);
    };
    arrange(m.turn);
    // Up to the first barrier: threads start in their order, on a new fibre whenever the last one's thread waits.
    std::size_t used = 0;
    while (m.started < count) {
        if (used == m.fibres.size()) m.fibres.push_back(std::make_unique<Fibre>());
        Fibre& f = *m.fibres[used++];
        if (!f.done) {  // new, or left in the midst of a kernel by an error
            if (!f.stack) f.stack.reset(new char[stack]);
            f.at.begin(f.stack.get(), stack, entry);
        }
        f.done = false;
        f.barrier = 0;
        resume(f);
    }
    // Between barriers: those that wait go on, each until the next.
    std::size_t left = count;  // threads that had not ended at the last barrier
    constexpr int most = 1 << 14;
    for (int barriers = 0;; ++barriers) {
        if (barriers == most)
            throw std::logic_error("a block has met " + std::to_string(most) + " barriers and does not end");
        std::vector<Fibre*> waiting;
        for (std::size_t i = 0; i < used; ++i)
            if (!m.fibres[i]->done) waiting.push_back(m.fibres[i].get());
        if (waiting.empty()) return;
        for (const Fibre* f : waiting)
            if (waiting.size() != left || f->barrier != waiting.front()->barrier)
                throw std::logic_error("divergent barrier: a thread waits at line " + std::to_string(f->barrier) +
                                       (waiting.size() != left
                                            ? ", another has left the kernel"
                                            : ", another at line " + std::to_string(waiting.front()->barrier)));
        left = waiting.size();
        ++watch().epoch;
        std::sort(waiting.begin(), waiting.end(), [](const Fibre* a, const Fibre* b) { return a->thread < b->thread; });
        arrange(waiting);
        for (Fibre* f : waiting) {
            set_thread(f->thread);
            resume(*f);
        }
    }
}

/// The order that kernels run in from here on.
inline Order& order() {
    static Order now;
    return now;
}

/// Runs a kernel over its grid; throws std::logic_error for a divergent barrier and for misused shared memory.
template <class... P, class... A> void run(void (*kernel)(P...), dim3 grid, dim3 block, A... arguments) {
    if (machine().launches) return machine().launches->push_back({grid, block});
    const Order how = order();
    gridDim = grid;
    blockDim = block;
    machine().body = [=] { kernel(arguments...); };
    const std::uint64_t last = machine().last_blocks, blocks = std::uint64_t(grid.x) * grid.y * grid.z;
    std::uint64_t number = 0;
    for (unsigned z = 0; z < grid.z; ++z)
        for (unsigned y = 0; y < grid.y; ++y)
            for (unsigned x = 0; x < grid.x; ++x) {
                blockIdx = {x, y, z};
                if (!last || number == 0 || number + last >= blocks) run_block(block, how, number);
                ++number;
            }
}

/// What launching does with the work: at once, unless a test brings streams.
using Submit = void (*)(CUstream_st* stream, std::function<void()> work);
inline Submit& submit_to() {
    static Submit now = [](CUstream_st*, std::function<void()> work) { work(); };
    return now;
}
inline void submit(CUstream_st* stream, std::function<void()> work) { submit_to()(stream, std::move(work)); }

}  // namespace host_cuda

#define __syncthreads() host_cuda::barrier(__FILE__, __LINE__)
#define __threadfence() host_cuda::fence(__FILE__, __LINE__)
/// The place is a variable of its own for every expansion, and for every instance of a template that it stands in.
#define HOLON_SHARED(type, name, count) \
    static const char name##_place = 0; \
    const auto name = host_cuda::machine().shared.get<type>(&name##_place, #name, std::size_t(count))
