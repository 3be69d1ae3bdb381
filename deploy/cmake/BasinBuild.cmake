# Language level, warnings, sanitizers and the compiler cache.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, Debug, ..." FORCE)
endif()

set(BASIN_SANITIZE "" CACHE STRING
    "Sanitizers to build with: address,undefined or thread; empty for none")
option(BASIN_SERVER "Build server, client and proto (needs gRPC)" ON)
option(BASIN_FUZZ "Build the libFuzzer targets (needs clang)" OFF)
option(BASIN_BENCHMARKS "Build the benchmarks" ON)
option(BASIN_WERROR "Treat warnings as errors" ON)

add_compile_options(-Wall -Wextra -Wpedantic)
if(BASIN_WERROR)
  add_compile_options(-Werror)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  add_compile_options(-Wthread-safety)
endif()

if(BASIN_SANITIZE)
  add_compile_options(-fsanitize=${BASIN_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${BASIN_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # gcc 12 reports uninitialised reads of its own making under sanitizers.
    add_compile_options(-Wno-maybe-uninitialized)
  endif()
endif()
if(BASIN_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

find_program(BASIN_CCACHE ccache)
if(BASIN_CCACHE)
  # Checkouts in several folders share what they have compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND}" -E env "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}"
      CCACHE_NOHASHDIR=1 "${BASIN_CCACHE}")
endif()

include_directories("${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}/generated")
