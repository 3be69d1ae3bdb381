#include <memory>

#include "server/sample_call.h"
#include "server/services.h"

#include "basin/v1/sampler.grpc.pb.h"

namespace basin {
namespace {

class SamplerService final : public v1::Sampler::CallbackService {
 public:
  explicit SamplerService(Runtime& runtime) : runtime_(runtime) {}

  grpc::ServerWriteReactor<v1::SampleEvent>* Sample(
      grpc::CallbackServerContext* context,
      const v1::SampleRequest* request) override {
    return SampleCall::Start(runtime_, *context, *request);
  }

 private:
  Runtime& runtime_;
};

}  // namespace

std::unique_ptr<grpc::Service> CreateSamplerService(Runtime& runtime) {
  return std::make_unique<SamplerService>(runtime);
}

}  // namespace basin
