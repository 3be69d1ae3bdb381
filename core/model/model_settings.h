#ifndef BASIN_CORE_MODEL_MODEL_SETTINGS_H_
#define BASIN_CORE_MODEL_MODEL_SETTINGS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "core/model/composition.h"
#include "core/model/model_info.h"

namespace basin::internal {

// How the energy is made.
enum class ModelFamily {
  kGraph,
  kClassifier,
  kRbm,
  kBoltzmann,
  kLattice,
  kMixture,
  kComposition,
};

// What is said of an input of the file that is no state.
struct ContextSettings {
  std::string name;
  std::optional<Shape> shape;
  std::optional<float> default_value;
  std::optional<float> lower;
  std::optional<float> upper;
};

struct RbmSettings {
  bool gaussian = false;  // the visible units
};
struct BoltzmannSettings {
  std::vector<int64_t> layers;  // units of each
};
struct LatticeSettings {
  std::vector<int64_t> size;  // sites along each of 1 to 3 axes
  int64_t states = 0;         // q of Potts; 0 = Ising
  double coupling = 0;
  std::vector<double> field;  // empty = 0; one value, or q
  bool periodic = true;
};
struct MixtureSettings {
  struct Component {
    double weight = 1;
    std::vector<double> mean;        // [D]
    std::vector<double> covariance;  // [D * D], or one variance
  };
  std::vector<Component> components;  // empty = in a file
};

// What a config.pbtxt says, checked as far as the file alone can tell.
struct ModelSettings {
  static constexpr int64_t kMaxFileBytes = int64_t{1} << 20;
  static constexpr int64_t kMaxDimension = int64_t{1} << 24;
  static constexpr int64_t kMaxSteps = 1'000'000'000;
  static constexpr int kMaxTileRows = 4096;

  ModelFamily family = ModelFamily::kGraph;
  // What the configuration says of it. The family completes states, shape,
  // domain, context and classes; CompleteInitial() the law.
  ModelInfo info;
  std::optional<Domain> domain;       // info.domain, if one is said
  std::optional<InitialLaw> initial;  // the law, if one is said
  std::vector<ContextSettings> context;
  std::map<int64_t, KnownLogZ> log_z;  // by version; 0 = of the others
  int max_tile_rows = 0;               // 0 = chosen at load

  // Of the family of that name.
  RbmSettings rbm;
  BoltzmannSettings boltzmann;
  LatticeSettings lattice;
  MixtureSettings mixture;
  basin::Composition composition;
};

// Reads the text of a ModelConfig (core/model/model_config.proto).
// InvalidArgument names the line, or the field with what was expected and
// what came.
absl::StatusOr<ModelSettings> ParseModelSettings(const std::string& text);

// Sets info.domain to what the family has: of `kind`, with `classes`. A box
// that the configuration says stays. InvalidArgument if it says another kind.
absl::Status CompleteDomain(DomainKind kind, int64_t classes,
                            ModelSettings* settings);

// Sets info.states, shape and dimension to one state of `shape`, under the
// name and the shape that the configuration says, if any. InvalidArgument if
// that has another number of elements.
absl::Status CompleteState(const Shape& shape, ModelSettings* settings);

// Sets info.initial: the law that the configuration names, if it fits
// info.domain, else the domain's own. Then checks that the default transition
// fits the domain too; without one, gibbs is it where there are blocks.
// REQUIRES: domain and blocks are known.
absl::Status CompleteInitial(ModelSettings* settings);

// Sets info.log_z to what the configuration says of this version, or the
// family knows. InvalidArgument if both do, or for a composition, whose Z
// changes with the versions of its terms. REQUIRES: the domain is known.
absl::Status CompleteLogZ(ModelSettings* settings);

// As ParseModelSettings(), of a file. NotFound if there is none.
absl::StatusOr<ModelSettings> ReadModelSettings(const std::string& path);

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_MODEL_SETTINGS_H_
