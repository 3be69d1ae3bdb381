#ifndef BASIN_SERVER_SERVICES_H_
#define BASIN_SERVER_SERVICES_H_

// The services of basin.v1. They translate: decode, one call into core,
// encode. Each is thread-safe, and `runtime` must outlive it. To be deleted
// where grpcpp is included.

#include <memory>

namespace grpc {
class Service;
}  // namespace grpc

namespace basin {

struct Runtime;

std::unique_ptr<grpc::Service> CreateSamplerService(Runtime& runtime);
std::unique_ptr<grpc::Service> CreateScorerService(Runtime& runtime);
std::unique_ptr<grpc::Service> CreateModelsService(Runtime& runtime);
std::unique_ptr<grpc::Service> CreateReplayService(Runtime& runtime);
std::unique_ptr<grpc::Service> CreateStatusService(Runtime& runtime);

}  // namespace basin

#endif  // BASIN_SERVER_SERVICES_H_
