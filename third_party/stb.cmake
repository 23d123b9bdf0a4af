# stb_image, for reading PNG and JPEG: the system's (Debian: libstb-dev), else HOLON_STB_DIR. Target: holon_stb.
find_path(HOLON_STB_DIR NAMES stb/stb_image.h stb_image.h DOC "folder that holds stb/stb_image.h or stb_image.h")
if(NOT HOLON_STB_DIR)
  message(FATAL_ERROR "stb_image was not found. On Debian or Ubuntu: apt install libstb-dev. Elsewhere: set HOLON_STB_DIR.")
endif()
add_library(holon_stb INTERFACE)
target_include_directories(holon_stb SYSTEM INTERFACE "${HOLON_STB_DIR}")
