#include "core/model/model_probe.h"

#include <algorithm>

#include <absl/time/time.h>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/status_macros.h"

namespace basin::internal {
namespace {

constexpr int kTimedRuns = 5;
// Slow models are not worth an exact figure.
constexpr absl::Duration kTimeForTiming = absl::Milliseconds(50);

// Floats of a law's parameters, of one row.
size_t ParametersOf(const BlockLaw& law) {
  return static_cast<size_t>(law.variables * std::max<int64_t>(law.classes, 1));
}

}  // namespace

RowSizes SizesOf(const ModelInfo& info) {
  return {.dimension = static_cast<size_t>(info.dimension),
          .context = static_cast<size_t>(info.context_dimension),
          .classes = static_cast<size_t>(info.classes)};
}

absl::StatusOr<std::unique_ptr<ModelProbe>> ModelProbe::Create(
    const Backend& backend, const TilePlans& plans, const RowSizes& sizes) {
  std::unique_ptr<ModelProbe> probe(new ModelProbe(backend, plans, sizes));
  BASIN_RETURN_IF_ERROR(probe->Allocate());
  return probe;
}

absl::Status ModelProbe::Allocate() {
  const auto rows = static_cast<size_t>(plans_.rows);
  const auto floats = [&](size_t each) {
    return backend_.Allocate(rows * each * sizeof(float));
  };
  BASIN_RETURN_IF_ERROR(backend_.Reserve(workspace_, plans_.workspace_bytes()));
  BASIN_ASSIGN_OR_RETURN(x_, floats(sizes_.dimension));
  BASIN_ASSIGN_OR_RETURN(energy_, backend_.Allocate(rows * sizeof(double)));
  BASIN_ASSIGN_OR_RETURN(gradient_, floats(sizes_.dimension));
  BASIN_ASSIGN_OR_RETURN(context_, floats(sizes_.context));
  BASIN_ASSIGN_OR_RETURN(
      classes_, backend_.Allocate(rows * sizes_.classes * sizeof(double)));
  function_ = BindPlans(plans_, workspace_,
                        reinterpret_cast<const float*>(context_.get()));
  return absl::OkStatus();
}

void ModelProbe::Upload(absl::Span<const float> points) {
  const auto rows = static_cast<size_t>(plans_.rows);
  const size_t d = sizes_.dimension;
  const size_t c = sizes_.context;
  std::vector<float> states(rows * d);
  std::vector<float> context(rows * c);
  for (size_t row = 0; row < points.size() / (d + c); ++row) {
    const float* point = &points[row * (d + c)];
    std::copy_n(point, d, states.begin() + static_cast<int64_t>(row * d));
    std::copy_n(point + d, c, context.begin() + static_cast<int64_t>(row * c));
  }
  backend_.CopyToDevice(x_.get(), states.data(), rows * d * sizeof(float));
  if (c == 0) return;
  backend_.CopyToDevice(context_.get(), context.data(),
                        rows * c * sizeof(float));
}

template <typename T>
void ModelProbe::Download(const DeviceMemory& from, size_t count,
                          std::vector<T>* to) const {
  const size_t old = to->size();
  to->resize(old + count);
  backend_.CopyToHost(to->data() + old, from.get(), count * sizeof(T));
}

absl::Status ModelProbe::EvaluateTile(absl::Span<const float> points,
                                      Evaluation* result) {
  const size_t n = points.size() / sizes_.point();
  const auto count = static_cast<int>(n);
  Upload(points);
  BASIN_RETURN_IF_ERROR(function_->Energy(count, x(), energy()));
  Download(energy_, n, &result->energies);
  BASIN_RETURN_IF_ERROR(
      function_->EnergyAndGradient(count, x(), energy(), gradient()));
  Download(energy_, n, &result->gradient_energies);
  Download(gradient_, n * sizes_.dimension, &result->gradients);
  BASIN_RETURN_IF_ERROR(EvaluateLaws(count, result));
  if (sizes_.classes == 0) return absl::OkStatus();
  BASIN_RETURN_IF_ERROR(function_->ClassEnergies(
      count, x(), reinterpret_cast<double*>(classes_.get())));
  Download(classes_, n * sizes_.classes, &result->class_energies);
  return absl::OkStatus();
}

size_t ModelProbe::LawsOf(const TilePlans& plans) {
  size_t laws = 0;
  for (size_t block = 0; block < plans.blocks.size(); ++block) {
    // What plans evaluate: a field is the same for all row counts.
    const BlockTables::Block& of = plans.blocks.tables->blocks()[block];
    if (!of.has_field) laws += ParametersOf(of.law);
  }
  return laws;
}

absl::Status ModelProbe::EvaluateLaws(int rows, Evaluation* result) {
  result->laws.resize(result->laws.size() +
                      static_cast<size_t>(rows) * sizes_.laws);
  size_t offset = 0;
  for (int block = 0; block < function_->blocks(); ++block) {
    BASIN_ASSIGN_OR_RETURN(const BlockLaw law,
                           function_->LawOf(block, rows, x()));
    if (law.field != nullptr) continue;
    BASIN_RETURN_IF_ERROR(EvaluateLaw(rows, law, offset, result));
    offset += ParametersOf(law);
  }
  return absl::OkStatus();
}

// Copies a block's parameters to the end of result->laws, and gives its hidden
// units the likelier of their values.
absl::Status ModelProbe::EvaluateLaw(int rows, const BlockLaw& law,
                                     size_t offset, Evaluation* result) {
  const size_t each = ParametersOf(law);
  const size_t count = static_cast<size_t>(rows) * each;
  std::vector<float> values(count);
  backend_.CopyToHost(values.data(), law.parameter, count * sizeof(float));
  float* to = result->laws.data() + result->laws.size() -
              static_cast<size_t>(rows) * sizes_.laws;
  for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
    std::copy_n(&values[row * each], each, to + row * sizes_.laws + offset);
  }
  if (law.hidden == nullptr) return absl::OkStatus();
  for (float& value : values) value = value > 0 ? 1 : 0;
  backend_.CopyToDevice(law.hidden, values.data(), count * sizeof(float));
  return absl::OkStatus();
}

absl::StatusOr<Evaluation> ModelProbe::Evaluate(
    absl::Span<const float> points) {
  const size_t tile = static_cast<size_t>(rows()) * sizes_.point();
  BASIN_CHECK(points.size() % sizes_.point() == 0);
  Evaluation result;
  for (size_t at = 0; at < points.size(); at += tile) {
    BASIN_RETURN_IF_ERROR(EvaluateTile(points.subspan(at, tile), &result));
  }
  return result;
}

absl::StatusOr<double> ModelProbe::MeasureSeconds() {
  const Clock& clock = Clock::Real();
  const absl::Time begin = clock.Now();
  absl::Duration least = absl::InfiniteDuration();
  for (int run = 0; run < kTimedRuns && clock.Now() - begin < kTimeForTiming;
       ++run) {
    const absl::Time start = clock.Now();
    BASIN_RETURN_IF_ERROR(
        function_->EnergyAndGradient(rows(), x(), energy(), gradient()));
    least = std::min(least, clock.Now() - start);
  }
  return absl::ToDoubleSeconds(least);
}

}  // namespace basin::internal
