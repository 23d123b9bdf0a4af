# CLI11, for command lines.
find_package(CLI11 CONFIG QUIET)
if(NOT TARGET CLI11::CLI11)
  holon_fetch(CLI11 CLIUtils/CLI11 6c7b07a878ad834957b98d0f9ce1dbe0cb204fc9 libcli11-dev)  # v2.4.2
endif()
