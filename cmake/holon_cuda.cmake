# The target holon::cuda: holon::holon and what it needs of a GPU. Included by this project's own build and by the installed
# package (find_package(holon COMPONENTS cuda)), after cudnn.cmake, so that the kernels are compiled from their source once per build tree, and
# sources that use them stay plain C++. HOLON_SOURCE is the folder that cuda/holon lies in. If it cannot be made,
# holon_cuda_problem says why.
#
# Architectures: CMAKE_CUDA_ARCHITECTURES, else HOLON_CUDA_ARCHITECTURES, by default Turing to Blackwell. PTX is that of Hopper, so
# that cards between and after these have code too; nvcc knows Blackwell from 12.8 on.

function(holon_add_cuda)
  set(sources kernels.cu batch_norm.cu pool2d.cu blas.cpp)
  list(TRANSFORM sources PREPEND "${HOLON_SOURCE}/cuda/holon/")
  add_library(holon_kernels STATIC ${sources})
  target_include_directories(holon_kernels PRIVATE "${HOLON_SOURCE}/cuda" "$<TARGET_PROPERTY:holon::holon,INTERFACE_INCLUDE_DIRECTORIES>")
  target_compile_features(holon_kernels PRIVATE cxx_std_20)
  target_compile_options(holon_kernels PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20;--expt-relaxed-constexpr>")
  target_link_libraries(holon_kernels PUBLIC CUDA::cudart CUDA::cublas)
  set_target_properties(holon_kernels PROPERTIES POSITION_INDEPENDENT_CODE ON CUDA_RUNTIME_LIBRARY Shared
    CUDA_SEPARABLE_COMPILATION OFF UNITY_BUILD OFF COMPILE_WARNING_AS_ERROR OFF)
  # A standard that the project sets for its own sources would be one for nvcc too, and CMake 3.25 does not know that nvcc
  # has C++20. The options above say it.
  foreach(property CXX_STANDARD CXX_STANDARD_REQUIRED CUDA_STANDARD CUDA_STANDARD_REQUIRED)
    set_property(TARGET holon_kernels PROPERTY ${property})
  endforeach()
  if(CMAKE_CUDA_ARCHITECTURES AND NOT CMAKE_CUDA_ARCHITECTURES STREQUAL holon_default_architectures)
    set(architectures "${CMAKE_CUDA_ARCHITECTURES}")
  else()
    set(architectures "${HOLON_CUDA_ARCHITECTURES}")
  endif()
  set_target_properties(holon_kernels PROPERTIES CUDA_ARCHITECTURES "${architectures}")
  # Imported, so that a library that links it can be exported: its package names holon::cuda, and whoever uses that finds it by
  # find_dependency(holon COMPONENTS cuda), which compiles the kernels there.
  add_library(holon::cuda INTERFACE IMPORTED GLOBAL)
  target_link_libraries(holon::cuda INTERFACE holon::holon holon_kernels holon_cudnn CUDA::cudart)
  target_compile_definitions(holon::cuda INTERFACE HOLON_CUDA=1)
endfunction()

set(holon_cuda_problem "")
if(holon_cudnn_problem)
  set(holon_cuda_problem "holon::cuda cannot be built: ${holon_cudnn_problem}")
elseif(NOT CUDAToolkit_NVCC_EXECUTABLE)
  set(holon_cuda_problem "holon::cuda cannot be built: the CUDA Toolkit ${CUDAToolkit_VERSION} in ${CUDAToolkit_BIN_DIR} has no nvcc. \
Set CUDAToolkit_ROOT to one that has.")
elseif(NOT TARGET holon::cuda)
  # A language is enabled for a whole directory, which a function cannot do.
  get_property(holon_languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if(NOT "CUDA" IN_LIST holon_languages)
    # CMake fills this in by itself with the oldest there is; known here, so that a choice of the user's is told from it.
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 75)
      set(holon_default_architectures 75)
    endif()
    if(NOT CMAKE_CUDA_COMPILER)
      set(CMAKE_CUDA_COMPILER "${CUDAToolkit_NVCC_EXECUTABLE}")
    endif()
    enable_language(CUDA)
  endif()
  if(NOT CMAKE_CUDA_COMPILER_ID STREQUAL "NVIDIA" OR CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.4)
    set(holon_cuda_problem "holon::cuda cannot be built: CMAKE_CUDA_COMPILER is ${CMAKE_CUDA_COMPILER} (${CMAKE_CUDA_COMPILER_ID} \
${CMAKE_CUDA_COMPILER_VERSION}); nvcc 12.4 or later is needed. Set it in a new build folder.")
  else()
    set(holon_known_architectures "75-real;80-real;86-real;89-real;90")
    if(NOT CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.8)
      list(APPEND holon_known_architectures 100-real 120-real)
    endif()
    set(HOLON_CUDA_ARCHITECTURES "${holon_known_architectures}" CACHE STRING "What kernels are compiled for")
    holon_add_cuda()
  endif()
endif()
