# oneDNN 2.6 or 3.x, from the system (Debian: libdnnl-dev) or from dnnl_DIR. The target is DNNL::dnnl.
find_package(dnnl CONFIG QUIET)
if(NOT TARGET DNNL::dnnl)
  message(FATAL_ERROR "oneDNN was not found. On Debian or Ubuntu: apt install libdnnl-dev ocl-icd-opencl-dev. Elsewhere: set dnnl_DIR to the "
    "folder that holds dnnl-config.cmake (looked in: ${dnnl_DIR} and CMake's default places).")
endif()
if(dnnl_VERSION AND dnnl_VERSION VERSION_LESS 2.6)
  message(FATAL_ERROR "oneDNN ${dnnl_VERSION} in ${dnnl_DIR} is too old; 2.6 or later is needed.")
endif()
