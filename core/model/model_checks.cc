#include "core/model/model_checks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <variant>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "core/backend/tile_ops.h"
#include "core/base/normal.h"
#include "core/base/philox.h"
#include "core/base/status_macros.h"
#include "core/model/initial_states.h"

namespace basin::internal {
namespace {

constexpr uint64_t kProbeSeed = 0x42415349;  // "BASI"
constexpr size_t kRowsAlone = 4;
constexpr int kGradientRows = 4;
constexpr int kGradientCoordinates = 4;

PhiloxBlock ProbeDraw(uint32_t quad, uint64_t row) {
  return Philox(kProbeSeed,
                DrawCounter(quad, row, 0,
                            static_cast<uint8_t>(DrawPurpose::kInitialState)));
}

double ScaleOf(const UniformLaw& law) { return law.upper - law.lower; }
double ScaleOf(const NormalLaw& law) { return law.stddev; }
double ScaleOf(const MixtureLaw& law) {
  double sum = 0;  // of the first coordinate's deviations
  for (const auto& component : *law.components) {
    sum += component.weight * component.factor[0];
  }
  return sum;
}
double ScaleOf(const BernoulliLaw&) { return 1; }
double ScaleOf(const UniformCategoryLaw&) { return 1; }

// One row's place in an Evaluation.
struct RowView {
  const double* energy;
  const double* gradient_energy;
  const float* gradient;         // [D]
  const double* class_energies;  // [K]
  const float* laws;             // [L]
};

RowView RowOf(const Evaluation& evaluation, size_t row, const RowSizes& sizes) {
  return {&evaluation.energies[row], &evaluation.gradient_energies[row],
          &evaluation.gradients[row * sizes.dimension],
          evaluation.class_energies.data() + row * sizes.classes,
          evaluation.laws.data() + row * sizes.laws};
}

template <typename T>
bool SameBits(const T* a, const T* b, size_t count) {
  return std::memcmp(a, b, count * sizeof(T)) == 0;
}

bool SameBits(const RowView& a, const RowView& b, const RowSizes& sizes) {
  return SameBits(a.energy, b.energy, 1) &&
         SameBits(a.gradient_energy, b.gradient_energy, 1) &&
         SameBits(a.gradient, b.gradient, sizes.dimension) &&
         (sizes.classes == 0 ||
          SameBits(a.class_energies, b.class_energies, sizes.classes)) &&
         (sizes.laws == 0 || SameBits(a.laws, b.laws, sizes.laws));
}

std::string Describe(const RowView& row) {
  return absl::StrCat("energy ", *row.energy, ", grad_energy[0] ",
                      row.gradient[0]);
}

// Evaluates `sources` of `points` together, in that order; kNan stands for a
// row that is not a number. Then compares the others with `expected`.
constexpr size_t kNan = std::numeric_limits<size_t>::max();

absl::Status CheckArrangement(ModelProbe& probe, absl::Span<const float> points,
                              const Evaluation& expected,
                              absl::Span<const size_t> sources,
                              const std::string& arrangement) {
  const RowSizes& sizes = probe.sizes();
  const size_t width = sizes.point();
  std::vector<float> arranged(sources.size() * width,
                              std::numeric_limits<float>::quiet_NaN());
  for (size_t row = 0; row < sources.size(); ++row) {
    if (sources[row] == kNan) continue;
    std::copy_n(&points[sources[row] * width], width, &arranged[row * width]);
  }
  BASIN_ASSIGN_OR_RETURN(const Evaluation found, probe.Evaluate(arranged));
  for (size_t row = 0; row < sources.size(); ++row) {
    if (sources[row] == kNan) continue;
    const RowView was = RowOf(expected, sources[row], sizes);
    const RowView is = RowOf(found, row, sizes);
    if (SameBits(was, is, sizes)) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "the model mixes the rows of its batch (as batch normalisation in "
        "training mode does): a state has ",
        Describe(was), " among other rows, but not the same bits (",
        Describe(is), ") ", arrangement));
  }
  return absl::OkStatus();
}

// The context of a row. What has no range of its own is drawn from [0, 1) if
// it is a real number, and 0 if it is not.
float ContextValue(const ContextInput& input, uint32_t word) {
  const bool whole = input.dtype != DType::kFloat32;
  const double width = double{input.upper} - input.lower;
  constexpr double kNarrow = 1 << 24;
  const bool has_range = std::isfinite(width) && (!whole || width <= kNarrow);
  if (!has_range && input.default_value.has_value()) {
    return *input.default_value;
  }
  if (!has_range) {
    const float value = whole ? 0.0F : UnitFloat(word);
    return std::clamp(value, input.lower, input.upper);
  }
  const double unit = word * 0x1p-32;
  if (!whole) return static_cast<float>(input.lower + width * unit);
  const double lowest = std::ceil(double{input.lower});
  const double count = std::floor(double{input.upper}) - lowest + 1;
  return static_cast<float>(lowest + std::floor(count * unit));
}

// A coordinate of a state where gradient and energies are compared.
struct Coordinate {
  size_t row;
  size_t index;
};

std::vector<Coordinate> ChooseCoordinates(const Evaluation& evaluation,
                                          const RowSizes& sizes) {
  const size_t dimension = sizes.dimension;
  std::vector<Coordinate> chosen;
  const size_t rows =
      std::min<size_t>(kGradientRows, evaluation.energies.size());
  for (size_t row = 0; row < rows; ++row) {
    const float* gradient = RowOf(evaluation, row, sizes).gradient;
    const auto* steepest = std::max_element(
        gradient, gradient + dimension,
        [](float a, float b) { return std::abs(a) < std::abs(b); });
    chosen.push_back({row, static_cast<size_t>(steepest - gradient)});
    const PhiloxBlock block = ProbeDraw(0, row);
    for (int i = 1; i < kGradientCoordinates; ++i) {
      chosen.push_back({row, block.word[i] % dimension});
    }
  }
  return chosen;
}

// Steps of central differences, in units of the initial law's width.
constexpr double kSteps[] = {3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1};

// The pairs x + h e, x - h e for every step: [2 * steps, D + C].
std::vector<float> Displaced(absl::Span<const float> point, size_t index,
                             double scale) {
  std::vector<float> displaced;
  for (const double step : kSteps) {
    for (const double sign : {1.0, -1.0}) {
      displaced.insert(displaced.end(), point.begin(), point.end());
      float& value = displaced[displaced.size() - point.size() + index];
      value = static_cast<float>(value + sign * step * scale);
    }
  }
  return displaced;
}

enum class Verdict { kUnclear, kAgrees, kContradicts };

// Compares `slope`, a coordinate of a gradient whose largest is `steepest`,
// with central differences. Only the two smallest steps count at which
// rounding of the energy is small against the slope; a contradiction needs
// these two to agree with each other.
struct Comparison {
  Verdict verdict = Verdict::kUnclear;
  double difference = 0;  // the central difference at the smallest step
};
Comparison Compare(double slope, double steepest, size_t index,
                   absl::Span<const float> displaced,
                   absl::Span<const double> energies) {
  const size_t d = displaced.size() / energies.size();
  std::vector<double> differences;
  double unit = 0;
  for (size_t pair = 0; pair < energies.size(); pair += 2) {
    const double up = energies[pair];
    const double down = energies[pair + 1];
    const double width = static_cast<double>(displaced[pair * d + index]) -
                         displaced[(pair + 1) * d + index];
    if (!std::isfinite(up - down) || !(width > 0)) continue;
    const double difference = (up - down) / width;
    const double rounding =
        std::max(std::abs(up), std::abs(down)) * 0x1p-21 / width;
    unit = std::max({std::abs(slope), std::abs(difference), 0.1 * steepest});
    if (rounding > 0.05 * unit) continue;
    differences.push_back(difference);
    if (std::abs(difference - slope) <= 0.05 * unit) {
      return {Verdict::kAgrees, difference};
    }
    if (differences.size() == 2) break;
  }
  if (differences.size() < 2 ||
      std::abs(differences[0] - differences[1]) > 0.05 * unit ||
      std::abs(differences[0] - slope) < 0.2 * unit) {
    return {};
  }
  return {Verdict::kContradicts, differences[0]};
}

}  // namespace

std::vector<float> ProbePoints(const ModelInfo& info, int count) {
  const RowSizes sizes = SizesOf(info);
  std::vector<float> points(static_cast<size_t>(count) * sizes.point());
  for (size_t row = 0; row < static_cast<size_t>(count); ++row) {
    const absl::Span<float> point(&points[row * sizes.point()], sizes.point());
    const absl::Span<float> state = point.subspan(0, sizes.dimension);
    DrawInitialState(info.initial, kProbeSeed, row, state);
    for (float& value : state) {
      value = std::clamp(value, info.domain.box.lower, info.domain.box.upper);
    }
    for (const ContextInput& input : info.context) {
      for (int64_t i = 0; i < input.shape.num_elements(); ++i) {
        const auto at = static_cast<size_t>(input.offset + i);
        const PhiloxBlock block =
            ProbeDraw(static_cast<uint32_t>(at), ~uint64_t{row});
        point[sizes.dimension + at] = ContextValue(input, block.word[0]);
      }
    }
  }
  return points;
}

namespace {

// How far energies of plans that differ may be apart. Relative to the largest:
// one near zero may be a difference of large numbers.
double EnergyTolerance(absl::Span<const double> energies, Precision precision) {
  double largest = 0;
  for (const double energy : energies) {
    if (std::isfinite(energy)) largest = std::max(largest, std::abs(energy));
  }
  return (precision == Precision::kBFloat16 ? 0.1 : 1e-4) * (1 + largest);
}

}  // namespace

absl::Status CheckRowCountDoesNotMatter(ModelProbe& probe,
                                        absl::Span<const float> points,
                                        const Evaluation& expected,
                                        Precision precision) {
  BASIN_ASSIGN_OR_RETURN(const Evaluation found, probe.Evaluate(points));
  const double tolerance = EnergyTolerance(expected.energies, precision);
  for (size_t row = 0; row < expected.energies.size(); ++row) {
    if (std::abs(found.energies[row] - expected.energies[row]) <= tolerance) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "the energy depends on the number of rows: one state's is ",
        expected.energies[row], " in a batch of ", expected.energies.size(),
        " and ", found.energies[row], " in one of ", probe.rows()));
  }
  return absl::OkStatus();
}

absl::Status CheckFinite(const Evaluation& evaluation, Precision precision) {
  const double tolerance = EnergyTolerance(evaluation.energies, precision);
  const size_t n = evaluation.energies.size();
  const size_t d = evaluation.gradients.size() / n;
  const RowSizes sizes = {.dimension = d,
                          .classes = evaluation.class_energies.size() / n,
                          .laws = evaluation.laws.size() / n};
  for (size_t row = 0; row < n; ++row) {
    const RowView view = RowOf(evaluation, row, sizes);
    const double energy = *view.energy;
    if (!std::isfinite(energy)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the energy of a state from the initial law is ", energy,
                       ", expected a finite number"));
    }
    if (!(std::abs(energy - *view.gradient_energy) <= tolerance)) {
      return absl::InternalError(absl::StrCat(
          "the energy of a state is ", energy, " without gradient, but ",
          *view.gradient_energy, " with it"));
    }
    for (size_t i = 0; i < d; ++i) {
      if (std::isfinite(view.gradient[i])) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          "grad_energy[", i, "] of a state from the initial law is ",
          view.gradient[i], ", expected a finite number"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRowsIndependent(ModelProbe& probe,
                                  absl::Span<const float> points,
                                  const Evaluation& expected) {
  std::vector<size_t> order(expected.energies.size());
  std::iota(order.rbegin(), order.rend(), size_t{0});
  BASIN_RETURN_IF_ERROR(CheckArrangement(probe, points, expected, order,
                                         "among the same in another order"));
  for (size_t row = 1; row < order.size(); row += 2) order[row] = kNan;
  BASIN_RETURN_IF_ERROR(CheckArrangement(probe, points, expected, order,
                                         "next to rows that are NaN"));
  for (size_t i = 0; i < std::min(kRowsAlone, order.size()); ++i) {
    const size_t row = i * order.size() / kRowsAlone % order.size();
    BASIN_RETURN_IF_ERROR(CheckArrangement(
        probe, points, expected, absl::MakeConstSpan(&row, 1), "alone"));
  }
  return absl::OkStatus();
}

absl::Status CheckGradient(ModelProbe& probe, const ModelInfo& info,
                           absl::Span<const float> points,
                           const Evaluation& evaluation) {
  const RowSizes& sizes = probe.sizes();
  const size_t d = sizes.dimension;
  const double scale =
      std::visit([](const auto& law) { return ScaleOf(law); }, info.initial);
  int clear = 0;
  int contradictions = 0;
  std::string example;
  for (const Coordinate& at : ChooseCoordinates(evaluation, sizes)) {
    const std::vector<float> displaced = Displaced(
        points.subspan(at.row * sizes.point(), sizes.point()), at.index, scale);
    BASIN_ASSIGN_OR_RETURN(const Evaluation around, probe.Evaluate(displaced));
    const float* gradient = RowOf(evaluation, at.row, sizes).gradient;
    double steepest = 0;
    for (size_t i = 0; i < d; ++i) {
      steepest = std::max<double>(steepest, std::abs(gradient[i]));
    }
    const Comparison comparison = Compare(gradient[at.index], steepest,
                                          at.index, displaced, around.energies);
    if (comparison.verdict == Verdict::kUnclear) continue;
    ++clear;
    if (comparison.verdict == Verdict::kAgrees) continue;
    ++contradictions;
    example = absl::StrCat(
        "grad_energy[", at.index, "] of a state is ", gradient[at.index],
        ", but differences of the energy give ", comparison.difference);
  }
  if (contradictions < 2 || 4 * contradictions < clear) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the gradient is not that of the energy at ", contradictions,
                   " of ", clear, " coordinates: ", example));
}

absl::StatusOr<bool> GivesSameBits(ModelProbe& probe,
                                   absl::Span<const float> points,
                                   const Evaluation& expected) {
  const RowSizes& sizes = probe.sizes();
  const size_t width = sizes.point();
  const size_t n = expected.energies.size();
  // Every row of the tile, and every point: tiles are filled with the points
  // again and again.
  const size_t rows = std::max(static_cast<size_t>(probe.rows()), n);
  std::vector<float> repeated(rows * width);
  for (size_t row = 0; row < rows; ++row) {
    std::copy_n(&points[row % n * width], width, &repeated[row * width]);
  }
  BASIN_ASSIGN_OR_RETURN(const Evaluation found, probe.Evaluate(repeated));
  for (size_t row = 0; row < rows; ++row) {
    if (!SameBits(RowOf(expected, row % n, sizes), RowOf(found, row, sizes),
                  sizes)) {
      return false;
    }
  }
  return true;
}

}  // namespace basin::internal
