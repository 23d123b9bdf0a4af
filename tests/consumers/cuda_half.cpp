// A program that uses CUDA's `half` and Holon's float16, both unqualified. CUDA's header comes first here, and after
// holon.hpp in a second compilation of this file.
#ifndef HOLON_FIRST
#include <cuda_fp16.h>
#endif
#include <holon/holon.hpp>
#ifdef HOLON_FIRST
#include <cuda_fp16.h>
#endif

using namespace holon;

static_assert(sizeof(half) == sizeof(float16) && !std::same_as<half, float16>);
static_assert(Element<float16> && !Element<half>);

float sum(half a, float16 b, bfloat16 c) { return __half2float(a) + float(b) + float(c); }
half to_cuda(float16 x) { return std::bit_cast<half>(x.bits); }
