# nlohmann-json, for CBIS-DDSM's boxes.
find_package(nlohmann_json 3.10 CONFIG QUIET)
if(NOT TARGET nlohmann_json::nlohmann_json)
  message(FATAL_ERROR "nlohmann-json was not found. On Debian or Ubuntu: apt install nlohmann-json3-dev.")
endif()
