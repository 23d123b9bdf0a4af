// pipeline/file_bytes.hpp: files in and out of memory as a whole, each refusal with its path and its reason.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace holon::pipeline {

/// The bytes of a regular file. Throws `DataError` where there is none, where it cannot be read, and for a directory, a
/// pipe, a device, an empty file and one of more than `limit` bytes (so that a wrong path does not fill the memory).
std::string read_bytes(const std::string& path, std::uint64_t limit = std::uint64_t(1) << 30);

/// The first `count` bytes, or all if there are fewer; refuses what `read_bytes` refuses, whatever the length.
std::string read_start(const std::string& path, std::size_t count);

/// Makes or replaces a file: written beside it, closed, renamed, so that a full disk leaves no half of it under its
/// name. Not synced to the disk: for what a program can make again. Throws `DataError` with the system's reason.
void write_bytes(const std::string& path, std::string_view bytes);

}  // namespace holon::pipeline
