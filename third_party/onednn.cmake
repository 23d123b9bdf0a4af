# oneDNN 2.6 or 3.x, from the system (Debian: libdnnl-dev) or from dnnl_DIR. The target is DNNL::dnnl. What is wrong is
# said in holon_onednn_problem, which this project's own build stops with; the installed package is then not found.
set(holon_onednn_problem "")
find_package(dnnl CONFIG QUIET)
if(NOT TARGET DNNL::dnnl)
  set(holon_onednn_problem "oneDNN was not found. On Debian or Ubuntu: apt install libdnnl-dev ocl-icd-opencl-dev. Elsewhere: set \
dnnl_DIR to the folder that holds dnnl-config.cmake (looked in: ${dnnl_DIR} and CMake's default places).")
elseif(dnnl_VERSION AND dnnl_VERSION VERSION_LESS 2.6)
  set(holon_onednn_problem "oneDNN ${dnnl_VERSION} in ${dnnl_DIR} is too old; 2.6 or later is needed.")
endif()
