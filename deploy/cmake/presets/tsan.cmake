# cmake -C deploy/cmake/presets/tsan.cmake -S . -B build-tsan -G Ninja
# ThreadSanitizer over core/, which links no gRPC: the packaged gRPC is not
# built for it and drowns real reports in false ones.
set(BASIN_SANITIZE "thread" CACHE STRING "")
set(BASIN_SERVER OFF CACHE BOOL "")
set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1" CACHE STRING "")
set(BASIN_BENCHMARKS OFF CACHE BOOL "")
