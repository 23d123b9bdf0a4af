# Folders with spaces, folders of GNUInstallDirs that are not the usual ones, and a prefix that is moved after the install.
include("${CMAKE_CURRENT_LIST_DIR}/support.cmake")
function(builds where)  # the tiny program with the package that the other arguments name
  set(build "${WORK}/some build ${where}")
  succeeds(${CMAKE_COMMAND} -S "${CMAKE_CURRENT_LIST_DIR}/find" -B "${build}" ${common} -DARGUMENTS=REQUIRED
    "-DSOURCE=${CMAKE_CURRENT_LIST_DIR}/tiny.cpp" -DLINK=holon::holon ${ARGN})
  succeeds(${CMAKE_COMMAND} --build "${build}")
  succeeds("${build}/app")
endfunction()
foreach(part CMakeLists.txt include cuda cmake third_party)
  file(COPY "${ROOT}/${part}" DESTINATION "${WORK}/the source")
endforeach()
install_holon("${WORK}/the source" "${WORK}/the build" "${WORK}/first prefix"
  -DCMAKE_INSTALL_INCLUDEDIR=include/holon-0.1 "-DCMAKE_INSTALL_DATADIR=share/of ours")
file(RENAME "${WORK}/first prefix" "${WORK}/second prefix")
# Absolute folders, and the usual ones.
install_holon("${WORK}/the source" "${WORK}/absolute build" "${WORK}/absolute" "-DCMAKE_INSTALL_INCLUDEDIR=${WORK}/my headers"
  "-DCMAKE_INSTALL_DATADIR=${WORK}/my data")
install_holon("${WORK}/the source" "${WORK}/half build" "${WORK}/half" "-DCMAKE_INSTALL_INCLUDEDIR=${WORK}/half headers")
file(REMOVE_RECURSE "${WORK}/the source" "${WORK}/the build" "${WORK}/absolute build" "${WORK}/half build")
if(EXISTS "${WORK}/second prefix/include/holon" OR NOT EXISTS "${WORK}/second prefix/include/holon-0.1/holon/holon.hpp")
  message(FATAL_ERROR "the headers are not where CMAKE_INSTALL_INCLUDEDIR says")
endif()
builds(moved "-Dholon_DIR=${WORK}/second prefix/share/of ours/cmake/holon")
builds(absolute "-Dholon_DIR=${WORK}/my data/cmake/holon")
builds(half "-DCMAKE_PREFIX_PATH=${WORK}/half")
if(NVCC)
  set(build "${WORK}/some build cuda")
  succeeds(${CMAKE_COMMAND} -S "${CMAKE_CURRENT_LIST_DIR}/find" -B "${build}" ${common} ${cuda} -DARGUMENTS=REQUIRED,COMPONENTS,cuda
    "-DSOURCE=${CMAKE_CURRENT_LIST_DIR}/tiny_gpu.cpp" -DLINK=holon::cuda "-Dholon_DIR=${WORK}/second prefix/share/of ours/cmake/holon")
  succeeds(${CMAKE_COMMAND} --build "${build}")
  succeeds("${build}/app")
  expects_said("ran on a card: 0.5|no card: ")
endif()
