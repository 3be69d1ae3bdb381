#include "core/model/model_info.h"

#include <cmath>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

namespace basin {
namespace {

constexpr TransitionKind kAllKinds[] = {
    TransitionKind::kUla, TransitionKind::kMala, TransitionKind::kRandomWalk,
    TransitionKind::kIgebm, TransitionKind::kJem};

// The domain that a transition moves in.
DomainKind DomainOf(TransitionKind kind) {
  switch (kind) {
    case TransitionKind::kUla:
    case TransitionKind::kMala:
    case TransitionKind::kRandomWalk:
    case TransitionKind::kIgebm:
    case TransitionKind::kJem:
      break;
  }
  return DomainKind::kContinuous;
}

}  // namespace

std::string_view Name(DomainKind kind) {
  switch (kind) {
    case DomainKind::kContinuous:
      return "continuous";
    case DomainKind::kBinary:
      return "binary";
    case DomainKind::kCategorical:
      return "categorical";
  }
  return "?";
}

std::string ToString(const Domain& domain) {
  std::string text(Name(domain.kind));
  if (domain.kind == DomainKind::kCategorical) {
    absl::StrAppend(&text, " of ", domain.classes);
  }
  const bool bounded =
      std::isfinite(domain.box.lower) || std::isfinite(domain.box.upper);
  if (domain.kind == DomainKind::kContinuous && bounded) {
    absl::StrAppend(&text, " in [", domain.box.lower, ", ", domain.box.upper,
                    "]");
  }
  return text;
}

std::string_view Name(TransitionKind kind) {
  switch (kind) {
    case TransitionKind::kUla:
      return "ula";
    case TransitionKind::kMala:
      return "mala";
    case TransitionKind::kRandomWalk:
      return "random_walk";
    case TransitionKind::kIgebm:
      return "igebm";
    case TransitionKind::kJem:
      return "jem";
  }
  return "?";
}

absl::Status CheckFits(TransitionKind kind, const ModelInfo& model) {
  if (DomainOf(kind) == model.domain.kind) return absl::OkStatus();
  std::vector<std::string> fitting;
  for (const TransitionKind other : kAllKinds) {
    if (DomainOf(other) == model.domain.kind) {
      fitting.emplace_back(Name(other));
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "transition: expected one for a ", std::string(Name(model.domain.kind)),
      " domain, as the model has, got ", std::string(Name(kind)),
      ", which moves in a ", std::string(Name(DomainOf(kind))), " one. ",
      fitting.empty()
          ? "No transition of this build fits: the model can be scored only"
          : absl::StrCat("These fit: ", absl::StrJoin(fitting, ", "))));
}

}  // namespace basin
