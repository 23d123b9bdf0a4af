// gpu_context/machine.hpp: the fake GPU of one test.
#pragma once
#include "fake/fake.hpp"
#include "support/catch.hpp"

namespace holon::test {

/// While it lives the fake runtime is as at the start but for what the test changes, and it is as at the start again behind it.
struct Machine {
    Machine() { fake::reset(); }
    ~Machine() { fake::reset(); }
    fake::Settings& operator*() { return fake::settings(); }
};

/// Everything that was made since `before` is gone again.
inline void check_nothing_is_left_since(const fake::Counts& before) {
    const fake::Counts after = fake::counts();
    CHECK(after.bytes == before.bytes);
    CHECK(after.streams == before.streams);
    CHECK(after.pools == before.pools);
    CHECK(after.events == before.events);
    CHECK(after.pinned_bytes == before.pinned_bytes);
    CHECK(after.handles == before.handles);
    CHECK(after.descriptors == before.descriptors);
    CHECK(after.waiting == before.waiting);
}

}  // namespace holon::test
