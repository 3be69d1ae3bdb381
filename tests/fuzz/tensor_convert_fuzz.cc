// Requests of any bytes. The first byte chooses the message.

#include <cstddef>
#include <cstdint>

#include "core/base/check.h"
#include "server/sample_request.h"
#include "server/score_request.h"

#include "basin/v1/sampler.pb.h"
#include "basin/v1/scorer.pb.h"

namespace basin {
namespace {

ModelInfo FuzzedModel() {
  ModelInfo model;
  model.name = "fuzzed";
  model.version = 1;
  model.state_shape = Shape({2, 3});
  model.dimension = 6;
  model.uint8_scale = 1.0 / 255;
  model.domain.box = {0, 1};
  model.has_default_transition = true;
  model.default_transition.kind = TransitionKind::kMala;
  model.default_transition.step_size = 0.1;
  return model;
}

void DecodeSample(const uint8_t* data, int size, const ModelInfo& model) {
  v1::SampleRequest request;
  if (!request.ParseFromArray(data, size)) return;
  // One chain's state given for all chains takes memory up to this limit.
  RequestLimits limits;
  limits.max_chains = 1024;
  const auto plan = DecodeSampleRequest(request, model, limits, 1);
  if (!plan.ok()) return;
  BASIN_CHECK(plan->spec.chains >= 1 && plan->spec.chains <= 1024);
  BASIN_CHECK(plan->spec.box.lower < plan->spec.box.upper);
  for (const float value : plan->spec.initial) {
    BASIN_CHECK(value >= 0 && value <= 1);
  }
}

void DecodeScore(const uint8_t* data, int size, const ModelInfo& model) {
  v1::ScoreRequest request;
  if (!request.ParseFromArray(data, size)) return;
  const auto spec = DecodeScoreRequest(request, model, RequestLimits());
  if (!spec.ok()) return;
  BASIN_CHECK(spec->inputs.size() == static_cast<size_t>(spec->rows) * 6);
}

}  // namespace
}  // namespace basin

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > (1 << 20)) return 0;
  static const basin::ModelInfo& model =
      *new basin::ModelInfo(basin::FuzzedModel());
  const auto decode =
      data[0] % 2 == 0 ? basin::DecodeSample : basin::DecodeScore;
  decode(data + 1, static_cast<int>(size - 1), model);
  return 0;
}
