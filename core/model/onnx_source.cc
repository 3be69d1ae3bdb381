#include "core/model/onnx_source.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <absl/container/flat_hash_set.h>
#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "core/base/check.h"
#include "core/base/status_macros.h"

namespace basin::internal {
namespace {

constexpr int64_t kMaxContextElements = int64_t{1} << 24;
// Whole numbers are exact in float32 up to here.
constexpr float kMaxInteger = 16'777'216;

// "[N, 1, 28, 28]": what is open is written as N.
std::string DimsToString(const std::vector<int64_t>& dims) {
  return absl::StrCat(
      "[",
      absl::StrJoin(dims, ", ",
                    [](std::string* out, int64_t dim) {
                      absl::StrAppend(out, dim < 0 ? "N" : absl::StrCat(dim));
                    }),
      "]");
}

std::string Names(const std::vector<OnnxModel::ValueInfo>& values) {
  return absl::StrCat(
      "'",
      absl::StrJoin(values, "', '",
                    [](std::string* out, const OnnxModel::ValueInfo& value) {
                      absl::StrAppend(out, value.name);
                    }),
      "'");
}

// Dimensions that the file leaves open agree with anything: the import
// checks them.
bool Agree(const std::vector<int64_t>& dims, const Shape& state) {
  if (static_cast<int>(dims.size()) != state.rank() + 1) return false;
  for (int axis = 0; axis < state.rank(); ++axis) {
    const int64_t dim = dims[static_cast<size_t>(axis) + 1];
    if (dim >= 0 && dim != state.dim(axis)) return false;
  }
  return true;
}

bool HasIntegers(const std::vector<OnnxModel::ValueInfo>& inputs) {
  return std::any_of(inputs.begin(), inputs.end(), [](const auto& input) {
    return input.dtype != DType::kFloat32;
  });
}

absl::Status CheckRowsOpen(const OnnxModel::ValueInfo& input) {
  if (input.dims.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model.onnx: input '", input.name,
        "': expected one value a row, [N, ...], got a scalar for all rows"));
  }
  if (input.dims[0] < 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "model.onnx: input '", input.name, "' has the fixed row count ",
      input.dims[0], ": export it with an open (dynamic) first axis"));
}

absl::Status CheckState(const OnnxModel::ValueInfo& input, const Shape& shape) {
  if (input.dtype != DType::kFloat32 && input.dtype != DType::kFloat64) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.onnx: input '", input.name,
                     "': expected a floating-point type, got ",
                     std::string(Name(input.dtype))));
  }
  if (!Agree(input.dims, shape)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "config.pbtxt: input.shape ", shape.ToString(), ", but input '",
        input.name, "' of model.onnx has ", DimsToString(input.dims)));
  }
  return CheckRowsOpen(input);
}

// The shape of one row of a context input.
absl::StatusOr<Shape> ContextShape(const OnnxModel::ValueInfo& input,
                                   const ContextSettings* said) {
  BASIN_RETURN_IF_ERROR(CheckRowsOpen(input));
  if (said != nullptr && said->shape.has_value()) {
    if (Agree(input.dims, *said->shape)) return *said->shape;
    return absl::InvalidArgumentError(
        absl::StrCat("config.pbtxt: context.shape ", said->shape->ToString(),
                     ", but input '", input.name, "' of model.onnx has ",
                     DimsToString(input.dims)));
  }
  const auto row = absl::MakeConstSpan(input.dims).subspan(1);
  if (std::any_of(row.begin(), row.end(), [](int64_t d) { return d < 0; })) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model.onnx: input '", input.name, "' has ", DimsToString(input.dims),
        ": expected only the first axis open, or `context { name: \"",
        input.name, "\" shape: ... }` in config.pbtxt"));
  }
  return Shape::Create(row);
}

// What is accepted of a type, narrowed by what the file uses it for (the size
// of the axis into which it points, or 0) and by the configuration.
absl::Status SetRange(const ContextSettings* said, int64_t index_limit,
                      ContextInput* context) {
  if (context->dtype == DType::kBool) {
    context->lower = 0;
    context->upper = 1;
  } else if (context->dtype != DType::kFloat32) {
    context->lower = -kMaxInteger;
    context->upper = kMaxInteger;
  }
  if (index_limit > 0) {
    const auto limit = static_cast<float>(index_limit);
    context->lower = std::max(context->lower, -limit);
    context->upper = std::min(context->upper, limit - 1);
  }
  if (said == nullptr) return absl::OkStatus();
  context->lower = std::max(context->lower, said->lower.value_or(-INFINITY));
  context->upper = std::min(context->upper, said->upper.value_or(INFINITY));
  if (context->dtype != DType::kFloat32) {
    context->lower = std::ceil(context->lower);
    context->upper = std::floor(context->upper);
  }
  context->default_value = said->default_value;
  const float value = said->default_value.value_or(context->lower);
  if (context->lower <= value && value <= context->upper) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "config.pbtxt: context '", context->name, "': expected min_value <= ",
      "default_value <= max_value, got the range [", context->lower, ", ",
      context->upper, "] and ", value));
}

const ContextSettings* FindSettings(const ModelSettings& settings,
                                    const std::string& name) {
  for (const ContextSettings& context : settings.context) {
    if (context.name == name) return &context;
  }
  return nullptr;
}

// Gives the state without a name that of the only input which nothing names.
absl::Status NameStates(const std::vector<OnnxModel::ValueInfo>& inputs,
                        ModelSettings* settings) {
  std::vector<StateInput>& states = settings->info.states;
  const auto is_state = [&states](const std::string& name) {
    return std::any_of(
        states.begin(), states.end(),
        [&](const StateInput& state) { return state.name == name; });
  };
  for (const ContextSettings& said : settings->context) {
    if (!is_state(said.name)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("config.pbtxt: '", said.name,
                     "' is both an input and a context: expected one"));
  }
  std::vector<OnnxModel::ValueInfo> candidates;
  for (const OnnxModel::ValueInfo& input : inputs) {
    if (!is_state(input.name) &&
        FindSettings(*settings, input.name) == nullptr) {
      candidates.push_back(input);
    }
  }
  for (StateInput& state : states) {
    if (!state.name.empty()) continue;
    if (candidates.size() != 1) {
      return absl::InvalidArgumentError(absl::StrCat(
          "config.pbtxt: input.name: expected the name of the state, since "
          "model.onnx has ",
          candidates.size(), " inputs that could be it: ", Names(candidates)));
    }
    state.name = candidates[0].name;
  }
  return absl::OkStatus();
}

absl::Status AddContext(const OnnxModel::ValueInfo& input,
                        const ContextSettings* said, int64_t index_limit,
                        ModelInfo* info) {
  ContextInput context;
  context.name = input.name;
  context.dtype = input.dtype;
  context.offset = info->context_dimension;
  BASIN_ASSIGN_OR_RETURN(context.shape, ContextShape(input, said));
  BASIN_RETURN_IF_ERROR(SetRange(said, index_limit, &context));
  info->context_dimension += context.shape.num_elements();
  if (info->context_dimension > kMaxContextElements) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.onnx: its context inputs have more than ",
                     kMaxContextElements, " elements a row"));
  }
  info->context.push_back(std::move(context));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<OnnxSource> OnnxSource::Open(const std::string& path,
                                            const OnnxLimits& limits,
                                            ModelSettings* settings) {
  OnnxSource source;
  const bool is_double = settings->info.precision == Precision::kFloat64;
  BASIN_ASSIGN_OR_RETURN(
      source.onnx_,
      OnnxModel::Load(path, limits,
                      is_double ? OnnxDoubles::kKeep : OnnxDoubles::kRound));
  ModelInfo& info = settings->info;
  BASIN_RETURN_IF_ERROR(NameStates(source.onnx_->inputs(), settings));
  source.origins_.resize(source.onnx_->inputs().size());
  for (const auto& [name, count] : source.onnx_->metadata().operators) {
    info.operators.push_back(absl::StrCat(name, " x", count));
  }
  info.parameters = source.onnx_->metadata().parameter_count;
  BASIN_RETURN_IF_ERROR(source.MatchStates(&info));
  BASIN_RETURN_IF_ERROR(source.MatchContext(*settings, &info));
  return source;
}

absl::Status OnnxSource::MatchStates(ModelInfo* info) {
  const auto& inputs = onnx_->inputs();
  for (size_t i = 0; i < info->states.size(); ++i) {
    const StateInput& state = info->states[i];
    const auto input = std::find_if(
        inputs.begin(), inputs.end(),
        [&](const auto& candidate) { return candidate.name == state.name; });
    if (input == inputs.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("config.pbtxt: input.name is '", state.name, "', but ",
                       inputs.size() == 1 ? "the input of model.onnx is "
                                          : "the inputs of model.onnx are ",
                       Names(inputs)));
    }
    BASIN_RETURN_IF_ERROR(CheckState(*input, state.shape));
    origins_[static_cast<size_t>(input - inputs.begin())] = {true, i};
  }
  if (info->states.size() == 1) info->input_name = info->states[0].name;
  states_ = info->states;
  return absl::OkStatus();
}

absl::Status OnnxSource::MatchContext(const ModelSettings& settings,
                                      ModelInfo* info) {
  const auto& inputs = onnx_->inputs();
  for (const ContextSettings& said : settings.context) {
    const bool known =
        std::any_of(inputs.begin(), inputs.end(),
                    [&](const auto& input) { return input.name == said.name; });
    if (known) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("config.pbtxt: context.name is '", said.name,
                     "', but the inputs of model.onnx are ", Names(inputs)));
  }
  std::vector<int64_t> limits(inputs.size());
  if (HasIntegers(inputs)) {
    constexpr int kRows = 2;
    BASIN_ASSIGN_OR_RETURN(const OnnxGraph imported, onnx_->Import(kRows));
    limits = imported.index_limits;
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (origins_[i].is_state) continue;
    origins_[i].index = info->context.size();
    BASIN_RETURN_IF_ERROR(AddContext(
        inputs[i], FindSettings(settings, inputs[i].name), limits[i], info));
  }
  return absl::OkStatus();
}

absl::StatusOr<OnnxSource::Output> OnnxSource::Append(
    const SourceInputs& inputs, int rows, const std::string& output,
    GraphBuilder& builder) const {
  BASIN_ASSIGN_OR_RETURN(const OnnxGraph imported, onnx_->Import(rows));
  const Graph& graph = imported.graph;
  BASIN_CHECK(graph.inputs().size() == origins_.size());
  std::vector<ValueId> arguments;
  for (size_t i = 0; i < origins_.size(); ++i) {
    const Origin& origin = origins_[i];
    ValueId value = GraphBuilder::kNoValue;
    if (!origin.is_state) {
      value = inputs.context[origin.index];
    } else if (states_.size() == 1) {
      value = inputs.state;
    } else {
      const StateInput& state = states_[origin.index];
      value = TakeColumns(builder, inputs.state, state.offset, state.shape);
    }
    BASIN_RETURN_IF_ERROR(builder.status());
    const Shape& wanted = graph.shape(graph.inputs()[i]);
    if (!(builder.shape(value) == wanted)) {
      return absl::InvalidArgumentError(
          absl::StrCat("config.pbtxt: input '", imported.input_names[i],
                       "' is ", builder.shape(value).ToString(), ", but for ",
                       rows, " rows model.onnx takes ", wanted.ToString()));
    }
    arguments.push_back(value);
  }
  const auto& names = imported.output_names;
  const auto found = std::find(names.begin(), names.end(), output);
  if (names.size() != 1 && found == names.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.onnx: expected one output, or one named '", output,
                     "'; got '", absl::StrJoin(names, "', '"), "'"));
  }
  const size_t place =
      names.size() == 1 ? 0 : static_cast<size_t>(found - names.begin());
  const auto outputs = InlineGraph(graph, arguments, builder);
  BASIN_RETURN_IF_ERROR(builder.status());
  return Output{names[place], outputs[place]};
}

absl::Status OutputShapeError(const OnnxSource::Output& output,
                              const std::string& expected, int rows,
                              const Shape& got) {
  return absl::InvalidArgumentError(
      absl::StrCat("model.onnx: output '", output.name, "': expected ",
                   expected, " with N = ", rows, ", got ", got.ToString()));
}

}  // namespace basin::internal
