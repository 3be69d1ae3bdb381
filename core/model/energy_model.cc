#include "core/model/energy_model.h"

#include <algorithm>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "core/base/check.h"
#include "core/base/status_macros.h"
#include "core/graph/gradient.h"
#include "core/graph/passes.h"
#include "core/model/energy_graph.h"
#include "core/model/model_checks.h"
#include "core/model/model_probe.h"
#include "core/model/model_settings.h"
#include "core/model/plan_set.h"
#include "core/onnx/onnx_model.h"

namespace basin {
namespace internal {
namespace {

// The tile that all others are compared with.
constexpr int kReferenceRows = 16;
// For the last few rows of a queue.
constexpr int kSmallTiles[] = {1, 2, 4, 8};
// Where nobody says otherwise, tiles grow until
constexpr int kMaxTileRows = 1024;
constexpr double kMaxTileSeconds = 2.5e-3;       // about a quantum, or
constexpr int kAlwaysFits = 64;                  // beyond which
constexpr size_t kCacheBytes = size_t{1} << 20;  // a workspace must fit in L2.

// How often weights are held, about: as read, and packed for the energy and
// for the gradient.
constexpr int64_t kWeightCopies = 3;
// How many states [rows, D] a tile of chains holds, about.
constexpr int64_t kStateCopies = 4;

std::string MiB(int64_t bytes) { return absl::StrCat(bytes >> 20, " MiB"); }

int SmallerLimit(int a, int b) {
  if (a == 0 || b == 0) return std::max(a, b);
  return std::min(a, b);
}

// Compiles and checks one model. Used once; not thread-safe.
class ModelLoader {
 public:
  ModelLoader(const Backend& backend, const OnnxModel& onnx,
              const ModelSettings& settings,
              const EnergyModel::LoadOptions& options)
      : backend_(backend),
        onnx_(onnx),
        settings_(settings),
        max_memory_bytes_(static_cast<int64_t>(options.max_memory_bytes)),
        max_rows_(SmallerLimit(options.max_tile_rows, settings.max_tile_rows)),
        weights_(backend.CreateWeightStore()) {}

  absl::StatusOr<PlannedEnergyModel::Parts> Load();

 private:
  absl::StatusOr<TilePlans> Compile(int rows) const;
  absl::Status CheckMemory(const Graph& gradient, int rows) const;
  absl::Status AddReference(int rows);
  absl::Status AddIfIdentical(int rows);
  absl::Status AddLargerTiles();
  bool IsWorthwhile(int rows) const;

  const Backend& backend_;
  const OnnxModel& onnx_;
  const ModelSettings& settings_;
  const int64_t max_memory_bytes_;
  const int max_rows_;  // 0 = chosen by cost
  const std::shared_ptr<WeightStore> weights_;

  std::vector<TilePlans> plans_;  // ascending in rows
  std::vector<float> states_;     // what all tiles are compared on
  Evaluation expected_;           // of states_
  double seconds_ = 0;            // of plans_.back()
};

absl::Status ModelLoader::CheckMemory(const Graph& gradient, int rows) const {
  const int64_t weights = kWeightCopies * ConstantBytes(gradient);
  const auto activations =
      static_cast<int64_t>(PlanMemory(gradient).arena_size);
  const int64_t states = kStateCopies * rows * settings_.info.dimension *
                         static_cast<int64_t>(sizeof(float));
  const int64_t total = weights + activations + states;
  if (total <= max_memory_bytes_) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "model.onnx needs about ", MiB(total), " for tiles of ", rows,
      " rows (weights ", MiB(weights), ", activations ", MiB(activations),
      "), the limit is ", MiB(max_memory_bytes_)));
}

absl::StatusOr<TilePlans> ModelLoader::Compile(int rows) const {
  BASIN_ASSIGN_OR_RETURN(const Graph energy,
                         EnergyGraph(onnx_, settings_, rows));
  BASIN_ASSIGN_OR_RETURN(
      const Graph gradient,
      Gradient(energy, energy.outputs()[0], energy.inputs()[0]));
  BASIN_RETURN_IF_ERROR(CheckMemory(gradient, rows));
  TilePlans plans;
  plans.rows = rows;
  BASIN_ASSIGN_OR_RETURN(plans.energy, backend_.Compile(energy, weights_));
  BASIN_ASSIGN_OR_RETURN(plans.gradient, backend_.Compile(gradient, weights_));
  return plans;
}

absl::Status ModelLoader::AddReference(int rows) {
  BASIN_ASSIGN_OR_RETURN(TilePlans plans, Compile(rows));
  const ModelInfo& info = settings_.info;
  BASIN_ASSIGN_OR_RETURN(const auto probe,
                         ModelProbe::Create(backend_, plans, info.dimension));
  states_ = ProbeStates(info, rows);
  BASIN_ASSIGN_OR_RETURN(expected_, probe->Evaluate(states_));
  BASIN_RETURN_IF_ERROR(CheckFinite(expected_));
  BASIN_RETURN_IF_ERROR(CheckRowsIndependent(*probe, states_, expected_));
  BASIN_RETURN_IF_ERROR(CheckGradient(*probe, info, states_, expected_));
  BASIN_ASSIGN_OR_RETURN(seconds_, probe->MeasureSeconds());
  plans_.push_back(std::move(plans));
  return absl::OkStatus();
}

absl::Status ModelLoader::AddIfIdentical(int rows) {
  BASIN_ASSIGN_OR_RETURN(TilePlans plans, Compile(rows));
  BASIN_ASSIGN_OR_RETURN(
      const auto probe,
      ModelProbe::Create(backend_, plans, settings_.info.dimension));
  BASIN_ASSIGN_OR_RETURN(const bool same,
                         GivesSameBits(*probe, states_, expected_));
  if (!same) return absl::OkStatus();
  if (rows > plans_.back().rows) {
    BASIN_ASSIGN_OR_RETURN(seconds_, probe->MeasureSeconds());
  }
  const auto place = std::find_if(
      plans_.begin(), plans_.end(),
      [rows](const TilePlans& other) { return other.rows > rows; });
  plans_.insert(place, std::move(plans));
  return absl::OkStatus();
}

bool ModelLoader::IsWorthwhile(int rows) const {
  const double factor = static_cast<double>(rows) / plans_.back().rows;
  const double workspace =
      factor * static_cast<double>(plans_.back().workspace_bytes());
  return factor * seconds_ <= kMaxTileSeconds &&
         (rows <= kAlwaysFits || workspace <= static_cast<double>(kCacheBytes));
}

absl::Status ModelLoader::AddLargerTiles() {
  const bool by_cost = max_rows_ == 0;
  const int limit = by_cost ? kMaxTileRows : max_rows_;
  for (int rows = 2 * plans_.back().rows; rows / 2 < limit; rows *= 2) {
    if (by_cost && !IsWorthwhile(rows)) break;
    const absl::Status added = AddIfIdentical(std::min(rows, limit));
    // A model that fits in small tiles only is served with these.
    if (by_cost && absl::IsResourceExhausted(added)) break;
    BASIN_RETURN_IF_ERROR(added);
  }
  return absl::OkStatus();
}

absl::StatusOr<PlannedEnergyModel::Parts> ModelLoader::Load() {
  const int reference =
      max_rows_ == 0 ? kReferenceRows : std::min(kReferenceRows, max_rows_);
  BASIN_RETURN_IF_ERROR(AddReference(reference));
  for (const int rows : kSmallTiles) {
    if (rows < reference) BASIN_RETURN_IF_ERROR(AddIfIdentical(rows));
  }
  BASIN_RETURN_IF_ERROR(AddLargerTiles());
  if (static_cast<int64_t>(weights_->bytes()) > max_memory_bytes_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the packed weights of model.onnx take ",
                     MiB(static_cast<int64_t>(weights_->bytes())),
                     ", the limit is ", MiB(max_memory_bytes_)));
  }
  PlannedEnergyModel::Parts parts;
  parts.plans = std::move(plans_);
  parts.weights = weights_;
  parts.evaluation_seconds = seconds_;
  return parts;
}

OnnxLimits LimitsFrom(const EnergyModel::LoadOptions& options) {
  const auto memory = static_cast<int64_t>(options.max_memory_bytes);
  OnnxLimits limits;
  limits.max_file_bytes =
      std::min(limits.max_file_bytes, options.max_file_bytes);
  limits.max_constant_bytes = std::min(limits.max_constant_bytes, memory);
  limits.max_parsed_bytes = std::min(limits.max_parsed_bytes, memory);
  limits.max_elements = std::min(limits.max_elements,
                                 memory / static_cast<int64_t>(sizeof(float)));
  return limits;
}

}  // namespace
}  // namespace internal

absl::StatusOr<std::shared_ptr<const EnergyModel>> EnergyModel::Load(
    const Backend& backend, const std::string& folder, const std::string& name,
    int64_t version, const LoadOptions& options) {
  BASIN_ASSIGN_OR_RETURN(
      internal::ModelSettings settings,
      internal::ReadModelSettings(absl::StrCat(folder, "/config.pbtxt")));
  settings.info.name = name;
  settings.info.version = version;
  BASIN_ASSIGN_OR_RETURN(
      const auto onnx,
      OnnxModel::Load(absl::StrCat(folder, "/", version, "/model.onnx"),
                      internal::LimitsFrom(options)));
  BASIN_RETURN_IF_ERROR(internal::MatchInput(*onnx, &settings));
  backend.PrepareWorkerThread();
  BASIN_ASSIGN_OR_RETURN(
      internal::PlannedEnergyModel::Parts parts,
      internal::ModelLoader(backend, *onnx, settings, options).Load());
  return std::make_shared<internal::PlannedEnergyModel>(
      backend, std::move(settings.info), std::move(parts));
}

int TileSizeFor(absl::Span<const int> tile_sizes, int64_t rows) {
  BASIN_CHECK(!tile_sizes.empty());
  for (const int size : tile_sizes) {
    if (size >= rows) return size;
  }
  return tile_sizes.back();
}

}  // namespace basin
