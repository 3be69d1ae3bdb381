#include "core/model/family_settings.h"

#include <algorithm>

#include "core/base/status_macros.h"
#include "core/model/settings_fields.h"

namespace basin::internal {
namespace {

constexpr int kMaxLayers = 64;
constexpr int kMaxAxes = 3;
constexpr int64_t kMaxStates = 4096;      // of a Potts model
constexpr int64_t kMaxComponents = 4096;  // of a mixture

absl::Status ReadRbm(const config::ModelConfig& config,
                     ModelSettings* settings) {
  settings->rbm.gaussian = config.rbm().visible() == config::Rbm::GAUSSIAN;
  return absl::OkStatus();
}

absl::Status ReadBoltzmann(const config::ModelConfig& config,
                           ModelSettings* settings) {
  const auto& layers = config.boltzmann().layer();
  BASIN_RETURN_IF_ERROR(
      CheckRange("boltzmann.layer: layers", layers.size(), 1, kMaxLayers));
  int64_t units = 0;
  for (const int64_t layer : layers) {
    BASIN_RETURN_IF_ERROR(
        CheckRange("boltzmann.layer", layer, 1, ModelSettings::kMaxDimension));
    units += layer;
  }
  settings->boltzmann.layers.assign(layers.begin(), layers.end());
  return CheckRange("boltzmann.layer: units in all", units, 1,
                    ModelSettings::kMaxDimension);
}

absl::Status ReadField(const config::Lattice& config,
                       LatticeSettings* settings) {
  const int64_t wanted = config.states() == 0 ? 1 : config.states();
  if (config.field_size() != 0 && config.field_size() != wanted) {
    return FieldError("lattice.field", absl::StrCat("0 or ", wanted, " values"),
                      config.field_size());
  }
  for (const double value : config.field()) {
    BASIN_RETURN_IF_ERROR(ToFiniteFloat("lattice.field", value).status());
    settings->field.push_back(value);
  }
  return absl::OkStatus();
}

absl::Status ReadLattice(const config::ModelConfig& config,
                         ModelSettings* settings) {
  const config::Lattice& lattice = config.lattice();
  LatticeSettings& result = settings->lattice;
  BASIN_RETURN_IF_ERROR(
      CheckRange("lattice.size: axes", lattice.size_size(), 1, kMaxAxes));
  if (lattice.states() != 0) {
    BASIN_RETURN_IF_ERROR(
        CheckRange("lattice.states", lattice.states(), 2, kMaxStates));
  }
  result.states = lattice.states();
  result.periodic = lattice.boundary() == config::Lattice::PERIODIC;
  int64_t elements = std::max<int64_t>(result.states, 1);
  for (const int64_t size : lattice.size()) {
    // Shorter periodic axes would count an edge twice, or join a site to
    // itself.
    if (result.periodic && size < 3) {
      return FieldError("lattice.size",
                        "at least 3 along a periodic axis (or boundary: FREE)",
                        size);
    }
    BASIN_RETURN_IF_ERROR(
        CheckRange("lattice.size", size, 1, ModelSettings::kMaxDimension));
    elements *= size;
    BASIN_RETURN_IF_ERROR(CheckRange("lattice.size: elements", elements, 1,
                                     ModelSettings::kMaxDimension));
    result.size.push_back(size);
  }
  result.coupling = lattice.coupling();
  BASIN_RETURN_IF_ERROR(
      ToFiniteFloat("lattice.coupling", result.coupling).status());
  return ReadField(lattice, &result);
}

absl::Status ReadMixture(const config::ModelConfig& config,
                         ModelSettings* settings) {
  const auto& components = config.mixture().component();
  BASIN_RETURN_IF_ERROR(CheckRange("mixture.component: components",
                                   components.size(), 0, kMaxComponents));
  for (const auto& component : components) {
    settings->mixture.components.push_back(
        {.weight = component.weight(),
         .mean = {component.mean().begin(), component.mean().end()},
         .covariance = {component.covariance().begin(),
                        component.covariance().end()}});
  }
  return absl::OkStatus();
}

absl::Status ReadComposition(const config::ModelConfig& config,
                             ModelSettings* settings) {
  const config::Composition& composition = config.composition();
  Composition& result = settings->composition;
  result.kind = composition.kind() == config::Composition::MIXTURE
                    ? Composition::Kind::kMixture
                : composition.kind() == config::Composition::DIFFERENCE
                    ? Composition::Kind::kDifference
                    : Composition::Kind::kProduct;
  if (composition.temperature() != 0) {
    result.temperature = composition.temperature();
  }
  for (const auto& term : composition.term()) {
    result.terms.push_back({.name = term.model(),
                            .version = term.version(),
                            .weight = term.has_weight() ? term.weight() : 1});
  }
  const absl::Status valid = CheckComposition(result);
  if (valid.ok()) return valid;
  return absl::InvalidArgumentError(
      absl::StrCat("config.pbtxt: composition: ", valid.message()));
}

// What a family is called, and its message.
struct FamilyEntry {
  config::ModelConfig::Family value;
  ModelFamily family;
  const char* name;
  bool (config::ModelConfig::*has_message)() const;
  absl::Status (*read)(const config::ModelConfig&, ModelSettings*);
};

constexpr FamilyEntry kFamilies[] = {
    {config::ModelConfig::GRAPH, ModelFamily::kGraph, "graph", nullptr,
     nullptr},
    {config::ModelConfig::CLASSIFIER, ModelFamily::kClassifier, "classifier",
     nullptr, nullptr},
    {config::ModelConfig::RBM, ModelFamily::kRbm, "rbm",
     &config::ModelConfig::has_rbm, ReadRbm},
    {config::ModelConfig::BOLTZMANN, ModelFamily::kBoltzmann, "boltzmann",
     &config::ModelConfig::has_boltzmann, ReadBoltzmann},
    {config::ModelConfig::LATTICE, ModelFamily::kLattice, "lattice",
     &config::ModelConfig::has_lattice, ReadLattice},
    {config::ModelConfig::MIXTURE, ModelFamily::kMixture, "mixture",
     &config::ModelConfig::has_mixture, ReadMixture},
    {config::ModelConfig::COMPOSITION, ModelFamily::kComposition, "composition",
     &config::ModelConfig::has_composition, ReadComposition},
};

}  // namespace

absl::Status ReadFamily(const config::ModelConfig& config,
                        ModelSettings* settings) {
  const FamilyEntry* found = nullptr;
  for (const FamilyEntry& entry : kFamilies) {
    if (entry.value == config.family()) found = &entry;
  }
  if (found == nullptr) {
    return FieldError("family",
                      "GRAPH, CLASSIFIER, RBM, BOLTZMANN, LATTICE, MIXTURE or "
                      "COMPOSITION",
                      "none");
  }
  for (const FamilyEntry& entry : kFamilies) {
    if (&entry == found || entry.has_message == nullptr) continue;
    if (!(config.*entry.has_message)()) continue;
    return FieldError(entry.name,
                      absl::StrCat("none, since the family is ", found->name),
                      "one");
  }
  settings->family = found->family;
  settings->info.family = found->name;
  return found->read == nullptr ? absl::OkStatus()
                                : found->read(config, settings);
}

}  // namespace basin::internal
