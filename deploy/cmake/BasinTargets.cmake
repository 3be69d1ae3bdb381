# One target per folder: core/graph is basin_core_graph.

# basin_library(<name> SOURCES ... [DEPS ...]): a static library.
function(basin_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS})
endfunction()

# basin_executable(<name> SOURCES ... [DEPS ...]): a program in build/bin.
function(basin_executable name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS})
endfunction()

# basin_define_path(<target> <macro> <path>): a string macro for those sources of
# the target that name it. The objects of all others are the same in every
# checkout, so that these can share a compiler cache.
function(basin_define_path target macro path)
  get_target_property(sources ${target} SOURCES)
  foreach(source ${sources})
    file(STRINGS "${source}" uses REGEX "${macro}" LIMIT_COUNT 1)
    if(uses)
      set_property(SOURCE "${source}" APPEND PROPERTY
                   COMPILE_DEFINITIONS "${macro}=\"${path}\"")
    endif()
  endforeach()
endfunction()

# basin_test(<name> SOURCES ... [DEPS ...] [LABELS ...] [TIMEOUT seconds]):
# a GoogleTest program, one ctest entry. The tests of core/ carry the label
# "core": these are the ones that run under ThreadSanitizer.
function(basin_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} basin_testing GTest::gmock
                                        GTest::gtest GTest::gtest_main)
  basin_define_path(${name} BASIN_SOURCE_DIR "${CMAKE_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT}
                       LABELS "${ARG_LABELS}")
endfunction()

# basin_proto(<name> ROOT dir FILES a.proto ... [GRPC]): generated C++ of
# .proto files, warnings off.
function(basin_proto name)
  cmake_parse_arguments(ARG "GRPC" "ROOT" "FILES;DEPS" ${ARGN})
  set(out "${CMAKE_BINARY_DIR}/generated")
  file(MAKE_DIRECTORY "${out}")
  set(generated)
  foreach(file ${ARG_FILES})
    string(REGEX REPLACE "\\.proto$" "" stem "${file}")
    set(outputs "${out}/${stem}.pb.cc" "${out}/${stem}.pb.h")
    set(flags "--cpp_out=${out}")
    if(ARG_GRPC)
      list(APPEND outputs "${out}/${stem}.grpc.pb.cc" "${out}/${stem}.grpc.pb.h")
      list(APPEND flags "--grpc_out=generate_mock_code=false:${out}"
           "--plugin=protoc-gen-grpc=${BASIN_GRPC_CPP_PLUGIN}")
    endif()
    add_custom_command(
      OUTPUT ${outputs}
      COMMAND protobuf::protoc ${flags} "-I${ARG_ROOT}" "${ARG_ROOT}/${file}"
      DEPENDS "${ARG_ROOT}/${file}" VERBATIM)
    list(APPEND generated ${outputs})
  endforeach()
  add_library(${name} STATIC ${generated})
  target_compile_options(${name} PRIVATE -w)
  target_include_directories(${name} SYSTEM PUBLIC "${out}")
  target_link_libraries(${name} PUBLIC protobuf::libprotobuf ${ARG_DEPS})
  if(ARG_GRPC)
    target_link_libraries(${name} PUBLIC gRPC::grpc++)
  endif()
endfunction()

# basin_isa_sources(<target> FILES a.cc ...): compiles each file once per
# instruction set, see core/base/cpu_isa.h. Contraction is off and only
# IEEE-exact operations are used there, so that all sets give the same bits.
function(basin_isa_sources target)
  cmake_parse_arguments(ARG "" "" "FILES" ${ARGN})
  foreach(isa baseline v3 v4)
    set(object "${target}_isa_${isa}")
    add_library(${object} OBJECT ${ARG_FILES})
    target_compile_definitions(${object} PRIVATE BASIN_ISA=isa_${isa})
    target_compile_options(${object} PRIVATE
      -O3 -fno-math-errno -fno-trapping-math -ffp-contract=off
      # Vectors are never passed between files.
      -Wno-psabi
      $<$<STREQUAL:${isa},v3>:-march=x86-64-v3>
      $<$<STREQUAL:${isa},v4>:-march=x86-64-v4>
      $<$<AND:$<STREQUAL:${isa},v4>,$<CXX_COMPILER_ID:GNU>>:-mprefer-vector-width=512>)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${object}>)
  endforeach()
endfunction()
