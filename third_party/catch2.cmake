# Catch2 v2 (Debian 12) or v3 from the system; v3 pinned otherwise. Targets: holon_catch (headers), and v3's own main is not
# used: tests/main.cpp serves both.
find_package(Catch2 QUIET)
if(NOT TARGET Catch2::Catch2)
  include(FetchContent)
  FetchContent_Declare(Catch2 GIT_REPOSITORY https://github.com/catchorg/Catch2.git
    GIT_TAG fa43b77429ba76c462b1898d6cd2f2d7a9416b14)  # v3.7.1
  FetchContent_MakeAvailable(Catch2)
endif()
