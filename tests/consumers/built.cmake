# A project that adds Holon and compiles SOURCE with FLAGS and ARGUMENTS (with commas between them) of its own: it builds, and
# the program succeeds.
include("${CMAKE_CURRENT_LIST_DIR}/support.cmake")
string(REPLACE "," ";" ARGUMENTS "${ARGUMENTS}")
succeeds(${CMAKE_COMMAND} -S "${CMAKE_CURRENT_LIST_DIR}/find" -B "${WORK}/app" ${common} "-DHOLON_ROOT=${ROOT}"
  "-DSOURCE=${CMAKE_CURRENT_LIST_DIR}/${SOURCE}" -DLINK=holon::holon "-DCMAKE_CXX_FLAGS=${FLAGS}" ${ARGUMENTS})
succeeds(${CMAKE_COMMAND} --build "${WORK}/app")
succeeds("${WORK}/app/app")
message(STATUS "${said}")
