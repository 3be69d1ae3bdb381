#include "core/model/model_info.h"

#include <algorithm>
#include <cmath>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

namespace basin {
namespace {

constexpr TransitionKind kAllKinds[] = {TransitionKind::kUla,
                                        TransitionKind::kMala,
                                        TransitionKind::kRandomWalk,
                                        TransitionKind::kIgebm,
                                        TransitionKind::kJem,
                                        TransitionKind::kHmc,
                                        TransitionKind::kUnderdamped,
                                        TransitionKind::kUnderdampedMetropolis,
                                        TransitionKind::kMinimize,
                                        TransitionKind::kDelayedAcceptance,
                                        TransitionKind::kGibbs,
                                        TransitionKind::kSiteMetropolis,
                                        TransitionKind::kSiteHeatBath,
                                        TransitionKind::kGibbsWithGradients,
                                        TransitionKind::kDiscreteLangevin};

// What a transition moves.
enum class Moves { kReals, kSites, kBlocks };

Moves MovesOf(TransitionKind kind) {
  switch (kind) {
    case TransitionKind::kUla:
    case TransitionKind::kMala:
    case TransitionKind::kRandomWalk:
    case TransitionKind::kIgebm:
    case TransitionKind::kJem:
    case TransitionKind::kHmc:
    case TransitionKind::kUnderdamped:
    case TransitionKind::kUnderdampedMetropolis:
    case TransitionKind::kMinimize:
    case TransitionKind::kDelayedAcceptance:
      break;
    case TransitionKind::kGibbs:
      return Moves::kBlocks;
    case TransitionKind::kSiteMetropolis:
    case TransitionKind::kSiteHeatBath:
    case TransitionKind::kGibbsWithGradients:
    case TransitionKind::kDiscreteLangevin:
      return Moves::kSites;
  }
  return Moves::kReals;
}

bool Fits(TransitionKind kind, const ModelInfo& model) {
  const bool continuous = model.domain.kind == DomainKind::kContinuous;
  switch (MovesOf(kind)) {
    case Moves::kReals:
      return continuous;
    case Moves::kSites:
      return !continuous;
    case Moves::kBlocks:
      break;
  }
  return !model.blocks.empty();
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

bool Contains(const Domain& domain, absl::Span<const float> state) {
  const auto in_box = [&](float value) {
    return value >= domain.box.lower && value <= domain.box.upper;
  };
  if (!std::all_of(state.begin(), state.end(), in_box)) return false;
  if (domain.kind == DomainKind::kContinuous) return true;
  const auto is_bit = [](float value) { return value == 0 || value == 1; };
  if (!std::all_of(state.begin(), state.end(), is_bit)) return false;
  if (domain.kind == DomainKind::kBinary) return true;
  const auto classes = static_cast<size_t>(domain.classes);
  for (size_t site = 0; site < state.size(); site += classes) {
    const auto values = state.subspan(site, classes);
    if (std::count(values.begin(), values.end(), 1.0F) != 1) return false;
  }
  return true;
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
    case TransitionKind::kHmc:
      return "hmc";
    case TransitionKind::kUnderdamped:
      return "underdamped";
    case TransitionKind::kUnderdampedMetropolis:
      return "underdamped_metropolis";
    case TransitionKind::kMinimize:
      return "minimize";
    case TransitionKind::kGibbs:
      return "gibbs";
    case TransitionKind::kSiteMetropolis:
      return "site_metropolis";
    case TransitionKind::kSiteHeatBath:
      return "site_heat_bath";
    case TransitionKind::kGibbsWithGradients:
      return "gibbs_with_gradients";
    case TransitionKind::kDiscreteLangevin:
      return "discrete_langevin";
    case TransitionKind::kDelayedAcceptance:
      return "delayed_acceptance";
  }
  return "?";
}

absl::Status CheckFits(TransitionKind kind, const ModelInfo& model) {
  if (Fits(kind, model)) return absl::OkStatus();
  std::vector<std::string> fitting;
  for (const TransitionKind other : kAllKinds) {
    if (Fits(other, model)) fitting.emplace_back(Name(other));
  }
  const std::string these =
      absl::StrCat("These fit: ", absl::StrJoin(fitting, ", "));
  if (MovesOf(kind) == Moves::kBlocks) {
    return absl::InvalidArgumentError(absl::StrCat(
        "transition: expected a model with conditional laws for gibbs (family "
        "rbm, lattice, or boltzmann without couplings inside its layers), got "
        "one of family ",
        model.family, " that has none. ", these));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "transition: expected one for a ", std::string(Name(model.domain.kind)),
      " domain, as the model has, got ", std::string(Name(kind)),
      ", which moves in a ",
      MovesOf(kind) == Moves::kReals ? "continuous" : "binary or categorical",
      " one. ", these));
}

absl::Status CheckTemperature(TransitionKind kind, const ModelInfo& model,
                              double inverse_temperature) {
  if (kind != TransitionKind::kGibbs || !model.has_hidden_units ||
      inverse_temperature == 1) {
    return absl::OkStatus();
  }
  const bool continuous = model.domain.kind == DomainKind::kContinuous;
  return absl::InvalidArgumentError(absl::StrCat(
      "inverse_temperature: expected 1 for gibbs on ", model.family,
      ", whose blocks are of the joint law of visible and hidden units, got ",
      inverse_temperature, ". Other temperatures of the energy: transition ",
      continuous ? "mala" : "gibbs_with_gradients"));
}

}  // namespace basin
