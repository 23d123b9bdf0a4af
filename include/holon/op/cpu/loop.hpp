// op/cpu/loop.hpp: how our own passes run: rows split over threads in a fixed way, channels innermost for the vector units.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

#include <holon/op/check.hpp>
#include <holon/tensor/make.hpp>

namespace holon::op::cpu {

/// Threads worth starting for `elements` numbers.
inline int threads_for(std::int64_t elements) {
#ifdef _OPENMP
    return elements < 16384 ? 1 : omp_get_max_threads();
#else
    (void)elements;
    return 1;
#endif
}

/// What `split` does, whatever the body is: it is called once a thread, so a call through a pointer costs nothing, and each
/// loop is compiled once.
using Stretch = void (*)(const void* body, std::int64_t begin, std::int64_t end, int thread);
inline void split(std::int64_t count, int threads, const void* body, Stretch run) {
    if (threads <= 1) {
        run(body, 0, count, 0);
        return;
    }
#pragma omp parallel for schedule(static, 1) num_threads(threads)
    for (int t = 0; t < threads; ++t) run(body, count * t / threads, count * (t + 1) / threads, t);
}

template <class Body>
void run_stretch(const void* body, std::int64_t begin, std::int64_t end, int thread) {
    const Body own = *static_cast<const Body*>(body);  // what it captured, in registers
    own(begin, end, thread);
}

/// Calls body(begin, end, thread) on as many equal stretches of 0..count as there are threads; the stretches depend only on
/// count and thread number, so that sums over them are the same in every run.
template <class Body>
void split(std::int64_t count, int threads, const Body& body) {
    split(count, threads, &body, run_stretch<Body>);
}

/// A number of T as what sums run in, and back.
template <Element T>
inline Accumulate<T> widen(T value) {
    return Accumulate<T>(value);
}
template <Element T>
inline T narrow(Accumulate<T> value) {
    return T(value);
}

/// Writes a value where a gradient goes.
template <Element T>
inline void put(T& to, Accumulate<T> value, bool add) {
    to = narrow<T>(add ? widen(to) + value : value);
}

/// The same for a row.
template <Element T>
void put_row(T* to, const Accumulate<T>* values, std::int64_t count, bool add) {
    if (add) {
#pragma omp simd
        for (std::int64_t k = 0; k < count; ++k) put(to[k], values[k], true);
    } else {
#pragma omp simd
        for (std::int64_t k = 0; k < count; ++k) put(to[k], values[k], false);
    }
}

/// out[i] = f(i) over a flat stretch, in parallel. `f` must be simple enough to vectorise.
template <class F>
void each(std::int64_t count, const F& f) {
    split(count, threads_for(count), [f](std::int64_t begin, std::int64_t end, int) {
#pragma omp simd
        for (std::int64_t i = begin; i < end; ++i) f(i);
    });
}

}  // namespace holon::op::cpu
