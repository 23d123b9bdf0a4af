# The target holon::compiled: holon::holon and a library of its ops, graph, layers, networks, optimizers and checkpoints,
# compiled once per build tree for the element types of the CPU and of plans (the lists: include/holon/*/instances.hpp).
# Programs that link it are compiled with HOLON_COMPILED, which declares these instances `extern template`; those for the GPU
# HOLON_COMPILED_CUDA does, so that holon::compiled beside holon::cuda leaves them to the program.
#
# holon::compiled_cuda is both holon::compiled and holon::cuda, with the instances for the GPU; made where holon::cuda is.

# A library of the instances of device:element...; each pair is a source of its own, beside those given.
function(holon_add_compiled_library name)
  cmake_parse_arguments(holon "" "" "SOURCES;INSTANCES" ${ARGN})
  set(sources ${holon_SOURCES})
  foreach(pair IN LISTS holon_INSTANCES)
    string(REGEX MATCH "(.*):(.*)" unused "${pair}")
    set(holon_device "${CMAKE_MATCH_1}")
    set(holon_element "${CMAKE_MATCH_2}")
    set(arguments "(template, ${holon_element}, ${holon_device})")
    if(holon_element MATCHES "16")
      set(holon_op_instances "HOLON_INSTANCES_OF_CONVERT${arguments}")
      set(holon_instances "HOLON_INSTANCES_OF_GRAPH_CONVERT${arguments}")
    else()
      set(holon_op_instances "HOLON_INSTANCES_OF_ACCUMULATOR_OPS${arguments}\nHOLON_INSTANCES_OF_OPTIMIZER_OPS${arguments}")
      set(holon_instances "HOLON_INSTANCES_OF_LOSSES${arguments}\nHOLON_INSTANCES_OF_PARAMETERS${arguments}")
      if(pair STREQUAL "Cpu:float")
        string(APPEND holon_op_instances "\nHOLON_INSTANCES_OF_OTHER_CONVERTS(template, Cpu)")
      elseif(holon_device STREQUAL "Gpu")
        set(holon_op_instances "")  # the GPU's are functions of float, no templates
      endif()
    endif()
    set(holon_ops "")
    if(holon_device STREQUAL "Cpu")  # programs see the CPU's ops as declarations (op/cpu_ops.hpp)
      set(holon_ops "#include <holon/op/cpu/cpu.hpp>\n")
    endif()
    set(source "${CMAKE_CURRENT_BINARY_DIR}/holon_instances/${holon_device}_${holon_element}.cpp")
    configure_file("${CMAKE_CURRENT_FUNCTION_LIST_DIR}/instances.cpp.in" "${source}" @ONLY)
    list(APPEND sources "${source}")
  endforeach()
  add_library(${name} STATIC EXCLUDE_FROM_ALL ${sources})
  target_compile_options(${name} PRIVATE $<$<CXX_COMPILER_ID:GNU,Clang>:-fno-math-errno>)
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
endfunction()

# Its sources need CUDA's headers and cuDNN's, which `includes` names, and no compiler but the one for C++.
function(holon_add_compiled_gpu includes)
  holon_add_compiled_library(holon_compiled_gpu INSTANCES Gpu:float Gpu:bfloat16 Gpu:float16)
  target_link_libraries(holon_compiled_gpu PUBLIC holon_compiled_extra)
  target_compile_definitions(holon_compiled_gpu PUBLIC HOLON_COMPILED_CUDA=1 PRIVATE HOLON_CUDA=1)
  target_include_directories(holon_compiled_gpu SYSTEM PRIVATE ${includes})
endfunction()

if(NOT TARGET holon_compiled_cpu)
  holon_add_compiled_library(holon_compiled_cpu SOURCES "${CMAKE_CURRENT_LIST_DIR}/functions.cpp" INSTANCES
    Cpu:float Cpu:bfloat16 Plan:float Plan:bfloat16)
  target_link_libraries(holon_compiled_cpu PUBLIC holon::holon)
  target_compile_definitions(holon_compiled_cpu PUBLIC HOLON_COMPILED=1)
  # Elements that few programs use. The demo's programs link holon_compiled_cpu alone and are built without these.
  holon_add_compiled_library(holon_compiled_extra INSTANCES Cpu:double Plan:float16)
  target_link_libraries(holon_compiled_extra PUBLIC holon_compiled_cpu)
  # Imported, so that a library that links it can be exported, as holon::cuda is.
  add_library(holon::compiled INTERFACE IMPORTED GLOBAL)
  target_link_libraries(holon::compiled INTERFACE holon_compiled_extra holon_compiled_cpu)
endif()
if(TARGET holon::cuda AND NOT TARGET holon_compiled_gpu)
  holon_add_compiled_gpu("${CUDAToolkit_INCLUDE_DIRS};${HOLON_CUDNN_INCLUDE}")
  add_library(holon::compiled_cuda INTERFACE IMPORTED GLOBAL)
  target_link_libraries(holon::compiled_cuda INTERFACE holon_compiled_gpu holon::cuda)
endif()
