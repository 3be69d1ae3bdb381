#include "core/model/composition_family.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include <absl/container/flat_hash_map.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "core/base/status_macros.h"
#include "core/model/model_folders.h"
#include "core/model/settings_fields.h"

namespace basin {
namespace internal {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxDepth = 4;

class CompositionFamily final : public EnergySource {
 public:
  struct Term {
    std::shared_ptr<const EnergySource> source;
    std::vector<size_t> context;  // places in the united context
    double weight = 1;
  };

  CompositionFamily(const Composition& composition, int64_t classes,
                    std::vector<Term> terms)
      : kind_(composition.kind),
        temperature_(composition.temperature),
        has_classes_(classes > 0),
        terms_(std::move(terms)) {}

  absl::StatusOr<SourceOutputs> Append(const SourceInputs& inputs, int rows,
                                       GraphBuilder& builder) const override {
    absl::flat_hash_map<const EnergySource*, SourceOutputs> known;
    std::vector<ValueId> energies;
    std::vector<ValueId> class_energies;
    for (const Term& term : terms_) {
      const auto [place, is_new] =
          known.try_emplace(term.source.get(), SourceOutputs());
      if (is_new) {
        SourceInputs own;
        own.state = inputs.state;
        for (const size_t i : term.context) {
          own.context.push_back(inputs.context[i]);
        }
        BASIN_ASSIGN_OR_RETURN(place->second,
                               term.source->Append(own, rows, builder));
      }
      const SourceOutputs& outputs = place->second;
      energies.push_back(outputs.energy);
      // Without classes of its own, E_i(x, y) is E_i(x).
      const bool has_own = outputs.class_energies != GraphBuilder::kNoValue;
      class_energies.push_back(has_own ? outputs.class_energies
                                       : outputs.energy);
    }
    SourceOutputs result;
    result.energy = builder.CombineEnergies(energies, Combined());
    if (has_classes_) {
      result.class_energies =
          builder.CombineEnergies(class_energies, Combined());
    }
    return result;
  }

 private:
  CombineAttrs Combined() const {
    const bool is_mixture = kind_ == Composition::Kind::kMixture;
    CombineAttrs result;
    result.kind =
        is_mixture ? CombineAttrs::Kind::kMixture : CombineAttrs::Kind::kSum;
    for (const Term& term : terms_) result.weights.push_back(term.weight);
    // A difference is a sum with a negative weight.
    if (kind_ == Composition::Kind::kDifference) result.weights[1] *= -1;
    result.temperature = temperature_;
    return result;
  }

  const Composition::Kind kind_;
  const double temperature_;
  const bool has_classes_;
  const std::vector<Term> terms_;
};

// K, if E(x, y) follows from the terms for every class y: those with classes
// have as many, and there are some; no other term depends on a label. Else 0.
int64_t CommonClasses(absl::Span<const OpenedModel> terms) {
  int64_t classes = 0;
  for (const OpenedModel& term : terms) {
    const ModelInfo& info = term.settings.info;
    const bool has_label = std::any_of(
        info.context.begin(), info.context.end(),
        [](const ContextInput& input) { return input.name == kLabelInput; });
    if (!has_label) continue;
    if (classes == 0) classes = info.classes;
    if (info.classes == 0 || info.classes != classes) return 0;
  }
  return classes;
}

std::string Describe(const ModelInfo& info) {
  return absl::StrCat("model '", info.name, "' version ", info.version);
}

absl::Status CheckSameDomain(const ModelInfo& a, const ModelInfo& b) {
  const auto differ = [&](const std::string& what, const std::string& of_a,
                          const std::string& of_b) {
    return absl::InvalidArgumentError(absl::StrCat(
        "composition: expected one domain, but ", Describe(a), " has ", what,
        " ", of_a, " and ", Describe(b), " has ", of_b));
  };
  if (!(a.state_shape == b.state_shape)) {
    return differ("states of", a.state_shape.ToString(),
                  b.state_shape.ToString());
  }
  if (!(a.domain == b.domain)) {
    return differ("the domain", ToString(a.domain), ToString(b.domain));
  }
  if (a.states.size() != b.states.size()) {
    return differ("state inputs:", absl::StrCat(a.states.size()),
                  absl::StrCat(b.states.size()));
  }
  for (size_t i = 0; i < a.states.size(); ++i) {
    if (a.states[i].shape == b.states[i].shape) continue;
    return differ(absl::StrCat("the state input ", i, " of"),
                  a.states[i].shape.ToString(), b.states[i].shape.ToString());
  }
  return absl::OkStatus();
}

// Narrows `known` to what both accept.
absl::Status Unite(const ContextInput& other, const ModelInfo& term,
                   ContextInput* known) {
  if (!(known->shape == other.shape) || known->dtype != other.dtype) {
    return absl::InvalidArgumentError(absl::StrCat(
        "composition: context '", other.name, "': expected ",
        std::string(Name(known->dtype)), " ", known->shape.ToString(),
        " as in the terms before, ", Describe(term), " has ",
        std::string(Name(other.dtype)), " ", other.shape.ToString()));
  }
  known->lower = std::max(known->lower, other.lower);
  known->upper = std::min(known->upper, other.upper);
  if (known->default_value != other.default_value) known->default_value = {};
  if (known->lower <= known->upper) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("composition: context '", other.name,
                   "': no value is in the range of all terms"));
}

// The places of the term's context inputs in info->context, which grows.
absl::StatusOr<std::vector<size_t>> UniteContext(const ModelInfo& term,
                                                 ModelInfo* info) {
  std::vector<size_t> places;
  for (const ContextInput& input : term.context) {
    const auto known = std::find_if(
        info->context.begin(), info->context.end(),
        [&](const ContextInput& other) { return other.name == input.name; });
    places.push_back(static_cast<size_t>(known - info->context.begin()));
    if (known != info->context.end()) {
      BASIN_RETURN_IF_ERROR(Unite(input, term, &*known));
      continue;
    }
    info->context.push_back(input);
    info->context.back().offset = info->context_dimension;
    info->context_dimension += input.shape.num_elements();
  }
  return places;
}

// What the first term says of states and domain.
void TakeFromFirst(const ModelInfo& first, ModelSettings* settings) {
  ModelInfo& info = settings->info;
  info.states = first.states;
  info.input_name = first.input_name;
  info.state_shape = first.state_shape;
  info.dimension = first.dimension;
  info.uint8_scale = first.uint8_scale;
  info.domain = first.domain;
  if (!settings->initial.has_value()) settings->initial = first.initial;
  if (info.has_default_transition || !first.has_default_transition) return;
  // A composition has no conditional laws.
  if (!CheckFits(first.default_transition.kind, info).ok()) return;
  info.has_default_transition = first.has_default_transition;
  info.default_transition = first.default_transition;
}

// The folder version that version 0 means is the highest.
absl::StatusOr<OpenedModel> OpenTerm(const ModelFiles& files,
                                     const Composition::Term& term) {
  if (!IsPlainName(term.name)) {
    return FieldError("composition.term.model", "the name of a model",
                      absl::StrCat("'", term.name, "'"));
  }
  if (--*files.terms_left < 0) {
    return absl::InvalidArgumentError(
        "compositions of compositions have at most 64 terms in all");
  }
  ModelFiles of_term = files;
  of_term.depth = files.depth + 1;
  of_term.version = term.version;
  of_term.folder = (fs::path(files.folder).parent_path() / term.name).string();
  if (term.version == 0) {
    of_term.version = HighestVersion(of_term.folder).value_or(1);
  }
  auto model = OpenModel(of_term, term.name);
  if (model.ok()) return model;
  return absl::Status(
      model.status().code(),
      absl::StrCat("term '", term.name, "' version ", of_term.version, ": ",
                   model.status().message()));
}

}  // namespace

SourceOr ComposeSources(const Composition& composition,
                        std::vector<OpenedModel> terms,
                        ModelSettings* settings) {
  TakeFromFirst(terms[0].settings.info, settings);
  ModelInfo& info = settings->info;
  std::vector<CompositionFamily::Term> parts;
  absl::flat_hash_map<const EnergySource*, bool> counted;
  for (size_t i = 0; i < terms.size(); ++i) {
    const ModelInfo& term = terms[i].settings.info;
    BASIN_RETURN_IF_ERROR(CheckSameDomain(terms[0].settings.info, term));
    CompositionFamily::Term& part = parts.emplace_back();
    part.source = terms[i].source;
    part.weight = composition.terms[i].weight;
    BASIN_ASSIGN_OR_RETURN(part.context, UniteContext(term, &info));
    if (!counted.try_emplace(part.source.get(), true).second) continue;
    info.parameters += term.parameters;
    info.operators.push_back(absl::StrCat(term.name, "/", term.version));
  }
  info.classes = CommonClasses(terms);
  return std::make_shared<CompositionFamily>(composition, info.classes,
                                             std::move(parts));
}

SourceOr OpenComposition(const ModelFiles& files, ModelSettings* settings) {
  const Composition& composition = settings->composition;
  if (files.depth >= kMaxDepth) {
    return absl::InvalidArgumentError(
        absl::StrCat("compositions of compositions are at most ", kMaxDepth,
                     " deep; is one a term of itself?"));
  }
  if (settings->domain.has_value()) {
    return FieldError("domain", "none, since the terms have theirs", "one");
  }
  std::vector<OpenedModel> terms;
  for (size_t i = 0; i < composition.terms.size(); ++i) {
    const Composition::Term& term = composition.terms[i];
    const auto same = std::find_if(
        composition.terms.begin(), composition.terms.begin() + i,
        [&](const Composition::Term& other) {
          return other.name == term.name && other.version == term.version;
        });
    const auto place = static_cast<size_t>(same - composition.terms.begin());
    if (place < i) {
      terms.push_back(terms[place]);
      continue;
    }
    BASIN_ASSIGN_OR_RETURN(OpenedModel opened, OpenTerm(files, term));
    terms.push_back(std::move(opened));
  }
  return ComposeSources(composition, std::move(terms), settings);
}

std::string ToString(const Composition& composition) {
  const char* kind = composition.kind == Composition::Kind::kProduct ? "product"
                     : composition.kind == Composition::Kind::kMixture
                         ? "mixture"
                         : "difference";
  return absl::StrCat(
      kind, "(",
      absl::StrJoin(composition.terms, ", ",
                    [](std::string* out, const Composition::Term& term) {
                      absl::StrAppend(out, term.weight, " ", term.name, "/",
                                      term.version);
                    }),
      ")",
      composition.temperature == 1
          ? ""
          : absl::StrCat(" at temperature ", composition.temperature));
}

}  // namespace internal

absl::Status CheckComposition(const Composition& composition) {
  const auto error = [](const std::string& field, const std::string& expected,
                        double got) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": expected ", expected, ", got ", got));
  };
  const auto count = static_cast<double>(composition.terms.size());
  const bool is_difference = composition.kind == Composition::Kind::kDifference;
  if (count < 1 || count > Composition::kMaxTerms) {
    return error("terms", absl::StrCat("1 to ", Composition::kMaxTerms), count);
  }
  if (is_difference && count != 2) {
    return error("terms", "two of a difference", count);
  }
  const auto is_float = [](double value) {
    return std::isfinite(static_cast<float>(value));
  };
  for (size_t i = 0; i < composition.terms.size(); ++i) {
    const double weight = composition.terms[i].weight;
    const std::string field = absl::StrCat("terms[", i, "].weight");
    if (!is_float(weight)) return error(field, "a finite number", weight);
    if (composition.kind == Composition::Kind::kMixture &&
        !(static_cast<float>(weight) > 0)) {
      return error(field, "more than 0 in a mixture, as a float32", weight);
    }
    if (is_difference && i == 0 && weight != 1) {
      return error(field, "1 for the first term of a difference", weight);
    }
    if (composition.terms[i].version < 0) {
      return error(absl::StrCat("terms[", i, "].version"), "at least 0",
                   static_cast<double>(composition.terms[i].version));
    }
  }
  const double t = composition.temperature;
  if (t > 0 && is_float(t) && is_float(1 / t)) return absl::OkStatus();
  return error("temperature", "finite, and more than 0", t);
}

}  // namespace basin
