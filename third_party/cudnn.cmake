# cuDNN >= 9.11 and the CUDA headers it needs, optional: with them `plan` asks cuDNN what would run. Looked for in CUDNN_ROOT
# alone if that is set (it may be a pip wheel's folder, nvidia/cudnn), else in the CUDA toolkit and the system. Target, if
# found: holon_cudnn; if not, holon_cudnn_problem says why.
set(holon_cudnn_problem "")

# CMake's find commands keep in the cache what they found once. Where a root was changed since, what was found is forgotten.
macro(holon_root_or_forget root remembered entries)  # of the entries, a regular expression
  if("${${root}}" STREQUAL "" AND DEFINED ENV{${root}})
    set(${root} "$ENV{${root}}")
  endif()
  if(NOT DEFINED ${remembered} OR NOT "${${root}}" STREQUAL "")
    if(DEFINED ${remembered} AND NOT "${${root}}" STREQUAL "${${remembered}}")
      get_cmake_property(holon_cached CACHE_VARIABLES)
      list(FILTER holon_cached INCLUDE REGEX "${entries}")
      foreach(entry IN LISTS holon_cached)
        unset(${entry} CACHE)
      endforeach()
    endif()
    set(${remembered} "${${root}}" CACHE INTERNAL "")
  endif()
endmacro()
holon_root_or_forget(CUDAToolkit_ROOT HOLON_CUDATOOLKIT_SEARCHED
  "^CUDAToolkit_(BIN_DIR|NVCC_EXECUTABLE|SENTINEL_FILE|.*_INCLUDE_DIR)$|^CUDA_CUDART$|^CUDA_.*_LIBRARY$|^HOLON_(CUDNN|CUBLAS)_(INCLUDE|LIBRARY)$")
holon_root_or_forget(CUDNN_ROOT HOLON_CUDNN_SEARCHED "^HOLON_CUDNN_(INCLUDE|LIBRARY)$")

find_package(CUDAToolkit QUIET)
set(holon_include_suffixes include)
set(holon_lib_suffixes lib lib64)
if(CMAKE_LIBRARY_ARCHITECTURE)
  list(APPEND holon_include_suffixes "include/${CMAKE_LIBRARY_ARCHITECTURE}")
  list(APPEND holon_lib_suffixes "lib/${CMAKE_LIBRARY_ARCHITECTURE}")
endif()
if(CUDNN_ROOT)
  find_path(HOLON_CUDNN_INCLUDE cudnn.h PATHS "${CUDNN_ROOT}" PATH_SUFFIXES ${holon_include_suffixes} NO_DEFAULT_PATH)
  find_library(HOLON_CUDNN_LIBRARY NAMES cudnn libcudnn.so.9 PATHS "${CUDNN_ROOT}" PATH_SUFFIXES ${holon_lib_suffixes}
    NO_DEFAULT_PATH)
else()
  find_path(HOLON_CUDNN_INCLUDE cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
  find_library(HOLON_CUDNN_LIBRARY NAMES cudnn libcudnn.so.9
    HINTS ${CUDAToolkit_LIBRARY_DIR} ${CUDAToolkit_LIBRARY_ROOT} PATH_SUFFIXES lib lib64)
endif()
if(TARGET holon_cudnn)
  return()
endif()
set(holon_cudnn_version 0)
if(HOLON_CUDNN_INCLUDE AND EXISTS "${HOLON_CUDNN_INCLUDE}/cudnn_version.h")
  file(STRINGS "${HOLON_CUDNN_INCLUDE}/cudnn_version.h" cudnn_lines REGEX "define CUDNN_(MAJOR|MINOR) ")
  string(REGEX REPLACE ".*MAJOR ([0-9]+).*MINOR ([0-9]+).*" "\\1.\\2" holon_cudnn_version "${cudnn_lines}")
endif()
if(NOT CUDAToolkit_FOUND)
  set(holon_cudnn_problem "the CUDA Toolkit (12.4 or later, with nvcc) was not found. Set CUDAToolkit_ROOT, or put nvcc on the PATH. \
On Debian and Ubuntu, from NVIDIA's repository: apt install cuda-toolkit-13-0 libcudnn9-dev-cuda-13")
elseif(CUDAToolkit_VERSION VERSION_LESS 12.4)
  set(holon_cudnn_problem "the CUDA Toolkit ${CUDAToolkit_VERSION} in ${CUDAToolkit_BIN_DIR} is too old; 12.4 or later is needed. \
Set CUDAToolkit_ROOT, or CMAKE_CUDA_COMPILER where the project has the language CUDA, to a later one.")
elseif(NOT HOLON_CUDNN_INCLUDE OR NOT HOLON_CUDNN_LIBRARY)
  if(CUDNN_ROOT)
    set(holon_cudnn_problem "CUDNN_ROOT is ${CUDNN_ROOT}, which has not both include/cudnn.h and lib/libcudnn.so; set it to a \
folder of cuDNN 9.11 or later with its headers (a pip wheel's nvidia/cudnn will do).")
  else()
    set(holon_cudnn_problem "cuDNN 9.11 or later with its headers was not found. Set CUDNN_ROOT (a pip wheel's nvidia/cudnn folder \
will do), or on Debian and Ubuntu, from NVIDIA's repository: apt install libcudnn9-dev-cuda-13")
  endif()
elseif(holon_cudnn_version VERSION_LESS 9.11)
  set(holon_cudnn_problem "cuDNN ${holon_cudnn_version} in ${HOLON_CUDNN_INCLUDE} is too old; 9.11 or later is needed. Set CUDNN_ROOT \
to a later one (a pip wheel's nvidia/cudnn folder will do).")
else()
  add_library(holon_cudnn INTERFACE)
  target_include_directories(holon_cudnn SYSTEM INTERFACE "${HOLON_CUDNN_INCLUDE}" ${CUDAToolkit_INCLUDE_DIRS})
  target_link_libraries(holon_cudnn INTERFACE "${HOLON_CUDNN_LIBRARY}" ${CMAKE_DL_LIBS})
  target_compile_definitions(holon_cudnn INTERFACE HOLON_CUDNN=1)
  if(NOT holon_FIND_QUIETLY)
    message(STATUS "cuDNN ${holon_cudnn_version}: ${HOLON_CUDNN_LIBRARY}")
  endif()
endif()
