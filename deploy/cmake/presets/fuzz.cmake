# cmake -C deploy/cmake/presets/fuzz.cmake -S . -B build-fuzz -G Ninja
# The fuzz targets with libFuzzer, ASan and UBSan; clang's thread safety
# analysis comes with it.
include("${CMAKE_CURRENT_LIST_DIR}/tsa.cmake")
set(BASIN_FUZZ ON CACHE BOOL "")
set(BASIN_SANITIZE "address,undefined" CACHE STRING "")
