# nlohmann-json, for CBIS-DDSM's boxes.
find_package(nlohmann_json 3.10 CONFIG QUIET)
if(NOT TARGET nlohmann_json::nlohmann_json)
  holon_fetch(nlohmann_json nlohmann/json 9cca280a4d0ccf0c08f47a99aa71d1b0e52f8d03 nlohmann-json3-dev)  # v3.11.3
endif()
