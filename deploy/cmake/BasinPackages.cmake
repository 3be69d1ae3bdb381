# Every third-party package, all from Debian 12: deploy/packages.sh installs
# them.

find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(Protobuf REQUIRED)
find_package(dnnl REQUIRED)
find_package(GTest REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(ZLIB REQUIRED)
if(BASIN_SERVER)
  find_package(gRPC REQUIRED)
  find_package(PNG REQUIRED)
  find_package(prometheus-cpp REQUIRED)
  find_program(BASIN_GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
endif()
find_path(BASIN_ONNX_PROTO_DIR onnx/onnx.proto REQUIRED)
find_path(BASIN_EIGEN_DIR Eigen/Core PATH_SUFFIXES eigen3 REQUIRED)
