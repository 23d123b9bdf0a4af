# g++ 12 for AVX-512 moves some constants wrongly unless it moves 16 bytes at a time (include/holon/core/compiler.hpp). Whoever
# compiles with the target gets the two options, which g++ 12 takes on any x86; where they are not needed they change nothing.
function(holon_add_narrow_moves target wrap)  # wrap: BUILD_INTERFACE, so that the installed package decides again; or 1
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|i[3-6]86)$")
    set(gcc12 "$<COMPILE_LANG_AND_ID:CXX,GNU>,$<VERSION_GREATER_EQUAL:$<CXX_COMPILER_VERSION>,12>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>")
    target_compile_options(${target} INTERFACE "$<${wrap}:$<$<AND:${gcc12}>:-mmove-max=128;-mstore-max=128>>")
    target_compile_definitions(${target} INTERFACE "$<${wrap}:$<$<AND:${gcc12}>:HOLON_NARROW_MOVES=1>>")
  endif()
endfunction()
