#include "core/model/domain_settings.h"

#include <cmath>
#include <string>
#include <variant>

#include "core/base/status_macros.h"
#include "core/model/initial_mixture.h"
#include "core/model/settings_fields.h"

namespace basin::internal {
namespace {

absl::Status ReadBox(const config::Domain& config, Box* box) {
  if (config.has_lower()) {
    BASIN_ASSIGN_OR_RETURN(box->lower, ToFloat("domain.lower", config.lower()));
  }
  if (config.has_upper()) {
    BASIN_ASSIGN_OR_RETURN(box->upper, ToFloat("domain.upper", config.upper()));
  }
  if (box->lower < box->upper) return absl::OkStatus();
  return FieldError("domain.upper",
                    absl::StrCat("more than lower = ", box->lower), box->upper);
}

absl::StatusOr<InitialLaw> ReadUniform(const config::Initial::Uniform& config) {
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
  return law;
}

absl::StatusOr<InitialLaw> ReadNormal(const config::Initial::Normal& config) {
  NormalLaw law;
  BASIN_ASSIGN_OR_RETURN(law.mean,
                         ToFiniteFloat("initial.normal.mean", config.mean()));
  BASIN_RETURN_IF_ERROR(
      CheckPositive("initial.normal.stddev", config.stddev()));
  BASIN_ASSIGN_OR_RETURN(law.stddev,
                         ToFloat("initial.normal.stddev", config.stddev()));
  return law;
}

absl::StatusOr<InitialLaw> ReadBernoulli(
    const config::Initial::Bernoulli& config) {
  if (config.p() >= 0 && config.p() <= 1) {
    return BernoulliLaw{static_cast<float>(config.p())};
  }
  return FieldError("initial.bernoulli.p", "0 to 1", config.p());
}

// The law of a model that names none.
absl::StatusOr<InitialLaw> DefaultLaw(const Domain& domain) {
  if (domain.kind == DomainKind::kBinary) return BernoulliLaw{};
  if (domain.kind == DomainKind::kCategorical) {
    return UniformCategoryLaw{domain.classes};
  }
  const bool lower = std::isfinite(domain.box.lower);
  const bool upper = std::isfinite(domain.box.upper);
  if (lower != upper) {
    return absl::InvalidArgumentError(
        "config.pbtxt: initial: expected a law, since the domain is bounded "
        "on one side only; got none");
  }
  if (lower) return UniformLaw{domain.box.lower, domain.box.upper};
  return NormalLaw{};
}

// Which domains a law belongs to, and what it is called.
struct LawFacts {
  DomainKind domain;
  const char* name;
};
LawFacts FactsOf(const UniformLaw&) {
  return {DomainKind::kContinuous, "uniform"};
}
LawFacts FactsOf(const NormalLaw&) {
  return {DomainKind::kContinuous, "normal"};
}
LawFacts FactsOf(const MixtureLaw&) {
  return {DomainKind::kContinuous, "mixture"};
}
LawFacts FactsOf(const BernoulliLaw&) {
  return {DomainKind::kBinary, "bernoulli"};
}
LawFacts FactsOf(const UniformCategoryLaw&) {
  return {DomainKind::kCategorical, "uniform_category"};
}

absl::Status CheckLaw(const InitialLaw& law, const Domain& domain,
                      int64_t dimension) {
  const LawFacts facts =
      std::visit([](const auto& kind) { return FactsOf(kind); }, law);
  if (facts.domain != domain.kind) {
    return FieldError(
        "initial",
        absl::StrCat("a law of a ", std::string(Name(domain.kind)), " domain"),
        facts.name);
  }
  if (const auto* mixture = std::get_if<MixtureLaw>(&law)) {
    return CheckInitialMixture(*mixture, domain.box, dimension);
  }
  const auto* uniform = std::get_if<UniformLaw>(&law);
  if (uniform == nullptr) return absl::OkStatus();
  const Box& box = domain.box;
  if (uniform->lower >= box.lower && uniform->upper <= box.upper) {
    return absl::OkStatus();
  }
  return FieldError(
      "initial.uniform",
      absl::StrCat("within the domain, [", box.lower, ", ", box.upper, "]"),
      absl::StrCat("[", uniform->lower, ", ", uniform->upper, "]"));
}

}  // namespace

absl::Status ReadDomain(const config::ModelConfig& config,
                        ModelSettings* settings) {
  if (!config.has_domain()) return absl::OkStatus();
  Domain& domain = settings->domain.emplace();
  switch (config.domain().kind()) {
    case config::Domain::BINARY:
      domain.kind = DomainKind::kBinary;
      break;
    case config::Domain::CATEGORICAL:
      domain.kind = DomainKind::kCategorical;
      break;
    default:
      return ReadBox(config.domain(), &domain.box);
  }
  if (config.domain().has_lower() || config.domain().has_upper()) {
    return FieldError(
        "domain",
        absl::StrCat("no bounds, since it is ", std::string(Name(domain.kind))),
        "some");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<InitialLaw>> ReadInitial(
    const config::Initial& config) {
  absl::StatusOr<InitialLaw> law;
  switch (config.law_case()) {
    case config::Initial::kUniform:
      law = ReadUniform(config.uniform());
      break;
    case config::Initial::kNormal:
      law = ReadNormal(config.normal());
      break;
    case config::Initial::kBernoulli:
      law = ReadBernoulli(config.bernoulli());
      break;
    case config::Initial::kUniformCategory:
      law = UniformCategoryLaw{};
      break;
    case config::Initial::kMixture:
      law = ReadInitialMixture(config.mixture());
      break;
    case config::Initial::LAW_NOT_SET:
      return std::optional<InitialLaw>();
  }
  BASIN_RETURN_IF_ERROR(law.status());
  return std::optional<InitialLaw>(*std::move(law));
}

absl::Status CompleteDomain(DomainKind kind, int64_t classes,
                            ModelSettings* settings) {
  Domain& domain = settings->info.domain;
  domain = Domain();
  domain.kind = kind;
  domain = settings->domain.value_or(domain);
  if (domain.kind != kind) {
    return FieldError("domain",
                      absl::StrCat(std::string(Name(kind)), ", as family ",
                                   settings->info.family, " has it, or none"),
                      ToString(domain));
  }
  domain.classes = classes;
  if (kind != DomainKind::kContinuous) domain.box = {0, 1};
  return absl::OkStatus();
}

absl::Status CompleteInitial(ModelSettings* settings) {
  ModelInfo& info = settings->info;
  if (settings->initial.has_value()) {
    BASIN_RETURN_IF_ERROR(
        CheckLaw(*settings->initial, info.domain, info.dimension));
    info.initial = *settings->initial;
    if (auto* law = std::get_if<UniformCategoryLaw>(&info.initial)) {
      law->classes = info.domain.classes;
    }
  } else {
    BASIN_ASSIGN_OR_RETURN(info.initial, DefaultLaw(info.domain));
  }
  if (!info.has_default_transition && !info.blocks.empty()) {
    info.has_default_transition = true;
    info.default_transition.kind = TransitionKind::kGibbs;
  }
  if (!info.has_default_transition) return absl::OkStatus();
  const absl::Status fits = CheckFits(info.default_transition.kind, info);
  if (fits.ok()) return fits;
  return absl::InvalidArgumentError(
      absl::StrCat("config.pbtxt: defaults.", fits.message()));
}

}  // namespace basin::internal
