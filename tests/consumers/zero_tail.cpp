// Constants that g++ 12 moves wrongly for AVX-512, passed by value.
#include <holon/core/shape.hpp>

#include <cstdio>

[[gnu::noinline]] std::int64_t digits(holon::Shape s) {
    asm volatile("" : "+m"(s));
    return ((s.n * 10 + s.h) * 10 + s.w) * 10 + s.c;
}
struct Four { std::int64_t a, b, c, d; };
struct Eight { Four low, high; };
[[gnu::noinline]] std::int64_t sum(Eight e) {
    asm volatile("" : "+m"(e));
    return e.low.a + e.low.b + e.low.c + e.low.d + e.high.a + e.high.b + e.high.c + e.high.d;
}

int main() {
    const std::int64_t said[] = {digits({1, 1, 1, 0}), digits({2, 2, 0, 0}), digits({1, 0, 0, 0}), sum({{3, 3, 3, 3}, {3, 0, 0, 0}})};
    for (const std::int64_t s : said) std::printf("%lld ", static_cast<long long>(s));
    std::printf("\n");
    return said[0] == 1110 && said[1] == 2200 && said[2] == 1000 && said[3] == 15 ? 0 : 1;
}
