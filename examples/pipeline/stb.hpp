// pipeline/stb.hpp: stb_image as this pipeline uses it: PNG and JPEG, from memory, within a budget of bytes.
#pragma once
#include <cstddef>

#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STBI_MAX_DIMENSIONS \
    65535  // the longest side that a JPEG can declare: our own limit comes first, with both sizes
#if __has_include(<stb/stb_image.h>)
#include <stb/stb_image.h>
#else
#include <stb_image.h>
#endif

namespace holon::pipeline {

/// While one lives, no single allocation of stb_image in this thread exceeds `bytes`: a few megabytes of deflate can
/// otherwise unpack to 4 GiB before their size is compared with the header's.
class StbBudget {
 public:
    explicit StbBudget(std::size_t bytes);
    ~StbBudget();
    StbBudget(const StbBudget&) = delete;
    StbBudget& operator=(const StbBudget&) = delete;
};

}  // namespace holon::pipeline
