// On the processor: what is the same for any number of threads.
#include <holon/op/op.hpp>

#include <omp.h>

#include "support/catch.hpp"
#include "support/numbers.hpp"

using namespace holon;
using namespace holon::test;

TEST_CASE("dropout drops its share, scales the rest, and draws the same mask for any number of threads", "[op]") {
    auto& context = default_context<Cpu>();
    const auto x = full<float>({1, 300, 300, 1}, 1.0f);
    const op::DropoutMask mask{0.3, 5, 6, 7};
    const auto y = op::dropout(context, x, mask);
    std::int64_t dropped = 0;
    for (const float v : y.elements()) {
        CHECK((v == 0.0f || std::abs(v - 1 / 0.7f) < 1e-6f));
        dropped += v == 0.0f;
    }
    CHECK(std::abs(double(dropped) / 90000 - 0.3) < 0.006);
#ifdef _OPENMP
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    CHECK(distance(op::dropout(context, x, mask), y) == 0.0);
    omp_set_num_threads(threads);
#endif
}
