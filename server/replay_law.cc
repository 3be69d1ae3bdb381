#include "server/replay_law.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <absl/strings/str_cat.h>

#include "core/replay/replay_buffer.h"

namespace basin {
namespace {

const ContextInput* LabelInput(const ModelInfo& model) {
  for (const ContextInput& input : model.context) {
    if (input.name == kLabelInput && input.shape.num_elements() == 1) {
      return &input;
    }
  }
  return nullptr;
}

bool HasDefault(const ContextInput& input, absl::Span<const float> row) {
  const auto values =
      row.subspan(static_cast<size_t>(input.offset),
                  static_cast<size_t>(input.shape.num_elements()));
  return input.default_value.has_value() &&
         std::all_of(values.begin(), values.end(), [&input](float value) {
           return value == *input.default_value;
         });
}

// The inputs of a context, [rows, C], that are neither at their defaults nor
// the label.
std::string ChangedContext(const ModelInfo& model,
                           absl::Span<const float> context) {
  const auto width = static_cast<size_t>(model.context_dimension);
  const ContextInput* label = LabelInput(model);
  for (const ContextInput& input : model.context) {
    if (&input == label) continue;
    for (size_t at = 0; at < context.size(); at += width) {
      if (HasDefault(input, context.subspan(at, width))) continue;
      return absl::StrCat("context.", input.name);
    }
  }
  return "";
}

// Of one row of the context; nothing if its label is none that states can have.
std::optional<int32_t> LabelOf(const ContextInput& input,
                               absl::Span<const float> row) {
  if (HasDefault(input, row)) return kNoReplayLabel;
  const float value = row[static_cast<size_t>(input.offset)];
  if (!(value >= 0 && value < kMaxReplayLabels) || value != std::floor(value)) {
    return std::nullopt;
  }
  return static_cast<int32_t>(value);
}

bool IsOtherBox(const SampleSpec& spec, const ModelInfo& model) {
  for (size_t i = 0; i < static_cast<size_t>(model.dimension); ++i) {
    if (!(spec.box_of(i) == model.domain.box)) return true;
  }
  return false;
}

std::string OtherLaw(const SampleSpec& spec, const ModelInfo& model) {
  const auto is_clamped = [](float scale) { return scale == 0; };
  if (std::any_of(spec.scale.begin(), spec.scale.end(), is_clamped)) {
    return "clamp";
  }
  if (IsOtherBox(spec, model)) return "box";
  if (spec.inverse_temperature != 1) return "inverse_temperature";
  if (spec.annealing.direction == AnnealingOptions::Direction::kReverse) {
    return "annealing.direction";
  }
  return ChangedContext(model, spec.context);
}

}  // namespace

ReplayLaw ReplayLawOf(const SampleSpec& spec, const ModelInfo& model) {
  ReplayLaw law;
  law.other = OtherLaw(spec, model);
  const ContextInput* input = LabelInput(model);
  if (input == nullptr) return law;
  const auto width = static_cast<size_t>(model.context_dimension);
  const absl::Span<const float> context = spec.context;
  const bool one = context.size() == width;
  const auto chains = static_cast<size_t>(spec.chains);
  law.labels.reserve(chains);
  for (size_t chain = 0; chain < chains; ++chain) {
    const auto label =
        LabelOf(*input, context.subspan(one ? 0 : chain * width, width));
    if (!label.has_value()) law.other = absl::StrCat("context.", input->name);
    law.labels.push_back(label.value_or(kNoReplayLabel));
  }
  return law;
}

absl::StatusOr<int32_t> ReplayLabel(int64_t label, const ModelInfo& model) {
  const ContextInput* input = LabelInput(model);
  if (input == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("label: expected none, since ", model.name,
                     " has no context input \"label\", got ", label));
  }
  const double most = std::min<double>(input->upper, kMaxReplayLabels - 1);
  if (label >= 0 && static_cast<double>(label) <= most) {
    const auto value = static_cast<float>(label);
    return input->default_value == value ? kNoReplayLabel
                                         : static_cast<int32_t>(label);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("label: expected 0 to ", most, ", got ", label));
}

}  // namespace basin
