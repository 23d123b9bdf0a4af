# Google Benchmark.
find_package(benchmark CONFIG QUIET)
if(NOT TARGET benchmark::benchmark)
  message(FATAL_ERROR "Google Benchmark was not found. On Debian or Ubuntu: apt install libbenchmark-dev.")
endif()
