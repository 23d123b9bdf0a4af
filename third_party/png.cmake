# libpng, for writing 16-bit grey and 8-bit colour.
find_package(PNG)
if(NOT TARGET PNG::PNG)
  message(FATAL_ERROR "libpng was not found. On Debian or Ubuntu: apt install libpng-dev.")
endif()
