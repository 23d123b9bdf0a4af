// pipeline/stb.cpp: the one place where stb_image is compiled. Its shifts of signed numbers are left as they are:
// exempt this file from the undefined-behaviour sanitizer, not the ones around it.
#include <cstdint>
#include <cstdlib>

#include <holon/core/error.hpp>

namespace {

thread_local std::size_t stb_budget = SIZE_MAX;

void* stb_malloc(std::size_t bytes) { return bytes <= stb_budget ? std::malloc(bytes) : nullptr; }
void* stb_realloc(void* old, std::size_t bytes) { return bytes <= stb_budget ? std::realloc(old, bytes) : nullptr; }

// stb asserts what a damaged file can break; ending the program is not for a decoder to decide.
[[noreturn]] void stb_assertion(const char* what) {
    throw holon::DataError(holon::text("the picture is damaged (", what, " does not hold)"));
}

}  // namespace

#define STBI_MALLOC(bytes) stb_malloc(bytes)
#define STBI_REALLOC(old, bytes) stb_realloc(old, bytes)
#define STBI_FREE(old) std::free(old)
#define STBI_ASSERT(what) ((what) ? void() : stb_assertion(#what))
#define STB_IMAGE_IMPLEMENTATION
#include "pipeline/stb.hpp"

namespace holon::pipeline {

StbBudget::StbBudget(std::size_t bytes) { stb_budget = bytes; }
StbBudget::~StbBudget() { stb_budget = SIZE_MAX; }

}  // namespace holon::pipeline
