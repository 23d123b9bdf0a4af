# The target holon::cuda: holon::holon and what it needs of a GPU. Included by this project's own build and by the installed
# package (find_package(holon COMPONENTS cuda)), after cudnn.cmake, so that the kernels are compiled from their source once per build tree, and
# sources that use them stay plain C++. HOLON_SOURCE is the folder that cuda/holon lies in.
#
# Architectures: CMAKE_CUDA_ARCHITECTURES, else HOLON_CUDA_ARCHITECTURES.
set(HOLON_CUDA_ARCHITECTURES "75-real;80-real;86-real;89-real;90" CACHE STRING "What kernels are compiled for (Turing to Hopper)")

function(holon_add_cuda)
  if(TARGET holon::cuda)
    return()
  endif()
  if(NOT CUDAToolkit_FOUND)
    message(FATAL_ERROR "holon::cuda needs the CUDA Toolkit (12.4 or later, with nvcc); none was found. Set CUDAToolkit_ROOT, or "
      "put nvcc on the PATH. On Debian and Ubuntu, from NVIDIA's repository: apt install cuda-toolkit-13-0 libcudnn9-dev-cuda-13")
  endif()
  if(NOT TARGET holon_cudnn)
    message(FATAL_ERROR "holon::cuda needs cuDNN 9.11 or later with its headers; none was found. Set CUDNN_ROOT (a pip wheel's "
      "nvidia/cudnn folder will do), or on Debian and Ubuntu, from NVIDIA's repository: apt install libcudnn9-dev-cuda-13")
  endif()
  add_library(holon_kernels STATIC "${HOLON_SOURCE}/cuda/holon/kernels.cu" "${HOLON_SOURCE}/cuda/holon/blas.cpp")
  target_include_directories(holon_kernels PRIVATE "${HOLON_SOURCE}/cuda" "$<TARGET_PROPERTY:holon::holon,INTERFACE_INCLUDE_DIRECTORIES>")
  target_compile_features(holon_kernels PRIVATE cxx_std_20)
  target_compile_options(holon_kernels PRIVATE 
    "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20;--expt-relaxed-constexpr>")
  target_link_libraries(holon_kernels PUBLIC CUDA::cudart CUDA::cublas)
  set_target_properties(holon_kernels PROPERTIES POSITION_INDEPENDENT_CODE ON CUDA_RUNTIME_LIBRARY Shared)
  if(CMAKE_CUDA_ARCHITECTURES AND NOT CMAKE_CUDA_ARCHITECTURES STREQUAL holon_default_architectures)
    set(architectures "${CMAKE_CUDA_ARCHITECTURES}")
  else()
    set(architectures "${HOLON_CUDA_ARCHITECTURES}")
  endif()
  set_target_properties(holon_kernels PROPERTIES CUDA_ARCHITECTURES "${architectures}")
  add_library(holon_cuda INTERFACE)
  add_library(holon::cuda ALIAS holon_cuda)
  target_link_libraries(holon_cuda INTERFACE holon::holon holon_kernels holon_cudnn CUDA::cudart)
  target_compile_definitions(holon_cuda INTERFACE HOLON_CUDA=1)
endfunction()

# A language is enabled for a whole directory, which a function cannot do.
get_property(holon_languages GLOBAL PROPERTY ENABLED_LANGUAGES)
if(CUDAToolkit_FOUND AND NOT "CUDA" IN_LIST holon_languages)
  # CMake fills this in by itself with the oldest there is; known here, so that a choice of the user's is told from it.
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 75)
    set(holon_default_architectures 75)
  endif()
  if(NOT CMAKE_CUDA_COMPILER AND CUDAToolkit_NVCC_EXECUTABLE)
    set(CMAKE_CUDA_COMPILER "${CUDAToolkit_NVCC_EXECUTABLE}")
  endif()
  enable_language(CUDA)
endif()
holon_add_cuda()
