#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "server/model_watch_call.h"
#include "server/proto_convert.h"
#include "server/runtime.h"
#include "server/services.h"
#include "server/unary_call.h"

#include "basin/v1/models.grpc.pb.h"

namespace basin {
namespace {

absl::Status CheckRef(const v1::ModelRef& ref) {
  if (ref.name().empty()) {
    return absl::InvalidArgumentError(
        "model.name: expected the name of a model, got none");
  }
  if (ref.version() < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model.version: expected 0 or a version, got ", ref.version()));
  }
  return absl::OkStatus();
}

class ModelsService final : public v1::Models::CallbackService {
 public:
  explicit ModelsService(Runtime& runtime) : runtime_(runtime) {}

  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context,
                                 const v1::ListModelsRequest*,
                                 v1::ListModelsResponse* response) override {
    return RunUnary(runtime_, RpcMethod::kModelsList, *context,
                    [this, response] {
                      Describe(*response);
                      return absl::OkStatus();
                    });
  }

  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context,
                                const v1::GetModelRequest* request,
                                v1::Model* response) override {
    return RunUnary(runtime_, RpcMethod::kModelsGet, *context,
                    [this, request, response] {
                      return DescribeOne(request->name(), *response);
                    });
  }

  grpc::ServerUnaryReactor* Load(grpc::CallbackServerContext* context,
                                 const v1::LoadModelRequest* request,
                                 v1::LoadModelResponse* response) override {
    auto body = [this, request, response]() -> absl::Status {
      const v1::ModelRef& ref = request->model();
      BASIN_RETURN_IF_ERROR(CheckRef(ref));
      if (runtime_.draining) {
        return absl::UnavailableError("the server is draining");
      }
      BASIN_RETURN_IF_ERROR(
          runtime_.repository->Load(ref.name(), ref.version()));
      return DescribeOne(ref.name(), *response->mutable_model());
    };
    return RunUnaryOn(*runtime_.loader, runtime_, RpcMethod::kModelsLoad,
                      *context, body);
  }

  grpc::ServerUnaryReactor* Unload(grpc::CallbackServerContext* context,
                                   const v1::UnloadModelRequest* request,
                                   v1::UnloadModelResponse*) override {
    auto body = [this, request]() -> absl::Status {
      const v1::ModelRef& ref = request->model();
      BASIN_RETURN_IF_ERROR(CheckRef(ref));
      return runtime_.repository->Unload(ref.name(), ref.version());
    };
    return RunUnaryOn(*runtime_.loader, runtime_, RpcMethod::kModelsUnload,
                      *context, body);
  }

  grpc::ServerWriteReactor<v1::ModelVersion>* Watch(
      grpc::CallbackServerContext*,
      const v1::WatchModelsRequest* request) override {
    return ModelWatchCall::Start(runtime_, *request);
  }

 private:
  int64_t MaxChainsOfServer() const {
    const RequestLimits& limits = runtime_.options.limits;
    return std::min(limits.max_chains, limits.max_rows);
  }

  void Describe(v1::ListModelsResponse& response) {
    const std::vector<ModelStatus> all = runtime_.repository->List();
    for (size_t begin = 0, end = 0; begin < all.size(); begin = end) {
      while (end < all.size() && all[end].name == all[begin].name) ++end;
      ModelToProto(absl::MakeSpan(all).subspan(begin, end - begin),
                   MaxChainsOfServer(), *response.add_models());
    }
  }

  absl::Status DescribeOne(const std::string& name, v1::Model& out) {
    std::vector<ModelStatus> versions;
    std::string names;
    for (ModelStatus& status : runtime_.repository->List()) {
      if (status.name == name) {
        versions.push_back(std::move(status));
      } else if (names.size() < 500 && status.serving) {
        absl::StrAppend(&names, names.empty() ? "" : ", ", status.name);
      }
    }
    if (versions.empty()) {
      return absl::NotFoundError(
          absl::StrCat("name: expected one of ", names, "; got '", name, "'"));
    }
    ModelToProto(versions, MaxChainsOfServer(), out);
    return absl::OkStatus();
  }

  Runtime& runtime_;
};

}  // namespace

std::unique_ptr<grpc::Service> CreateModelsService(Runtime& runtime) {
  return std::make_unique<ModelsService>(runtime);
}

}  // namespace basin
