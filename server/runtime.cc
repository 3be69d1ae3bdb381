#include "server/runtime.h"

#include <algorithm>

#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"

#include "basin/v1/common.pb.h"

namespace basin {

namespace {

absl::StatusOr<Composition> CompositionFromProto(const v1::ModelRef& ref) {
  Composition composition;
  const v1::ModelRef::Terms* terms = nullptr;
  switch (ref.composition_case()) {
    case v1::ModelRef::kProduct:
      composition.kind = Composition::Kind::kProduct;
      terms = &ref.product();
      break;
    case v1::ModelRef::kMixture:
      composition.kind = Composition::Kind::kMixture;
      terms = &ref.mixture();
      break;
    case v1::ModelRef::kDifference:
      composition.kind = Composition::Kind::kDifference;
      terms = &ref.difference();
      break;
    case v1::ModelRef::COMPOSITION_NOT_SET:
      return absl::InvalidArgumentError("model: expected a composition");
  }
  if (!ref.name().empty() || ref.version() != 0) {
    return absl::InvalidArgumentError(
        "model: expected either name and version or a composition, got both");
  }
  for (const v1::ModelRef::Term& term : terms->terms()) {
    composition.terms.push_back(
        {term.model(), term.version(), term.has_weight() ? term.weight() : 1});
  }
  if (ref.has_temperature()) composition.temperature = ref.temperature();
  return composition;
}

}  // namespace

bool IsComposition(const v1::ModelRef& ref) {
  return ref.composition_case() != v1::ModelRef::COMPOSITION_NOT_SET;
}

void Runtime::FindOrCompose(const v1::ModelRef& ref, Wait wait,
                            std::function<void(ModelOr)> then) const {
  // A client that repeats itself finds what it asked for before.
  constexpr size_t kMaxWaiting = 32;
  if (!IsComposition(ref)) return then(FindModel(ref));
  const auto composition = CompositionFromProto(ref);
  if (!composition.ok()) return then(composition.status());
  ModelOr known = repository->FindComposed(*composition);
  if (!known.ok() || *known != nullptr) return then(std::move(known));
  const bool queued = composer->TryRun(
      [this, composition = *composition, wait = std::move(wait), then] {
        if (draining) {
          return then(absl::UnavailableError("the server is draining"));
        }
        if (clock->Now() >= wait.deadline) {
          return then(absl::DeadlineExceededError(
              "the call's deadline passed before its composition was "
              "compiled"));
        }
        if (wait.cancelled && wait.cancelled()) {
          return then(absl::CancelledError("the client cancelled the call"));
        }
        then(repository->Compose(composition));
      },
      kMaxWaiting);
  if (queued) return;
  then(absl::ResourceExhaustedError(
      absl::StrCat("model: ", kMaxWaiting,
                   " compositions wait to be compiled; try again in "
                   "a few seconds")));
}

Runtime::ModelOr Runtime::FindModel(const v1::ModelRef& ref) const {
  if (ref.has_temperature()) {
    return absl::InvalidArgumentError(
        "model.temperature: expected a composition with it, got none; "
        "inverse_temperature is what one model's sampling has");
  }
  if (ref.name().empty()) {
    return absl::InvalidArgumentError(
        "model.name: expected the name of a model, got none");
  }
  if (ref.version() < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model.version: expected 0 (the serving one) or a version, got ",
        ref.version()));
  }
  // Read first: models become known before this becomes true.
  const bool loaded = models_loaded.load();
  auto model = repository->Find(ref.name(), ref.version());
  if (!loaded && absl::IsNotFound(model.status())) {
    return absl::UnavailableError(
        absl::StrCat("model.name: ", ref.name(),
                     " is not there yet: the server loads its models; try "
                     "again in 1s"));
  }
  return model;
}

absl::Duration Runtime::RetryDelay() const {
  const SchedulerLoad load = scheduler->Load();
  return std::clamp(load.estimated_work / std::max(load.workers, 1),
                    absl::Milliseconds(100), absl::Minutes(1));
}

}  // namespace basin
