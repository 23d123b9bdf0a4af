# CLI11, for command lines.
find_package(CLI11 CONFIG QUIET)
if(NOT TARGET CLI11::CLI11)
  message(FATAL_ERROR "CLI11 was not found. On Debian or Ubuntu: apt install libcli11-dev.")
endif()
