#ifndef BASIN_CORE_MODEL_MODEL_INFO_H_
#define BASIN_CORE_MODEL_MODEL_INFO_H_

// What is known of a model version. Value types; thread-safe for readers.

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <absl/status/status.h>
#include <absl/types/span.h>

#include "core/backend/backend.h"
#include "core/tensor/dtype.h"
#include "core/tensor/shape.h"

namespace basin {

// Bounds of every coordinate; infinite = none.
struct Box {
  float lower = -std::numeric_limits<float>::infinity();
  float upper = std::numeric_limits<float>::infinity();

  friend bool operator==(const Box&, const Box&) = default;
};

enum class DomainKind {
  kContinuous,   // R^D, or a box in it
  kBinary,       // {0, 1}^D
  kCategorical,  // one of `classes` per site, one-hot in the last axis
};
// "continuous", "binary", "categorical".
std::string_view Name(DomainKind kind);

// Where states live. Energies are defined around it too, so that they have
// gradients.
struct Domain {
  DomainKind kind = DomainKind::kContinuous;
  Box box;              // [0, 1] unless kContinuous
  int64_t classes = 0;  // q of kCategorical, the last axis of the state

  friend bool operator==(const Domain&, const Domain&) = default;
};

// Whether `state`, [D], is one of the domain.
bool Contains(const Domain& domain, absl::Span<const float> state);

// "continuous", "continuous in [0, 1]", "binary", "categorical of 5".
std::string ToString(const Domain& domain);

// The law of chains that start from noise, of each coordinate or site.
struct UniformLaw {
  float lower = 0;
  float upper = 1;
};
struct NormalLaw {
  float mean = 0;
  float stddev = 1;
};
struct BernoulliLaw {
  float p = 0.5f;  // of 1
};
struct UniformCategoryLaw {
  int64_t classes = 1;
};
// A mixture of Gaussians, shared between copies.
struct MixtureLaw {
  struct Component {
    double weight = 0;         // of all together, 1
    std::vector<double> mean;  // [D]
    // L of the covariance L L^T: its diagonal, [D], or all of it, [D, D].
    std::vector<double> factor;
  };
  std::shared_ptr<const std::vector<Component>> components;  // at least one
};
using InitialLaw = std::variant<UniformLaw, NormalLaw, BernoulliLaw,
                                UniformCategoryLaw, MixtureLaw>;

// Which transition a request gets that names none, and its parameters.
enum class TransitionKind {
  kUla,
  kMala,
  kRandomWalk,
  kIgebm,
  kJem,
  kHmc,
  kUnderdamped,            // BAOAB
  kUnderdampedMetropolis,  // corrected
  kMinimize,
  kGibbs,           // blocks, from a model's conditional laws
  kSiteMetropolis,  // single sites, from energies alone
  kSiteHeatBath,    // the same
  kGibbsWithGradients,
  kDiscreteLangevin,
  kDelayedAcceptance,
};
struct TransitionParams {
  TransitionKind kind = TransitionKind::kUla;
  double step_size = 0;      // see core/model/model_config.proto; 0 = not set
  double noise_std = 0;      // kIgebm, kJem
  double gradient_clip = 0;  // kIgebm; 0 = none
  // kHmc, kDelayedAcceptance (inner steps), discrete single-site transitions
  // (sites per step); 0 = not set.
  int64_t leaps = 0;
  double jitter = 0;    // kHmc: share of the length that is random, [0, 1]
  double friction = 0;  // kUnderdamped*, per unit of time
  double momentum = 0;  // kMinimize, [0, 1)
};
// As in the API: "ula", "random_walk", ...
std::string_view Name(TransitionKind kind);

enum class ReplayWritePolicy { kInPlace, kFifo };
enum class ReplayReadPolicy { kWithReplacement, kWithoutReplacement };
struct ReplayOptions {
  int64_t capacity = 0;  // states; 0 = the model has no replay buffer
  double restart_probability = 0;
  ReplayWritePolicy write_policy = ReplayWritePolicy::kInPlace;
  ReplayReadPolicy read_policy = ReplayReadPolicy::kWithReplacement;
};

// A part of the state that has a name: its elements are the coordinates
// offset to offset + shape.num_elements() of D.
struct StateInput {
  std::string name;
  Shape shape;
  int64_t offset = 0;
};

// A value that comes with the request and stays fixed: a label, tokens, an
// observed image. Its elements are offset to offset + shape.num_elements() of
// the C floats of a row; what the file declares as integers or truth values
// are whole numbers there, exact up to 2^24.
struct ContextInput {
  std::string name;
  Shape shape;  // of one row
  DType dtype = DType::kFloat32;
  // Of every element, where a request gives none; nothing = it must give one.
  std::optional<float> default_value;
  // What is accepted, both included.
  float lower = -std::numeric_limits<float>::infinity();
  float upper = std::numeric_limits<float>::infinity();
  int64_t offset = 0;
};

// The context input of classifiers that picks E(x, y); -1, the default, means
// the energy of x alone.
inline constexpr std::string_view kLabelInput = "label";

// ln Z, Z = the integral or sum of exp(-E(x)) over the domain, as somebody
// computed or estimated it.
struct KnownLogZ {
  double value = 0;
  double standard_error = 0;  // 0 = `value` is exact

  friend bool operator==(const KnownLogZ&, const KnownLogZ&) = default;
};

// What is known of a model version; all of it constant.
struct ModelInfo {
  std::string name;
  int64_t version = 0;
  std::string family;  // "graph", "classifier", "rbm", ...
  // At least one; their coordinates follow each other.
  std::vector<StateInput> states;
  std::string input_name;  // of the only state; "" if there are several
  Shape state_shape;       // of the only state; [D] if there are several
  int64_t dimension = 0;   // D, elements of all states
  double uint8_scale = 0;
  std::vector<ContextInput> context;
  int64_t context_dimension = 0;  // C, elements of all of `context`
  int64_t classes = 0;  // K of the class energies; 0 = the model has none
  // What Gibbs sampling goes through, in order; empty = the model has no
  // conditional laws. With hidden units these are of the joint law at beta = 1.
  std::vector<std::string> blocks;
  bool has_hidden_units = false;
  Precision precision = Precision::kFloat32;
  Domain domain;
  InitialLaw initial;
  // With the defaults of all context inputs.
  std::optional<KnownLogZ> log_z;
  int64_t default_steps = 100;
  bool has_default_transition = false;
  TransitionParams default_transition;
  ReplayOptions replay;
  int64_t max_chains = 0;              // 0 = the server's limit
  int64_t parameters = 0;              // weights in the file
  std::vector<std::string> operators;  // "Conv x4", as imported
  // Of the energy's graph and weights; equal for equal ones.
  uint64_t fingerprint = 0;
};

// Whether chains of `model` can move by a transition of `kind`.
// InvalidArgument says why not, and which transitions can.
absl::Status CheckFits(TransitionKind kind, const ModelInfo& model);

// Whether they can at this inverse temperature. InvalidArgument with the
// remedy: Gibbs sampling through hidden units knows beta = 1 alone.
absl::Status CheckTemperature(TransitionKind kind, const ModelInfo& model,
                              double inverse_temperature);

}  // namespace basin

#endif  // BASIN_CORE_MODEL_MODEL_INFO_H_
