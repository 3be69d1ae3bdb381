# cmake -C deploy/cmake/presets/tsa.cmake -S . -B build-tsa -G Ninja
# clang's thread safety analysis of the mutex annotations, as errors.
set(CMAKE_CXX_COMPILER clang++ CACHE STRING "")
set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1" CACHE STRING "")
set(BASIN_BENCHMARKS OFF CACHE BOOL "")
