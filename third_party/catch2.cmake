# Catch2: v2 (Debian 12) or v3. tests/main.cpp serves both, so v3's own main is not used.
find_package(Catch2 QUIET)
if(NOT TARGET Catch2::Catch2)
  holon_fetch(Catch2 catchorg/Catch2 fa43b77429ba76c462b1898d6cd2f2d7a9416b14 catch2)  # v3.7.1
endif()
