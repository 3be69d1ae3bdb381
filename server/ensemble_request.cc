#include "server/ensemble_request.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <variant>

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <absl/strings/str_cat.h>

#include "core/base/status_macros.h"
#include "core/sampler/adaptation.h"
#include "core/sampler/tempering.h"
#include "server/tensor_convert.h"

#include "basin/v1/sampler.pb.h"

namespace basin {
namespace {

// A Cholesky factor takes D^3 / 3 operations before the request is admitted.
constexpr int64_t kMaxCovarianceDimension = 1024;
// What a request gets that has its step size tuned and asks for no warm-up.
constexpr int64_t kTuningWarmup = 500;
constexpr int64_t kIslands = 16;
constexpr int64_t kChainsOfIsland = 4;  // fewer are hardly resampled

using Request = v1::SampleRequest;

absl::Status Invalid(absl::string_view field, absl::string_view expected,
                     const absl::AlphaNum& got) {
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": expected ", expected, ", got ", got));
}

absl::Status CheckBound(absl::string_view field, double value,
                        const Box& domain) {
  if (value >= domain.lower && value <= domain.upper) return absl::OkStatus();
  return Invalid(field,
                 absl::StrCat("a value in the model's domain [", domain.lower,
                              ", ", domain.upper, "]"),
                 value);
}

absl::StatusOr<std::vector<float>> DecodeFaces(absl::string_view field,
                                               const v1::Tensor& tensor,
                                               const ModelInfo& model) {
  BASIN_ASSIGN_OR_RETURN(std::vector<float> faces,
                         CoordinatesFromProto(field, tensor, model));
  BASIN_RETURN_IF_ERROR(CheckInside(field, faces, model.dimension,
                                    model.domain.box, "the model's domain"));
  return faces;
}

// Lower triangle L of L L^T = the covariance, row-major.
absl::StatusOr<std::vector<float>> DecodeCovariance(const v1::Tensor& tensor,
                                                    const ModelInfo& model,
                                                    TransitionKind kind) {
  const int64_t d = model.dimension;
  if (kind != TransitionKind::kRandomWalk) {
    return Invalid("metric.covariance", "random_walk with it",
                   std::string(Name(kind)));
  }
  if (d > kMaxCovarianceDimension) {
    return Invalid("metric.covariance",
                   absl::StrCat("a model of at most ", kMaxCovarianceDimension,
                                " coordinates"),
                   d);
  }
  BASIN_ASSIGN_OR_RETURN(
      const FloatRows rows,
      RowsFromProto(tensor, {"metric.covariance", Shape({d}), 0, d, "D"}));
  if (rows.rows != d) {
    return Invalid("metric.covariance.shape",
                   absl::StrCat("[", d, ", ", d, "]"),
                   absl::StrCat("[", rows.rows, ", ", d, "]"));
  }
  using Matrix =
      Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using FloatMatrix =
      Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Matrix covariance =
      Eigen::Map<const FloatMatrix>(rows.values.data(), d, d).cast<double>();
  const bool symmetric = covariance.isApprox(covariance.transpose(), 1e-6);
  const Eigen::LLT<Matrix> cholesky(covariance);
  if (!symmetric || cholesky.info() != Eigen::Success) {
    return Invalid("metric.covariance", "a symmetric positive definite matrix",
                   "another");
  }
  const FloatMatrix factor = Matrix(cholesky.matrixL()).cast<float>();
  return std::vector<float>(factor.data(), factor.data() + factor.size());
}

absl::Status DecodeMetric(const Request::Metric& metric, const ModelInfo& model,
                          SampleSpec& spec) {
  switch (metric.metric_case()) {
    case Request::Metric::kVariance: {
      BASIN_ASSIGN_OR_RETURN(
          spec.scale,
          CoordinatesFromProto("metric.variance", metric.variance(), model));
      for (float& value : spec.scale) {
        if (!(value >= 0)) {
          return Invalid("metric.variance", "values > 0", value);
        }
        value = std::sqrt(value);
      }
      return absl::OkStatus();
    }
    case Request::Metric::kCovariance: {
      BASIN_ASSIGN_OR_RETURN(
          spec.covariance_factor,
          DecodeCovariance(metric.covariance(), model, spec.transition.kind));
      return absl::OkStatus();
    }
    case Request::Metric::METRIC_NOT_SET:
      break;
  }
  return Invalid("metric", "variance or covariance", "neither");
}

absl::Status DecodeClamp(const Request::Clamp& clamp, const ModelInfo& model,
                         SampleSpec& spec, std::vector<float>& clamped) {
  if (clamp.mask().dtype() != v1::BOOL) {
    return Invalid("clamp.mask", "BOOL of a state's shape",
                   clamp.has_mask() ? "another dtype" : "nothing");
  }
  BASIN_ASSIGN_OR_RETURN(
      const std::vector<float> mask,
      CoordinatesFromProto("clamp.mask", clamp.mask(), model));
  if (spec.scale.empty()) spec.scale.assign(mask.size(), 1);
  for (size_t i = 0; i < mask.size(); ++i) {
    if (mask[i] != 0) spec.scale[i] = 0;
  }
  if (!clamp.has_values()) return absl::OkStatus();
  BASIN_ASSIGN_OR_RETURN(
      FloatRows rows,
      RowsFromProto(clamp.values(), ExpectStates("clamp.values", model,
                                                 spec.chains, "chains")));
  if (rows.rows != 1 && rows.rows != spec.chains) {
    return Invalid(
        "clamp.values.shape",
        absl::StrCat("1 row or one for each of the ", spec.chains, " chains"),
        rows.rows);
  }
  BASIN_RETURN_IF_ERROR(
      CheckDiscrete("clamp.values", rows.values, model, spec.scale));
  clamped = std::move(rows.values);
  return absl::OkStatus();
}

// Where tuning starts from if nobody says.
double FirstStepSize(TransitionKind kind, int64_t dimension) {
  if (kind == TransitionKind::kRandomWalk) {
    return 2.4 / std::sqrt(static_cast<double>(dimension));
  }
  return 0.1;
}

absl::Status DecodeAdaptation(const Request& request, const ModelInfo& model,
                              SampleSpec& spec) {
  TransitionParams& params = spec.transition;
  const bool tunable =
      TargetAcceptance(params.kind, model.dimension).has_value();
  const bool without_step = params.step_size == 0 && tunable;
  AdaptationOptions& adaptation = spec.adaptation;
  if (request.has_adapt()) {
    const Request::Adapt& adapt = request.adapt();
    adaptation.step_size = !adapt.has_step_size() || adapt.step_size();
    adaptation.target_acceptance = adapt.target_acceptance();
    if (adapt.has_target_acceptance() && adapt.target_acceptance() == 0) {
      return Invalid("adapt.target_acceptance", "more than 0 and less than 1",
                     0);
    }
    if (adapt.has_metric()) adaptation.metric = adapt.metric();
  } else if (without_step && request.annealing().ByteSizeLong() == 0) {
    adaptation.step_size = true;
  }
  const bool may_set_metric =
      !(request.has_adapt() && request.adapt().has_metric()) &&
      !request.has_metric() && model.domain.kind == DomainKind::kContinuous &&
      params.kind != TransitionKind::kRandomWalk;
  if (adaptation.step_size && may_set_metric) adaptation.metric = true;
  if (!adaptation.step_size) return absl::OkStatus();
  if (params.step_size == 0) {
    params.step_size = FirstStepSize(params.kind, model.dimension);
  }
  if (spec.warmup == 0) spec.warmup = kTuningWarmup;
  return absl::OkStatus();
}

absl::Status DecodeTempering(const Request::Tempering& tempering,
                             SampleSpec& spec) {
  TemperingOptions& options = spec.tempering;
  options.swap_every = tempering.has_swap_every() ? tempering.swap_every() : 1;
  constexpr int64_t kMaxReplicas = TemperingOptions::kMaxReplicas;
  if (tempering.ladder_size() > kMaxReplicas) {
    return Invalid("tempering.ladder",
                   absl::StrCat("at most ", kMaxReplicas, " levels"),
                   tempering.ladder_size());
  }
  options.ladder.assign(tempering.ladder().begin(), tempering.ladder().end());
  options.tune_ladder =
      tempering.has_tune() ? tempering.tune() : spec.warmup > 0;
  if (!options.ladder.empty()) {
    if (tempering.levels() == 0) return absl::OkStatus();
    return Invalid("tempering", "either ladder or levels and least", "both");
  }
  const int levels = tempering.levels();
  if (levels < 2 || levels > kMaxReplicas) {
    return Invalid("tempering.levels", "2 to 64, or a ladder", levels);
  }
  if (!(tempering.least() > 0 && tempering.least() < 1)) {
    return Invalid("tempering.least", "more than 0 and less than 1",
                   tempering.least());
  }
  options.ladder = GeometricLadder(levels, 1, tempering.least());
  return absl::OkStatus();
}

absl::Status DecodeSchedule(const Request::Annealing& annealing,
                            SampleSpec& spec) {
  std::vector<double>& schedule = spec.annealing.schedule;
  schedule.assign(annealing.schedule().begin(), annealing.schedule().end());
  if (!schedule.empty()) {
    if (annealing.levels() == 0) return absl::OkStatus();
    return Invalid("annealing", "either schedule or levels", "both");
  }
  const int64_t levels = annealing.levels();
  if (levels < 1 || levels > AnnealingOptions::kMaxLevels) {
    return Invalid(
        "annealing.levels",
        absl::StrCat("1 to ", AnnealingOptions::kMaxLevels, ", or a schedule"),
        levels);
  }
  const double power = annealing.has_power() ? annealing.power() : 1;
  if (!(power >= 0.1 && power <= 10)) {
    return Invalid("annealing.power", "0.1 to 10", power);
  }
  for (int64_t k = 1; k <= levels; ++k) {
    schedule.push_back(
        std::pow(static_cast<double>(k) / static_cast<double>(levels), power));
  }
  return absl::OkStatus();
}

// Where the path begins that weights are of: at a uniform law, or at another.
absl::Status DecodeBeginning(const ModelInfo& model, SampleSpec& spec) {
  AnnealingOptions& options = spec.annealing;
  const auto free = static_cast<double>(
      spec.scale.empty() ? model.dimension
                         : std::count_if(spec.scale.begin(), spec.scale.end(),
                                         [](float s) { return s > 0; }));
  if (const auto* box = std::get_if<UniformLaw>(&model.initial)) {
    if (box->lower != spec.box.lower || box->upper != spec.box.upper ||
        !spec.box_lower.empty()) {
      return Invalid(
          "annealing.weights", "a box that is where the initial law is uniform",
          absl::StrCat("[", spec.box.lower, ", ", spec.box.upper,
                       "] for uniform [", box->lower, ", ", box->upper, "]"));
    }
    options.log_volume =
        free * std::log(static_cast<double>(box->upper) - box->lower);
    return absl::OkStatus();
  }
  if (const auto* sites = std::get_if<UniformCategoryLaw>(&model.initial)) {
    const auto classes = static_cast<double>(sites->classes);
    options.log_volume = free / classes * std::log(classes);
    return absl::OkStatus();
  }
  if (std::holds_alternative<MixtureLaw>(model.initial)) {
    return Invalid("annealing.weights",
                   "a model whose initial law is uniform, normal or bernoulli, "
                   "or an annealing.base",
                   "a mixture");
  }
  const auto* bits = std::get_if<BernoulliLaw>(&model.initial);
  if (bits != nullptr && bits->p == 0.5F) {
    options.log_volume = free * std::log(2.0);
    return absl::OkStatus();
  }
  if (bits != nullptr && (bits->p == 0 || bits->p == 1)) {
    return Invalid("annealing.weights",
                   "a model whose initial law reaches all states",
                   absl::StrCat("bernoulli ", bits->p));
  }
  options.base = AnnealingOptions::Base::kInitialLaw;
  return absl::OkStatus();
}

// And where chains must start for it.
absl::Status DecodeDirection(const Request& request, SampleSpec& spec) {
  const Request::Annealing& annealing = request.annealing();
  const bool reverse = annealing.direction() == Request::Annealing::REVERSE;
  if (!reverse && annealing.direction() != Request::Annealing::FORWARD) {
    return Invalid("annealing.direction", "FORWARD or REVERSE",
                   static_cast<int>(annealing.direction()));
  }
  if (reverse) {
    spec.annealing.direction = AnnealingOptions::Direction::kReverse;
    const TransitionKind kind = spec.transition.kind;
    if (kind == TransitionKind::kGibbs ||
        kind == TransitionKind::kUnderdampedMetropolis) {
      return Invalid("transition", "a reversible one for direction REVERSE",
                     std::string(Name(kind)));
    }
  }
  if (reverse || annealing.has_base()) {
    if (request.init_case() == Request::kStates) return absl::OkStatus();
    return Invalid("init",
                   reverse ? "states for direction REVERSE: exact samples"
                           : "states with annealing.base: samples of the base",
                   "another");
  }
  if (request.init_case() == Request::kNoise ||
      request.init_case() == Request::INIT_NOT_SET) {
    return absl::OkStatus();
  }
  return Invalid("init", "noise with annealing.weights: the path begins there",
                 "another");
}

// Without a number as many as there can be: at least two, since their spread
// gives ln Z its interval, of enough chains each.
absl::Status DecodeIslands(const Request::Annealing& annealing,
                           SampleSpec& spec) {
  int64_t& islands = spec.annealing.islands;
  if (annealing.has_islands()) {
    islands = annealing.islands();
    return absl::OkStatus();
  }
  if (spec.annealing.weights != AnnealingOptions::Weights::kPopulation) {
    return absl::OkStatus();
  }
  islands = std::min(kIslands, spec.chains / kChainsOfIsland);
  while (islands > 1 && spec.chains % islands != 0) --islands;
  if (islands > 1) return absl::OkStatus();
  return Invalid("chains",
                 absl::StrCat("with weights POPULATION a number that divides "
                              "into 2 to ",
                              kIslands, " islands of ", kChainsOfIsland,
                              " chains or more, as 64 does; or "
                              "annealing.islands"),
                 spec.chains);
}

absl::Status DecodeAnnealing(const Request& request, const ModelInfo& model,
                             SampleSpec& spec) {
  const Request::Annealing& annealing = request.annealing();
  if (spec.warmup == 0) {
    spec.warmup = annealing.schedule_size() > 0 ? annealing.schedule_size()
                                                : annealing.levels();
  }
  BASIN_RETURN_IF_ERROR(DecodeSchedule(annealing, spec));
  if (annealing.weights() != Request::Annealing::POPULATION &&
      (annealing.has_islands() || annealing.has_resample_below())) {
    return Invalid(annealing.has_islands() ? "annealing.islands"
                                           : "annealing.resample_below",
                   "none without weights: POPULATION", "one");
  }
  AnnealingOptions& options = spec.annealing;
  using Weights = AnnealingOptions::Weights;
  switch (annealing.weights()) {
    case Request::Annealing::NONE:
      if (!annealing.has_base() &&
          annealing.direction() == Request::Annealing::FORWARD) {
        return absl::OkStatus();
      }
      return Invalid("annealing.weights",
                     "IMPORTANCE or POPULATION with base or direction", "NONE");
    case Request::Annealing::IMPORTANCE:
      options.weights = Weights::kImportance;
      break;
    case Request::Annealing::POPULATION:
      options.weights = Weights::kPopulation;
      break;
    default:
      return Invalid("annealing.weights", "NONE, IMPORTANCE or POPULATION",
                     static_cast<int>(annealing.weights()));
  }
  BASIN_RETURN_IF_ERROR(DecodeDirection(request, spec));
  if (annealing.has_base()) {
    options.base = AnnealingOptions::Base::kModel;
  } else {
    BASIN_RETURN_IF_ERROR(DecodeBeginning(model, spec));
  }
  if (annealing.has_resample_below()) {
    options.resample_below = annealing.resample_below();
  }
  return DecodeIslands(annealing, spec);
}

}  // namespace

absl::Status DecodeBox(const Request& request, const ModelInfo& model,
                       SampleSpec& spec) {
  const v1::Box& box = request.box();
  const Box& domain = model.domain.box;
  spec.box = domain;
  if (box.has_lower()) {
    BASIN_RETURN_IF_ERROR(CheckBound("box.lower", box.lower(), domain));
    spec.box.lower = static_cast<float>(box.lower());
  }
  if (box.has_upper()) {
    BASIN_RETURN_IF_ERROR(CheckBound("box.upper", box.upper(), domain));
    spec.box.upper = static_cast<float>(box.upper());
  }
  if (!(spec.box.lower < spec.box.upper)) {
    return Invalid(
        "box", "lower < upper",
        absl::StrCat("[", spec.box.lower, ", ", spec.box.upper, "]"));
  }
  const auto dimension = static_cast<size_t>(model.dimension);
  if (box.has_lower_each() || box.has_upper_each()) {
    spec.box_lower.assign(dimension, spec.box.lower);
    spec.box_upper.assign(dimension, spec.box.upper);
  }
  if (box.has_lower_each()) {
    BASIN_ASSIGN_OR_RETURN(
        spec.box_lower, DecodeFaces("box.lower_each", box.lower_each(), model));
  }
  if (box.has_upper_each()) {
    BASIN_ASSIGN_OR_RETURN(
        spec.box_upper, DecodeFaces("box.upper_each", box.upper_each(), model));
  }
  return absl::OkStatus();
}

absl::Status DecodeClampAndMetric(const Request& request,
                                  const ModelInfo& model, SampleSpec& spec,
                                  std::vector<float>& clamped) {
  if (request.has_metric()) {
    BASIN_RETURN_IF_ERROR(DecodeMetric(request.metric(), model, spec));
  }
  const bool all_positive =
      std::find(spec.scale.begin(), spec.scale.end(), 0.0F) == spec.scale.end();
  if (!all_positive && !request.has_clamp()) {
    return Invalid("metric.variance",
                   "values > 0, or 0 for coordinates that clamp.mask has", 0);
  }
  if (!request.has_clamp()) return absl::OkStatus();
  return DecodeClamp(request.clamp(), model, spec, clamped);
}

absl::Status DecodeEnsemble(const Request& request, const ModelInfo& model,
                            SampleSpec& spec) {
  BASIN_RETURN_IF_ERROR(DecodeAdaptation(request, model, spec));
  if (request.has_tempering()) {
    BASIN_RETURN_IF_ERROR(DecodeTempering(request.tempering(), spec));
  }
  if (request.has_annealing()) {
    BASIN_RETURN_IF_ERROR(DecodeAnnealing(request, model, spec));
  }
  const Request::StopWhen& stop = request.stop_when();
  if (stop.has_rhat_below()) spec.stop_when.rhat_below = stop.rhat_below();
  if (stop.has_ess_above()) spec.stop_when.ess_above = stop.ess_above();
  if (!request.has_stop_when() || spec.stop_when.any()) return absl::OkStatus();
  return Invalid("stop_when", "rhat_below or ess_above", "neither");
}

}  // namespace basin
