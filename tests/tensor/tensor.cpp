// Tensors: who owns the bytes, who shares them, and how layouts and element types are exchanged.
#include <holon/tensor/make.hpp>

#include <numeric>

#include "support/catch.hpp"

using namespace holon;

namespace {
std::vector<float> counting(std::size_t n) {
    std::vector<float> values(n);
    std::iota(values.begin(), values.end(), 0.f);
    return values;
}
}  // namespace

TEST_CASE("a copy shares, a clone does not, and the last one gives the memory back", "[tensor]") {
    Context<Cpu> context;
    {
        const auto values = counting(24);
        Tensor<float, Cpu> a = from_values<float>({2, 3, 2, 2}, std::span<const float>(values), context);
        CHECK(a.unique());
        Tensor<float, Cpu> shared = a, apart = a.clone();
        CHECK_FALSE(a.unique());
        a.data()[5] = -1;
        CHECK(std::as_const(shared).data()[5] == -1);
        CHECK(std::as_const(apart).data()[5] == 5);
        CHECK(context.memory().use().current == 2 * Blocks::rounded(24 * sizeof(float)));
        CHECK(&apart.context() == &context);
    }
    CHECK(context.memory().use().current == 0);
}

TEST_CASE("writing is noticed, reading is not", "[tensor]") {
    Tensor<float, Cpu> a = zeros<float>({1, 1, 1, 4});
    const auto before = a.storage()->version();
    (void)std::as_const(a).data();
    (void)std::as_const(a).elements();
    CHECK(a.storage()->version() == before);
    (void)a.data();
    CHECK(a.storage()->version() == before + 1);
}

TEST_CASE("a tensor over somebody's memory writes there and frees nothing", "[tensor]") {
    float mine[6] = {0, 1, 2, 3, 4, 5};
    {
        auto view = Tensor<float, Cpu>::over(mine, {1, 1, 2, 3});
        view.data()[2] = 7;
    }
    CHECK(mine[2] == 7);
    auto owner = std::make_shared<std::vector<float>>(6, 1.f);
    const std::weak_ptr<std::vector<float>> watch = owner;
    auto view = Tensor<float, Cpu>::over(owner->data(), {1, 1, 2, 3}, owner);
    owner.reset();
    CHECK_FALSE(watch.expired());
    view = {};
    CHECK(watch.expired());
}

TEST_CASE("shapes that cannot be are refused with the numbers", "[tensor]") {
    CHECK_THROWS_WITH((Tensor<float, Cpu>({1, -2, 3, 4})), ContainsText("negative extent"));
    const auto a = zeros<float>({1, 2, 3, 4});
    CHECK(a.reshape({4, 3, 2, 1}).storage() == a.storage());
    CHECK_THROWS_WITH(a.reshape({1, 1, 1, 5}), ContainsText("24 elements") && ContainsText("has 5"));
    CHECK_THROWS_WITH(from_values<float>({1, 1, 1, 3}, std::vector<float>(2)), ContainsText("2 values for"));
}

TEST_CASE("empty tensors and tensors of no elements", "[tensor]") {
    const Tensor<float, Cpu> none;
    CHECK(none.empty());
    CHECK(none.data() == nullptr);
    CHECK(none.clone().empty());
    const Tensor<float, Cpu> hollow({0, 4, 4, 3});
    CHECK_FALSE(hollow.empty());
    CHECK(hollow.size() == 0);
    CHECK(hollow.clone().shape() == hollow.shape());
}

TEST_CASE("nchw there and back, element by element", "[tensor]") {
    const Shape s{2, 3, 4, 5};
    const auto values = counting(120);
    const auto x = from_nchw(s, values.data());
    int wrong = 0;
    for (std::int64_t n = 0; n < s.n; ++n)
        for (std::int64_t h = 0; h < s.h; ++h)
            for (std::int64_t w = 0; w < s.w; ++w)
                for (std::int64_t c = 0; c < s.c; ++c)
                    wrong += std::as_const(x).data()[((n * s.h + h) * s.w + w) * s.c + c] !=
                             float(((n * s.c + c) * s.h + h) * s.w + w);
    CHECK(wrong == 0);
    CHECK(to_nchw(x) == values);
}

TEST_CASE("cast rounds to nearest, and to the same type shares", "[tensor]") {
    const auto x = from_values<float>({1, 1, 1, 3}, std::vector<float>{1.f, 1.00390625f, -3e38f});
    CHECK(cast<float>(x).storage() == x.storage());
    const auto narrow = cast<bfloat16>(x);
    for (int i = 0; i < 3; ++i) CHECK(narrow.elements()[i].bits == bfloat16(x.elements()[i]).bits);
    const auto wide = cast<double>(narrow);
    for (int i = 0; i < 3; ++i) CHECK(wide.elements()[i] == double(float(narrow.elements()[i])));
    const auto tenth = full<double>({1, 1, 1, 1}, 0.1);
    CHECK(std::as_const(tenth).data()[0] == 0.1);
    CHECK(cast<float>(tenth).elements()[0] == 0.1f);
}
