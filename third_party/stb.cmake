# stb_image, for reading PNG and JPEG. Target: holon_stb.
find_path(HOLON_STB_DIR NAMES stb/stb_image.h stb_image.h DOC "folder that holds stb/stb_image.h or stb_image.h")
if(NOT HOLON_STB_DIR)
  holon_fetch(stb nothings/stb 31c1ad37456438565541f4919958214b6e762fb4 libstb-dev)
  set(HOLON_STB_DIR "${stb_SOURCE_DIR}" CACHE PATH "" FORCE)
endif()
add_library(holon_stb INTERFACE)
target_include_directories(holon_stb SYSTEM INTERFACE "${HOLON_STB_DIR}")
