# cmake -C deploy/cmake/presets/asan.cmake -S . -B build-asan -G Ninja
# AddressSanitizer and UndefinedBehaviorSanitizer over everything.
set(BASIN_SANITIZE "address,undefined" CACHE STRING "")
set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1" CACHE STRING "")
set(BASIN_BENCHMARKS OFF CACHE BOOL "")
