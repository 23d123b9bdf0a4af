# The target holon::compiled: holon::holon and a library of its ops, layers, networks and optimizers, compiled once per build
# tree for the element types of the CPU and of plans (include/holon/compiled). Programs that link it are compiled with
# HOLON_COMPILED, which declares these instances `extern template`.
#
# holon::compiled_cuda is both holon::compiled and holon::cuda, with the instances for the GPU; made where holon::cuda is.
# HOLON_INCLUDE is the folder that holon/compiled lies in.
function(holon_add_compiled_library name pattern)
  file(GLOB sources CONFIGURE_DEPENDS "${HOLON_INCLUDE}/holon/compiled/${pattern}")
  add_library(${name} STATIC EXCLUDE_FROM_ALL ${sources})
  target_compile_options(${name} PRIVATE $<$<CXX_COMPILER_ID:GNU,Clang>:-fno-math-errno>)
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
endfunction()

if(NOT TARGET holon_compiled_cpu)
  holon_add_compiled_library(holon_compiled_cpu "[!g]*.cpp")
  target_link_libraries(holon_compiled_cpu PUBLIC holon::holon)
  target_compile_definitions(holon_compiled_cpu PUBLIC HOLON_COMPILED=1)
  # Imported, so that a library that links it can be exported, as holon::cuda is.
  add_library(holon::compiled INTERFACE IMPORTED GLOBAL)
  target_link_libraries(holon::compiled INTERFACE holon_compiled_cpu)
endif()
if(TARGET holon::cuda AND NOT TARGET holon_compiled_gpu)
  holon_add_compiled_library(holon_compiled_gpu "gpu_*.cpp")
  target_link_libraries(holon_compiled_gpu PUBLIC holon_compiled_cpu)
  target_compile_definitions(holon_compiled_gpu PRIVATE HOLON_CUDA=1)
  target_include_directories(holon_compiled_gpu SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS} "${HOLON_CUDNN_INCLUDE}")
  add_library(holon::compiled_cuda INTERFACE IMPORTED GLOBAL)
  target_link_libraries(holon::compiled_cuda INTERFACE holon_compiled_gpu holon::cuda)
endif()
