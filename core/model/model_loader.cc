#include "core/model/model_loader.h"

#include <algorithm>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "core/base/check.h"
#include "core/base/status_macros.h"
#include "core/graph/gradient.h"
#include "core/graph/graph_builder.h"
#include "core/graph/passes.h"
#include "core/model/block_plans.h"
#include "core/model/energy_source.h"
#include "core/model/model_checks.h"
#include "core/model/model_probe.h"
#include "core/model/plan_set.h"

namespace basin::internal {
namespace {

// The tile that all others are compared with.
constexpr int kReferenceRows = 16;
// For the last few rows of a queue.
constexpr int kSmallTiles[] = {1, 2, 4, 8};
// Where nobody says otherwise, tiles grow until
constexpr int kMaxTileRows = 1024;
constexpr double kMaxTileSeconds = 2.5e-3;  // about a quantum, or
constexpr int kAlwaysFits = 64;             // beyond which
// a workspace, or copies of states, must fit in L2.
constexpr size_t kCacheBytes = size_t{1} << 20;

// How often weights are held, about: as read, and packed for the energy and
// for the gradient.
constexpr int64_t kWeightCopies = 3;
// On the host while they are made, and on the device.
constexpr int64_t kTableCopies = 2;
// How many states [rows, D] a tile of chains holds, about, with the scratch of
// conditional laws.
constexpr int64_t kStateCopies = 5;

std::string MiB(int64_t bytes) { return absl::StrCat(bytes >> 20, " MiB"); }

int SmallerLimit(int a, int b) {
  if (a == 0 || b == 0) return std::max(a, b);
  return std::min(a, b);
}

// Compiles and checks one model. Used once; not thread-safe.
class ModelLoader {
 public:
  ModelLoader(const Backend& backend, const OpenedModel& model,
              const EnergyModel::LoadOptions& options)
      : backend_(backend),
        source_(*model.source),
        info_(model.settings.info),
        max_memory_bytes_(static_cast<int64_t>(options.max_memory_bytes)),
        max_rows_(
            SmallerLimit(options.max_tile_rows, model.settings.max_tile_rows)),
        weights_(backend.CreateWeightStore()) {}

  absl::StatusOr<PlannedEnergyModel::Parts> Load();

 private:
  absl::StatusOr<TilePlans> Compile(int rows);
  absl::StatusOr<BlockPlans> CompileBlocks(int rows);
  absl::Status CheckMemory(const Graph& gradient, int rows) const;
  absl::Status AddReference(int rows);
  absl::Status AddIfIdentical(int rows);
  absl::Status AddLargerTiles();
  bool IsWorthwhile(int rows) const;
  bool IsTooWide(int rows) const;
  void DropWideTiles();
  absl::StatusOr<DeviceMemory> DefaultContext(int rows) const;

  const Backend& backend_;
  const EnergySource& source_;
  const ModelInfo& info_;
  const int64_t max_memory_bytes_;
  const int max_rows_;  // 0 = chosen by cost
  const std::shared_ptr<WeightStore> weights_;

  std::shared_ptr<const BlockTables> blocks_;  // null until compiled
  std::vector<TilePlans> plans_;               // ascending in rows
  int64_t constant_bytes_ = 0;                 // of the gradient
  std::vector<float> points_;                  // what all tiles are compared on
  Evaluation expected_;                        // of points_
  double seconds_ = 0;                         // of plans_.back()
};

absl::Status ModelLoader::CheckMemory(const Graph& gradient, int rows) const {
  const int64_t weights = kWeightCopies * ConstantBytes(gradient) +
                          kTableCopies * source_.TableBytes();
  const auto activations =
      static_cast<int64_t>(PlanMemory(gradient).arena_size);
  const int64_t states =
      rows * static_cast<int64_t>(sizeof(float)) *
      (kStateCopies * info_.dimension + info_.context_dimension);
  const int64_t total = weights + activations + states;
  if (total <= max_memory_bytes_) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "the model needs about ", MiB(total), " for tiles of ", rows,
      " rows (weights ", MiB(weights), ", activations ", MiB(activations),
      "), the limit is ", MiB(max_memory_bytes_)));
}

// A plan with these outputs of `graph`, of which the first, energies, is in
// double.
absl::StatusOr<std::unique_ptr<Plan>> CompileOutputs(
    const Backend& backend, const std::shared_ptr<WeightStore>& weights,
    Graph graph, std::vector<ValueId> outputs, Precision precision) {
  GraphBuilder builder(std::move(graph));
  outputs[0] = builder.ToFloat64(outputs[0]);
  BASIN_ASSIGN_OR_RETURN(const Graph wanted,
                         std::move(builder).Build(std::move(outputs)));
  return backend.Compile(wanted, weights, precision);
}

// What decides acceptance, and conditional laws, are not computed in bfloat16.
Precision Deciding(Precision precision) {
  return precision == Precision::kBFloat16 ? Precision::kFloat32 : precision;
}

absl::StatusOr<BlockPlans> ModelLoader::CompileBlocks(int rows) {
  BlockPlans plans;
  if (info_.blocks.empty()) return plans;
  std::vector<Conditional> conditionals;
  if (blocks_ == nullptr || !blocks_->all_fields()) {
    BASIN_ASSIGN_OR_RETURN(conditionals, source_.Conditionals(rows));
    BASIN_CHECK(conditionals.size() == info_.blocks.size());
  }
  if (blocks_ == nullptr) {
    BASIN_ASSIGN_OR_RETURN(blocks_,
                           BlockTables::Create(backend_, conditionals));
  }
  plans.tables = blocks_;
  plans.plans.resize(info_.blocks.size());
  for (size_t i = 0; i < conditionals.size(); ++i) {
    if (blocks_->blocks()[i].has_field) continue;
    BASIN_ASSIGN_OR_RETURN(plans.plans[i],
                           backend_.Compile(conditionals[i].graph, weights_,
                                            Deciding(info_.precision)));
  }
  return plans;
}

absl::StatusOr<TilePlans> ModelLoader::Compile(int rows) {
  BASIN_ASSIGN_OR_RETURN(const Graph graph,
                         BuildEnergyGraph(source_, info_, rows));
  const ValueId energy = graph.outputs()[0];
  BASIN_ASSIGN_OR_RETURN(const Graph gradient,
                         Gradient(graph, energy, graph.inputs()[0]));
  BASIN_RETURN_IF_ERROR(CheckMemory(gradient, rows));
  constant_bytes_ = ConstantBytes(gradient);
  TilePlans plans;
  plans.rows = rows;
  plans.has_context = info_.context_dimension > 0;
  plans.precision = info_.precision;
  const Precision deciding = Deciding(info_.precision);
  const auto compile = [&](const Graph& of, std::vector<ValueId> outputs,
                           Precision precision) {
    return CompileOutputs(backend_, weights_, of, std::move(outputs),
                          precision);
  };
  BASIN_ASSIGN_OR_RETURN(plans.energy, compile(graph, {energy}, deciding));
  BASIN_ASSIGN_OR_RETURN(
      plans.gradient, compile(gradient, gradient.outputs(), info_.precision));
  if (info_.classes > 0) {
    BASIN_ASSIGN_OR_RETURN(plans.class_energies,
                           compile(graph, {graph.outputs()[1]}, deciding));
  }
  BASIN_ASSIGN_OR_RETURN(plans.blocks, CompileBlocks(rows));
  return plans;
}

absl::Status ModelLoader::AddReference(int rows) {
  BASIN_ASSIGN_OR_RETURN(TilePlans plans, Compile(rows));
  BASIN_ASSIGN_OR_RETURN(const auto probe,
                         ModelProbe::Create(backend_, plans, SizesOf(info_)));
  points_ = ProbePoints(info_, rows);
  BASIN_ASSIGN_OR_RETURN(expected_, probe->Evaluate(points_));
  BASIN_RETURN_IF_ERROR(CheckFinite(expected_, info_.precision));
  BASIN_RETURN_IF_ERROR(CheckRowsIndependent(*probe, points_, expected_));
  BASIN_RETURN_IF_ERROR(CheckGradient(*probe, info_, points_, expected_));
  BASIN_ASSIGN_OR_RETURN(seconds_, probe->MeasureSeconds());
  plans_.push_back(std::move(plans));
  return absl::OkStatus();
}

absl::Status ModelLoader::AddIfIdentical(int rows) {
  BASIN_ASSIGN_OR_RETURN(TilePlans plans, Compile(rows));
  BASIN_ASSIGN_OR_RETURN(const auto probe,
                         ModelProbe::Create(backend_, plans, SizesOf(info_)));
  BASIN_ASSIGN_OR_RETURN(const bool same,
                         GivesSameBits(*probe, points_, expected_));
  if (!same) {
    return CheckRowCountDoesNotMatter(*probe, points_, expected_,
                                      info_.precision);
  }
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

// States that leave the cache while others of their tile move are worth it
// only for weights that are read once for all of them.
bool ModelLoader::IsTooWide(int rows) const {
  const int64_t states = kStateCopies * rows * info_.dimension *
                         static_cast<int64_t>(sizeof(float));
  return states > static_cast<int64_t>(kCacheBytes) && states > constant_bytes_;
}

void ModelLoader::DropWideTiles() {
  while (plans_.size() > 1 && IsTooWide(plans_.back().rows)) {
    const int rows = plans_.back().rows;
    plans_.pop_back();
    seconds_ *= static_cast<double>(plans_.back().rows) / rows;
  }
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

absl::StatusOr<DeviceMemory> ModelLoader::DefaultContext(int rows) const {
  std::vector<float> values(static_cast<size_t>(info_.context_dimension));
  for (const ContextInput& input : info_.context) {
    std::fill_n(values.begin() + input.offset, input.shape.num_elements(),
                input.default_value.value_or(0));
  }
  std::vector<float> all;
  for (int row = 0; row < rows; ++row) {
    all.insert(all.end(), values.begin(), values.end());
  }
  const size_t bytes = all.size() * sizeof(float);
  BASIN_ASSIGN_OR_RETURN(DeviceMemory memory, backend_.Allocate(bytes));
  backend_.CopyToDevice(memory.get(), all.data(), bytes);
  return memory;
}

absl::StatusOr<PlannedEnergyModel::Parts> ModelLoader::Load() {
  const int reference =
      max_rows_ == 0 ? kReferenceRows : std::min(kReferenceRows, max_rows_);
  BASIN_RETURN_IF_ERROR(AddReference(reference));
  for (const int rows : kSmallTiles) {
    if (rows < reference) BASIN_RETURN_IF_ERROR(AddIfIdentical(rows));
  }
  if (max_rows_ == 0 && IsTooWide(plans_.back().rows)) {
    DropWideTiles();
  } else {
    BASIN_RETURN_IF_ERROR(AddLargerTiles());
  }
  weights_->Seal();
  auto bytes = static_cast<int64_t>(weights_->bytes());
  if (blocks_ != nullptr) bytes += static_cast<int64_t>(blocks_->bytes());
  if (bytes > max_memory_bytes_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the packed weights of the model take ", MiB(bytes),
                     ", the limit is ", MiB(max_memory_bytes_)));
  }
  PlannedEnergyModel::Parts parts;
  parts.plans = std::move(plans_);
  parts.weights = weights_;
  parts.blocks = blocks_;
  parts.evaluation_seconds = seconds_;
  BASIN_ASSIGN_OR_RETURN(parts.default_context,
                         DefaultContext(parts.plans.back().rows));
  return parts;
}

absl::StatusOr<uint64_t> FingerprintOf(const OpenedModel& model) {
  constexpr int kRows = 2;  // with one, some wrong outputs look right
  BASIN_ASSIGN_OR_RETURN(
      const Graph graph,
      BuildEnergyGraph(*model.source, model.settings.info, kRows));
  return Fingerprint(graph);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const EnergyModel>> CompileModel(
    const Backend& backend, OpenedModel model,
    const EnergyModel::LoadOptions& options) {
  ModelInfo& info = model.settings.info;
  BASIN_ASSIGN_OR_RETURN(info.fingerprint, FingerprintOf(model));
  backend.PrepareWorkerThread();
  BASIN_ASSIGN_OR_RETURN(PlannedEnergyModel::Parts parts,
                         ModelLoader(backend, model, options).Load());
  return std::make_shared<PlannedEnergyModel>(backend, std::move(info),
                                              std::move(parts));
}

absl::Status CheckUnchanged(const OpenedModel& model, const ModelInfo& loaded) {
  BASIN_ASSIGN_OR_RETURN(const uint64_t fingerprint, FingerprintOf(model));
  if (fingerprint == loaded.fingerprint) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("model '", loaded.name, "' version ", loaded.version,
                   " changed on disk since it was loaded; load it again"));
}

}  // namespace basin::internal
