# cuDNN >= 9.11 and the CUDA headers it needs, optional: with them `plan` asks cuDNN what would run. Looked for in the CUDA
# toolkit, the system, and CUDNN_ROOT, which may also be a pip wheel's folder (nvidia/cudnn). Target, if found: holon_cudnn.
find_package(CUDAToolkit QUIET)
find_path(HOLON_CUDNN_INCLUDE cudnn.h HINTS ${CUDNN_ROOT} $ENV{CUDNN_ROOT} ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
find_library(HOLON_CUDNN_LIBRARY NAMES cudnn libcudnn.so.9
  HINTS ${CUDNN_ROOT} $ENV{CUDNN_ROOT} ${CUDAToolkit_LIBRARY_DIR} ${CUDAToolkit_LIBRARY_ROOT} PATH_SUFFIXES lib lib64)
if(CUDAToolkit_FOUND AND HOLON_CUDNN_INCLUDE AND HOLON_CUDNN_LIBRARY)
  file(STRINGS "${HOLON_CUDNN_INCLUDE}/cudnn_version.h" cudnn_lines REGEX "define CUDNN_(MAJOR|MINOR) ")
  string(REGEX REPLACE ".*MAJOR ([0-9]+).*MINOR ([0-9]+).*" "\\1.\\2" cudnn_version "${cudnn_lines}")
  if(cudnn_version VERSION_LESS 9.11)
    message(STATUS "cuDNN ${cudnn_version} in ${HOLON_CUDNN_INCLUDE} is too old to plan without a card (9.11 is needed)")
  else()
    add_library(holon_cudnn INTERFACE)
    target_include_directories(holon_cudnn SYSTEM INTERFACE "${HOLON_CUDNN_INCLUDE}" ${CUDAToolkit_INCLUDE_DIRS})
    target_link_libraries(holon_cudnn INTERFACE "${HOLON_CUDNN_LIBRARY}")
    target_compile_definitions(holon_cudnn INTERFACE HOLON_CUDNN=1)
    message(STATUS "cuDNN ${cudnn_version}: ${HOLON_CUDNN_LIBRARY}")
  endif()
endif()
