#include "core/sampler/transition.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "core/base/check.h"
#include "core/sampler/transition_kinds.h"

namespace basin {
namespace internal {
namespace {

bool IsInRange(double value) {
  // False for NaN.
  return value >= kMinParameter && value <= kMaxParameter;
}

std::string RangeText() {
  return absl::StrCat("a number in [", kMinParameter, ", ", kMaxParameter, "]");
}

}  // namespace

absl::Status CheckPositive(absl::string_view field, double value) {
  if (IsInRange(value)) return absl::OkStatus();
  const char* none = "";
  if (value == 0) {
    none = absl::EndsWith(field, "step_size")
               ? " or none, and it is not tuned here"
               : " or none";
  }
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": expected ", RangeText(), ", got ", value, none));
}

absl::Status CheckPositiveOrZero(absl::string_view field, double value,
                                 absl::string_view meaning) {
  if (value == 0 || IsInRange(value)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      field, ": expected ", RangeText(), " or 0 (", meaning, "), got ", value));
}

absl::Status CheckInverseTemperature(double value) {
  return CheckPositive("inverse_temperature", value);
}

absl::Status CheckLeaps(absl::string_view field, int64_t value,
                        int default_value) {
  if (value >= 0 && value <= TileOps::kMaxLeaps) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      field, ": expected a whole number in [1, ", TileOps::kMaxLeaps,
      "] or 0 (the default, ", default_value, "), got ", value));
}

absl::Status CheckShare(absl::string_view field, double value,
                        absl::string_view range) {
  const bool one_is_in = range.back() == ']';
  if (value >= 0 && (one_is_in ? value <= 1 : value < 1)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": expected a number in ", range, ", got ", value));
}

int LeapsOr(const TransitionParams& params, int default_value) {
  return params.leaps == 0 ? default_value : static_cast<int>(params.leaps);
}

double FrictionOr(const TransitionParams& params, double default_value) {
  return params.friction == 0 ? default_value : params.friction;
}

}  // namespace internal

std::string ToString(const DeclaredTarget& target) {
  switch (target.kind) {
    case DeclaredTarget::Kind::kExact:
      return "exact";
    case DeclaredTarget::Kind::kBiased:
      return absl::StrCat("biased(", target.order, ")");
    case DeclaredTarget::Kind::kRecipe:
      break;
  }
  return absl::StrCat("recipe(T=", target.effective_temperature, ")");
}

absl::Span<const Transition* const> AllTransitions() {
  static const Transition* const kAll[] = {
      &internal::UlaTransition(),
      &internal::MalaTransition(),
      &internal::RandomWalkTransition(),
      &internal::IgebmTransition(),
      &internal::JemTransition(),
      &internal::HmcTransition(),
      &internal::UnderdampedTransition(),
      &internal::UnderdampedMetropolisTransition(),
      &internal::MinimizeTransition(),
      &internal::GibbsTransition(),
      &internal::SiteMetropolisTransition(),
      &internal::SiteHeatBathTransition(),
      &internal::GibbsWithGradientsTransition(),
      &internal::DiscreteLangevinTransition(),
      &internal::DelayedAcceptanceTransition(),
  };
  return kAll;
}

const Transition& GetTransition(TransitionKind kind) {
  const Transition* found = nullptr;
  for (const Transition* transition : AllTransitions()) {
    if (transition->kind() == kind) found = transition;
  }
  BASIN_CHECK(found != nullptr);
  return *found;
}

absl::StatusOr<const Transition*> FindTransition(std::string_view name) {
  for (const Transition* transition : AllTransitions()) {
    if (transition->name() == name) return transition;
  }
  const auto add_name = [](std::string* out, const Transition* transition) {
    out->append(transition->name());
  };
  return absl::NotFoundError(
      absl::StrCat("transition: expected one of ",
                   absl::StrJoin(AllTransitions(), ", ", add_name), ", got \"",
                   std::string(name), "\""));
}

}  // namespace basin
