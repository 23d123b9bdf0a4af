# The headers are the system's for a project that uses the target, however it got it.
include("${CMAKE_CURRENT_LIST_DIR}/support.cmake")
install_holon("${ROOT}" "${WORK}/build" "${WORK}/prefix")
foreach(way "-DCMAKE_PREFIX_PATH=${WORK}/prefix" "-DHOLON_ROOT=${ROOT}")
  file(REMOVE_RECURSE "${WORK}/app")
  succeeds(${CMAKE_COMMAND} -S "${CMAKE_CURRENT_LIST_DIR}/find" -B "${WORK}/app" ${common} "${way}" -DARGUMENTS=REQUIRED
    "-DSOURCE=${CMAKE_CURRENT_LIST_DIR}/tiny.cpp" -DLINK=holon::holon -DCMAKE_EXPORT_COMPILE_COMMANDS=ON)
  file(READ "${WORK}/app/compile_commands.json" said)
  expects_said("-isystem ([^ ]*/prefix|${ROOT})/include .*tiny.cpp")
endforeach()
