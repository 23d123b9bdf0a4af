# Downloads a dependency that the system does not have, pinned to a full commit id; HOLON_FETCH=OFF forbids it. Offline:
# FETCHCONTENT_SOURCE_DIR_<NAME> names a folder that has it. `package` is what Debian and Ubuntu call it, for the refusal.
include(FetchContent)
option(HOLON_FETCH "Download dependencies that are not installed" ON)
macro(holon_fetch name repository commit package)
  string(TOUPPER ${name} holon_fetch_upper)
  if(NOT HOLON_FETCH AND NOT FETCHCONTENT_SOURCE_DIR_${holon_fetch_upper})
    message(FATAL_ERROR "${name} was not found. On Debian or Ubuntu: apt install ${package}. Or allow -DHOLON_FETCH=ON.")
  endif()
  message(STATUS "${name} is not installed (apt install ${package}); taking ${repository} at ${commit}")
  FetchContent_Declare(${name} GIT_REPOSITORY https://github.com/${repository}.git GIT_TAG ${commit} SYSTEM)
  FetchContent_MakeAvailable(${name})
endmacro()
