# Google Benchmark.
find_package(benchmark CONFIG QUIET)
if(NOT TARGET benchmark::benchmark)
  set(BENCHMARK_ENABLE_TESTING OFF)
  set(BENCHMARK_ENABLE_INSTALL OFF)
  holon_fetch(benchmark google/benchmark c58e6d0710581e3a08d65c349664128a8d9a2461 libbenchmark-dev)  # v1.9.1
endif()
