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
#include "core/model/domain_settings.h"
#include "core/model/family_settings.h"
#include "core/model/model_config.pb.h"
#include "core/model/settings_fields.h"

namespace basin::internal {
namespace {

constexpr int64_t kDefaultSteps = 100;
constexpr int64_t kMaxReplayCapacity = int64_t{1} << 24;
constexpr int64_t kMaxChains = int64_t{1} << 32;  // of the random numbers
constexpr int kMaxMessageDepth = 16;
constexpr int kMaxInputs = 64;

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

absl::StatusOr<Shape> ReadShape(
    const std::string& field,
    const google::protobuf::RepeatedField<int64_t>& dims) {
  int64_t elements = 1;
  for (int axis = 0; axis < dims.size(); ++axis) {
    BASIN_RETURN_IF_ERROR(CheckRange(absl::StrCat(field, "[", axis, "]"),
                                     dims[axis], 1,
                                     ModelSettings::kMaxDimension));
    elements *= dims[axis];
    BASIN_RETURN_IF_ERROR(CheckRange(absl::StrCat(field, ": elements"),
                                     elements, 1,
                                     ModelSettings::kMaxDimension));
  }
  if (dims.empty() || dims.size() >= Shape::kMaxRank) {
    return FieldError(field,
                      absl::StrCat("1 to ", Shape::kMaxRank - 1, " dimensions"),
                      dims.size());
  }
  return Shape::Create(dims);
}

// How many states a family may be told of.
absl::Status CheckInputCount(const ModelSettings& settings, int count) {
  switch (settings.family) {
    case ModelFamily::kGraph:
      return CheckRange("input: inputs", count, 1, kMaxInputs);
    case ModelFamily::kClassifier:
      if (count == 1) return absl::OkStatus();
      return FieldError("input", "exactly one", count);
    case ModelFamily::kComposition:
      if (count == 0) return absl::OkStatus();
      return FieldError("input", "none, since the terms have theirs", count);
    case ModelFamily::kBoltzmann:
      if (settings.boltzmann.layers.size() == 1) break;
      if (count == 0) return absl::OkStatus();
      return FieldError("input", "none, since each layer is one", count);
    default:
      break;
  }
  return CheckRange("input: inputs", count, 0, 1);
}

absl::Status ReadInputs(const config::ModelConfig& config,
                        ModelSettings* settings) {
  ModelInfo& info = settings->info;
  BASIN_RETURN_IF_ERROR(CheckInputCount(*settings, config.input_size()));
  for (const config::Input& input : config.input()) {
    BASIN_ASSIGN_OR_RETURN(const Shape shape,
                           ReadShape("input.shape", input.shape()));
    for (const StateInput& other : info.states) {
      if (other.name != input.name()) continue;
      return FieldError("input.name", "another name for each input",
                        absl::StrCat("'", input.name(), "' twice"));
    }
    info.states.push_back({input.name(), shape, info.dimension});
    info.dimension += shape.num_elements();
    BASIN_RETURN_IF_ERROR(CheckRange("input: elements", info.dimension, 1,
                                     ModelSettings::kMaxDimension));
  }
  if (config.input_size() == 0) return absl::OkStatus();
  const bool several = info.states.size() > 1;
  if (!several) info.input_name = info.states[0].name;
  info.state_shape = several ? Shape({info.dimension}) : info.states[0].shape;
  info.uint8_scale = config.input(0).uint8_scale();
  return CheckAtLeastZero("input.uint8_scale", info.uint8_scale);
}

absl::StatusOr<std::optional<float>> ReadOptional(const std::string& field,
                                                  double value) {
  BASIN_ASSIGN_OR_RETURN(const float number, ToFiniteFloat(field, value));
  return std::optional<float>(number);
}

absl::Status ReadContext(const config::ModelConfig& config,
                         ModelSettings* settings) {
  const bool from_file = settings->family == ModelFamily::kGraph ||
                         settings->family == ModelFamily::kClassifier;
  if (!from_file && config.context_size() > 0) {
    return FieldError("context", "none, since no ONNX file has inputs", "one");
  }
  for (const config::Context& context : config.context()) {
    ContextSettings& read = settings->context.emplace_back();
    read.name = context.name();
    if (context.name().empty()) {
      return FieldError("context.name", "the name of an input", "none");
    }
    if (context.shape_size() > 0) {
      BASIN_ASSIGN_OR_RETURN(read.shape,
                             ReadShape("context.shape", context.shape()));
    }
    if (context.has_default_value()) {
      BASIN_ASSIGN_OR_RETURN(
          read.default_value,
          ReadOptional("context.default_value", context.default_value()));
    }
    if (context.has_min_value()) {
      BASIN_ASSIGN_OR_RETURN(
          read.lower, ReadOptional("context.min_value", context.min_value()));
    }
    if (context.has_max_value()) {
      BASIN_ASSIGN_OR_RETURN(
          read.upper, ReadOptional("context.max_value", context.max_value()));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadPrecision(const config::ModelConfig& config, ModelInfo* info) {
  if (config.precision() == config::ModelConfig::BF16) {
    info->precision = Precision::kBFloat16;
  }
  if (config.precision() == config::ModelConfig::FLOAT64) {
    info->precision = Precision::kFloat64;
  }
  return absl::OkStatus();
}

// The fields that messages of transitions have, where this one has them.
template <typename Message>
TransitionParams ParamsOf(TransitionKind kind, const Message& message) {
  TransitionParams params = {.kind = kind};
  if constexpr (requires { message.step_size(); }) {
    params.step_size = message.step_size();
  }
  if constexpr (requires { message.noise_std(); }) {
    params.noise_std = message.noise_std();
  }
  if constexpr (requires { message.gradient_clip(); }) {
    params.gradient_clip = message.gradient_clip();
  }
  if constexpr (requires { message.leaps(); }) params.leaps = message.leaps();
  if constexpr (requires { message.jitter(); }) {
    params.jitter = message.jitter();
  }
  if constexpr (requires { message.friction(); }) {
    params.friction = message.friction();
  }
  if constexpr (requires { message.momentum(); }) {
    params.momentum = message.momentum();
  }
  return params;
}

TransitionParams ReadTransition(const config::TransitionConfig& config) {
  using config::TransitionConfig;
  switch (config.kind_case()) {
    case TransitionConfig::kMala:
      return ParamsOf(TransitionKind::kMala, config.mala());
    case TransitionConfig::kRandomWalk:
      return ParamsOf(TransitionKind::kRandomWalk, config.random_walk());
    case TransitionConfig::kIgebm:
      return ParamsOf(TransitionKind::kIgebm, config.igebm());
    case TransitionConfig::kJem:
      return ParamsOf(TransitionKind::kJem, config.jem());
    case TransitionConfig::kHmc:
      return ParamsOf(TransitionKind::kHmc, config.hmc());
    case TransitionConfig::kUnderdamped:
      return ParamsOf(TransitionKind::kUnderdamped, config.underdamped());
    case TransitionConfig::kUnderdampedMetropolis:
      return ParamsOf(TransitionKind::kUnderdampedMetropolis,
                      config.underdamped_metropolis());
    case TransitionConfig::kMinimize:
      return ParamsOf(TransitionKind::kMinimize, config.minimize());
    case TransitionConfig::kGibbs:
      return ParamsOf(TransitionKind::kGibbs, config.gibbs());
    case TransitionConfig::kSiteMetropolis:
      return ParamsOf(TransitionKind::kSiteMetropolis,
                      config.site_metropolis());
    case TransitionConfig::kSiteHeatBath:
      return ParamsOf(TransitionKind::kSiteHeatBath, config.site_heat_bath());
    case TransitionConfig::kGibbsWithGradients:
      return ParamsOf(TransitionKind::kGibbsWithGradients,
                      config.gibbs_with_gradients());
    case TransitionConfig::kDiscreteLangevin:
      return ParamsOf(TransitionKind::kDiscreteLangevin,
                      config.discrete_langevin());
    case TransitionConfig::kUla:
    case TransitionConfig::KIND_NOT_SET:
      break;
  }
  return ParamsOf(TransitionKind::kUla, config.ula());
}

absl::Status ReadDefaults(const config::ModelConfig& config, ModelInfo* info) {
  const config::Defaults& defaults = config.defaults();
  BASIN_RETURN_IF_ERROR(CheckRange("defaults.steps", defaults.steps(), 0,
                                   ModelSettings::kMaxSteps));
  info->default_steps =
      defaults.steps() == 0 ? kDefaultSteps : defaults.steps();
  const config::TransitionConfig& transition = defaults.transition();
  if (transition.kind_case() == config::TransitionConfig::KIND_NOT_SET) {
    return absl::OkStatus();
  }
  info->has_default_transition = true;
  info->default_transition = ReadTransition(transition);
  const TransitionParams& params = info->default_transition;
  BASIN_RETURN_IF_ERROR(
      CheckAtLeastZero("defaults.transition: step_size", params.step_size));
  BASIN_RETURN_IF_ERROR(
      CheckAtLeastZero("defaults.transition: noise_std", params.noise_std));
  BASIN_RETURN_IF_ERROR(CheckAtLeastZero("defaults.transition: gradient_clip",
                                         params.gradient_clip));
  BASIN_RETURN_IF_ERROR(
      CheckAtLeastZero("defaults.transition: jitter", params.jitter));
  BASIN_RETURN_IF_ERROR(
      CheckAtLeastZero("defaults.transition: friction", params.friction));
  BASIN_RETURN_IF_ERROR(
      CheckAtLeastZero("defaults.transition: momentum", params.momentum));
  return CheckAtLeastZero("defaults.transition: leaps",
                          static_cast<double>(params.leaps));
}

absl::Status ReadReplay(const config::ModelConfig& config, ModelInfo* info) {
  if (!config.has_replay()) return absl::OkStatus();
  const config::Replay& replay = config.replay();
  BASIN_RETURN_IF_ERROR(
      CheckRange("replay.capacity", replay.capacity(), 1, kMaxReplayCapacity));
  if (!(replay.restart_probability() >= 0 &&
        replay.restart_probability() <= 1)) {
    return FieldError("replay.restart_probability", "0 to 1",
                      replay.restart_probability());
  }
  info->replay.capacity = replay.capacity();
  info->replay.restart_probability = replay.restart_probability();
  info->replay.write_policy = replay.write_policy() == config::Replay::FIFO
                                  ? ReplayWritePolicy::kFifo
                                  : ReplayWritePolicy::kInPlace;
  info->replay.read_policy =
      replay.read_policy() == config::Replay::WITHOUT_REPLACEMENT
          ? ReplayReadPolicy::kWithoutReplacement
          : ReplayReadPolicy::kWithReplacement;
  return absl::OkStatus();
}

absl::Status ReadLimits(const config::ModelConfig& config,
                        ModelSettings* settings) {
  const config::Limits& limits = config.limits();
  BASIN_RETURN_IF_ERROR(
      CheckRange("limits.max_chains", limits.max_chains(), 0, kMaxChains));
  BASIN_RETURN_IF_ERROR(CheckRange("limits.max_tile_rows",
                                   limits.max_tile_rows(), 0,
                                   ModelSettings::kMaxTileRows));
  settings->info.max_chains = limits.max_chains();
  settings->max_tile_rows = limits.max_tile_rows();
  return absl::OkStatus();
}

absl::Status ReadLogZ(const config::ModelConfig& config,
                      ModelSettings* settings) {
  for (const config::LogZ& log_z : config.log_z()) {
    if (!log_z.has_value() || !std::isfinite(log_z.value())) {
      return FieldError("log_z.value", "a finite number",
                        log_z.has_value() ? absl::StrCat(log_z.value())
                                          : std::string("none"));
    }
    if (!log_z.has_standard_error()) {
      return FieldError("log_z.standard_error", "0 if the value is exact",
                        "none");
    }
    BASIN_RETURN_IF_ERROR(
        CheckAtLeastZero("log_z.standard_error", log_z.standard_error()));
    BASIN_RETURN_IF_ERROR(CheckRange("log_z.version", log_z.version(), 0,
                                     std::numeric_limits<int64_t>::max()));
    const KnownLogZ known = {log_z.value(), log_z.standard_error()};
    if (settings->log_z.try_emplace(log_z.version(), known).second) continue;
    return FieldError("log_z.version", "one log_z for each version",
                      absl::StrCat("two of version ", log_z.version()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelSettings> ParseModelSettings(const std::string& text) {
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.SetRecursionLimit(kMaxMessageDepth);
  config::ModelConfig config;
  if (!parser.ParseFromString(text, &config)) {
    return absl::InvalidArgumentError(error.message());
  }
  ModelSettings settings;
  BASIN_RETURN_IF_ERROR(ReadFamily(config, &settings));
  BASIN_RETURN_IF_ERROR(ReadInputs(config, &settings));
  BASIN_RETURN_IF_ERROR(ReadContext(config, &settings));
  BASIN_RETURN_IF_ERROR(ReadDomain(config, &settings));
  BASIN_RETURN_IF_ERROR(ReadPrecision(config, &settings.info));
  BASIN_ASSIGN_OR_RETURN(settings.initial, ReadInitial(config.initial()));
  BASIN_RETURN_IF_ERROR(ReadDefaults(config, &settings.info));
  BASIN_RETURN_IF_ERROR(ReadReplay(config, &settings.info));
  BASIN_RETURN_IF_ERROR(ReadLimits(config, &settings));
  BASIN_RETURN_IF_ERROR(ReadLogZ(config, &settings));
  const bool is_file = settings.family == ModelFamily::kGraph ||
                       settings.family == ModelFamily::kClassifier;
  if (!is_file) return settings;
  const Shape& shape = settings.info.state_shape;
  const Domain domain = settings.domain.value_or(Domain());
  BASIN_RETURN_IF_ERROR(CompleteDomain(
      domain.kind, domain.kind == DomainKind::kCategorical ? shape.dim(-1) : 0,
      &settings));
  BASIN_RETURN_IF_ERROR(CompleteInitial(&settings));
  return settings;
}

absl::Status CompleteState(const Shape& shape, ModelSettings* settings) {
  ModelInfo& info = settings->info;
  if (info.states.empty()) {
    info.state_shape = shape;
    info.dimension = shape.num_elements();
    info.states = {{"x", shape, 0}};
  }
  if (info.states[0].name.empty()) info.states[0].name = std::string("x");
  info.input_name = info.states[0].name;
  if (info.dimension == shape.num_elements()) return absl::OkStatus();
  return FieldError("input.shape",
                    absl::StrCat("as many elements as ", shape.ToString(),
                                 ", the state of the model"),
                    info.state_shape.ToString());
}

absl::Status CompleteLogZ(ModelSettings* settings) {
  ModelInfo& info = settings->info;
  const bool is_normalised =
      settings->family == ModelFamily::kMixture && info.domain.box == Box();
  if (is_normalised) info.log_z = KnownLogZ();
  if (settings->log_z.empty()) return absl::OkStatus();
  if (is_normalised) {
    return FieldError("log_z", "none, since ln Z of a mixture is 0", "one");
  }
  if (settings->family == ModelFamily::kComposition) {
    return FieldError(
        "log_z", "none, since a composition changes with its terms", "one");
  }
  auto found = settings->log_z.find(info.version);
  if (found == settings->log_z.end()) found = settings->log_z.find(0);
  if (found != settings->log_z.end()) info.log_z = found->second;
  return absl::OkStatus();
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
