#include "core/model/model_settings.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <system_error>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include "core/base/status_macros.h"
#include "core/model/model_config.pb.h"

namespace basin::internal {
namespace {

constexpr int64_t kDefaultSteps = 100;
constexpr int64_t kMaxReplayCapacity = int64_t{1} << 24;
constexpr int64_t kMaxChains = int64_t{1} << 32;  // of the random numbers
constexpr int kMaxMessageDepth = 16;

// Keeps the first error, with its line.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    if (!message_.empty()) return;
    message_ = line < 0 ? absl::StrCat("config.pbtxt: ", message)
                        : absl::StrCat("config.pbtxt:", line + 1, ":",
                                       column + 1, ": ", message);
  }
  const std::string& message() const { return message_; }

 private:
  std::string message_;
};

template <typename T>
absl::Status FieldError(const std::string& field, const std::string& expected,
                        const T& got) {
  return absl::InvalidArgumentError(absl::StrCat(
      "config.pbtxt: ", field, ": expected ", expected, ", got ", got));
}

// `value` as a float; infinities pass.
absl::StatusOr<float> ToFloat(const std::string& field, double value) {
  const bool overflows = std::isfinite(value) &&
                         std::abs(value) > std::numeric_limits<float>::max();
  if (std::isnan(value) || overflows) {
    return FieldError(field, "a float32", value);
  }
  return static_cast<float>(value);
}

absl::Status CheckAtLeastZero(const std::string& field, double value) {
  if (std::isfinite(value) && value >= 0) return absl::OkStatus();
  return FieldError(field, "a finite number, at least 0", value);
}

absl::Status CheckRange(const std::string& field, int64_t value, int64_t low,
                        int64_t high) {
  if (low <= value && value <= high) return absl::OkStatus();
  return FieldError(field, absl::StrCat(low, " to ", high), value);
}

absl::Status ReadInput(const ModelConfig& config, ModelInfo* info) {
  if (config.input_size() != 1) {
    return FieldError("input", "exactly one", config.input_size());
  }
  const Input& input = config.input(0);
  info->input_name = input.name();
  int64_t elements = 1;
  for (int axis = 0; axis < input.shape_size(); ++axis) {
    BASIN_RETURN_IF_ERROR(CheckRange(absl::StrCat("input.shape[", axis, "]"),
                                     input.shape(axis), 1,
                                     ModelSettings::kMaxDimension));
    elements *= input.shape(axis);
    BASIN_RETURN_IF_ERROR(CheckRange("input.shape: elements", elements, 1,
                                     ModelSettings::kMaxDimension));
  }
  if (input.shape_size() < 1 || input.shape_size() >= Shape::kMaxRank) {
    return FieldError("input.shape",
                      absl::StrCat("1 to ", Shape::kMaxRank - 1, " dimensions"),
                      input.shape_size());
  }
  BASIN_ASSIGN_OR_RETURN(info->state_shape, Shape::Create(input.shape()));
  info->dimension = elements;
  info->uint8_scale = input.uint8_scale();
  return CheckAtLeastZero("input.uint8_scale", info->uint8_scale);
}

absl::Status ReadDomain(const ModelConfig& config, ModelInfo* info) {
  if (!config.has_domain()) return absl::OkStatus();
  BASIN_ASSIGN_OR_RETURN(info->domain.lower,
                         ToFloat("domain.lower", config.domain().lower()));
  BASIN_ASSIGN_OR_RETURN(info->domain.upper,
                         ToFloat("domain.upper", config.domain().upper()));
  if (info->domain.lower < info->domain.upper) return absl::OkStatus();
  return FieldError("domain.upper",
                    absl::StrCat("more than lower = ", info->domain.lower),
                    info->domain.upper);
}

// The law of a model that names none.
absl::StatusOr<InitialLaw> DefaultLaw(const Box& domain) {
  const bool lower = std::isfinite(domain.lower);
  const bool upper = std::isfinite(domain.upper);
  if (lower != upper) {
    return absl::InvalidArgumentError(
        "config.pbtxt: initial: expected a law, since the domain is bounded "
        "on one side only; got none");
  }
  if (lower) return UniformLaw{domain.lower, domain.upper};
  return NormalLaw{};
}

absl::StatusOr<InitialLaw> ReadUniform(const Initial::Uniform& config,
                                       const Box& domain) {
  UniformLaw law;
  BASIN_ASSIGN_OR_RETURN(law.lower,
                         ToFloat("initial.uniform.lower", config.lower()));
  BASIN_ASSIGN_OR_RETURN(law.upper,
                         ToFloat("initial.uniform.upper", config.upper()));
  if (!(law.lower < law.upper) || !std::isfinite(law.upper - law.lower)) {
    return FieldError("initial.uniform.upper",
                      absl::StrCat("finite, and more than lower = ", law.lower),
                      law.upper);
  }
  if (law.lower < domain.lower || law.upper > domain.upper) {
    return FieldError("initial.uniform",
                      absl::StrCat("within the domain, [", domain.lower, ", ",
                                   domain.upper, "]"),
                      absl::StrCat("[", law.lower, ", ", law.upper, "]"));
  }
  return law;
}

absl::StatusOr<InitialLaw> ReadNormal(const Initial::Normal& config) {
  NormalLaw law;
  BASIN_ASSIGN_OR_RETURN(law.mean,
                         ToFloat("initial.normal.mean", config.mean()));
  BASIN_ASSIGN_OR_RETURN(law.stddev,
                         ToFloat("initial.normal.stddev", config.stddev()));
  if (!std::isfinite(law.mean)) {
    return FieldError("initial.normal.mean", "a finite number", law.mean);
  }
  if (!(law.stddev > 0) || !std::isfinite(law.stddev)) {
    return FieldError("initial.normal.stddev", "finite, and more than 0",
                      config.stddev());
  }
  return law;
}

absl::StatusOr<InitialLaw> ReadInitial(const ModelConfig& config,
                                       const Box& domain) {
  if (config.initial().has_uniform()) {
    return ReadUniform(config.initial().uniform(), domain);
  }
  if (config.initial().has_normal()) {
    return ReadNormal(config.initial().normal());
  }
  return DefaultLaw(domain);
}

TransitionParams ReadTransition(const TransitionConfig& config) {
  switch (config.kind_case()) {
    case TransitionConfig::kMala:
      return {.kind = TransitionKind::kMala,
              .step_size = config.mala().step_size()};
    case TransitionConfig::kRandomWalk:
      return {.kind = TransitionKind::kRandomWalk,
              .step_size = config.random_walk().step_size()};
    case TransitionConfig::kIgebm:
      return {.kind = TransitionKind::kIgebm,
              .step_size = config.igebm().step_size(),
              .noise_std = config.igebm().noise_std(),
              .gradient_clip = config.igebm().gradient_clip()};
    case TransitionConfig::kJem:
      return {.kind = TransitionKind::kJem,
              .step_size = config.jem().step_size(),
              .noise_std = config.jem().noise_std()};
    case TransitionConfig::kUla:
    case TransitionConfig::KIND_NOT_SET:
      break;
  }
  return {.kind = TransitionKind::kUla, .step_size = config.ula().step_size()};
}

absl::Status ReadDefaults(const ModelConfig& config, ModelInfo* info) {
  const Defaults& defaults = config.defaults();
  BASIN_RETURN_IF_ERROR(CheckRange("defaults.steps", defaults.steps(), 0,
                                   ModelSettings::kMaxSteps));
  info->default_steps =
      defaults.steps() == 0 ? kDefaultSteps : defaults.steps();
  const TransitionConfig& transition = defaults.transition();
  if (transition.kind_case() == TransitionConfig::KIND_NOT_SET) {
    return absl::OkStatus();
  }
  info->has_default_transition = true;
  info->default_transition = ReadTransition(transition);
  const TransitionParams& params = info->default_transition;
  BASIN_RETURN_IF_ERROR(
      CheckAtLeastZero("defaults.transition: step_size", params.step_size));
  BASIN_RETURN_IF_ERROR(
      CheckAtLeastZero("defaults.transition: noise_std", params.noise_std));
  return CheckAtLeastZero("defaults.transition: gradient_clip",
                          params.gradient_clip);
}

absl::Status ReadReplay(const ModelConfig& config, ModelInfo* info) {
  if (!config.has_replay()) return absl::OkStatus();
  const Replay& replay = config.replay();
  BASIN_RETURN_IF_ERROR(
      CheckRange("replay.capacity", replay.capacity(), 1, kMaxReplayCapacity));
  if (!(replay.restart_probability() >= 0 &&
        replay.restart_probability() <= 1)) {
    return FieldError("replay.restart_probability", "0 to 1",
                      replay.restart_probability());
  }
  info->replay.capacity = replay.capacity();
  info->replay.restart_probability = replay.restart_probability();
  info->replay.write_policy = replay.write_policy() == Replay::FIFO
                                  ? ReplayWritePolicy::kFifo
                                  : ReplayWritePolicy::kInPlace;
  info->replay.read_policy = replay.read_policy() == Replay::WITHOUT_REPLACEMENT
                                 ? ReplayReadPolicy::kWithoutReplacement
                                 : ReplayReadPolicy::kWithReplacement;
  return absl::OkStatus();
}

absl::Status ReadLimits(const ModelConfig& config, ModelSettings* settings) {
  const Limits& limits = config.limits();
  BASIN_RETURN_IF_ERROR(
      CheckRange("limits.max_chains", limits.max_chains(), 0, kMaxChains));
  BASIN_RETURN_IF_ERROR(CheckRange("limits.max_tile_rows",
                                   limits.max_tile_rows(), 0,
                                   ModelSettings::kMaxTileRows));
  settings->info.max_chains = limits.max_chains();
  settings->max_tile_rows = limits.max_tile_rows();
  return absl::OkStatus();
}

absl::Status ReadFamily(const ModelConfig& config, ModelSettings* settings) {
  switch (config.family()) {
    case ModelConfig::GRAPH:
      settings->family = ModelFamily::kGraph;
      settings->info.family = "graph";
      return absl::OkStatus();
    case ModelConfig::CLASSIFIER:
      settings->family = ModelFamily::kClassifier;
      settings->info.family = "classifier";
      return absl::OkStatus();
    default:
      return FieldError("family", "GRAPH or CLASSIFIER", "none");
  }
}

}  // namespace

absl::StatusOr<ModelSettings> ParseModelSettings(const std::string& text) {
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.SetRecursionLimit(kMaxMessageDepth);
  ModelConfig config;
  if (!parser.ParseFromString(text, &config)) {
    return absl::InvalidArgumentError(error.message());
  }
  ModelSettings settings;
  BASIN_RETURN_IF_ERROR(ReadFamily(config, &settings));
  BASIN_RETURN_IF_ERROR(ReadInput(config, &settings.info));
  BASIN_RETURN_IF_ERROR(ReadDomain(config, &settings.info));
  BASIN_ASSIGN_OR_RETURN(settings.info.initial,
                         ReadInitial(config, settings.info.domain));
  BASIN_RETURN_IF_ERROR(ReadDefaults(config, &settings.info));
  BASIN_RETURN_IF_ERROR(ReadReplay(config, &settings.info));
  BASIN_RETURN_IF_ERROR(ReadLimits(config, &settings));
  return settings;
}

absl::StatusOr<ModelSettings> ReadModelSettings(const std::string& path) {
  // To open a named pipe may take forever.
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return absl::NotFoundError(absl::StrCat("there is no file ", path));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot open ", path));
  std::string text(static_cast<size_t>(ModelSettings::kMaxFileBytes) + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad())
    return absl::DataLossError(absl::StrCat("cannot read ", path));
  text.resize(static_cast<size_t>(file.gcount()));
  if (static_cast<int64_t>(text.size()) > ModelSettings::kMaxFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("config.pbtxt: larger than the limit of ",
                     ModelSettings::kMaxFileBytes, " bytes"));
  }
  return ParseModelSettings(text);
}

}  // namespace basin::internal
