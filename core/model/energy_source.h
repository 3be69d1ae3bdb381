#ifndef BASIN_CORE_MODEL_ENERGY_SOURCE_H_
#define BASIN_CORE_MODEL_ENERGY_SOURCE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "core/graph/graph_builder.h"
#include "core/model/model_info.h"

namespace basin::internal {

// The arguments of an energy, as values of a graph of some row count.
struct SourceInputs {
  ValueId state = GraphBuilder::kNoValue;  // [rows, state_shape...]
  std::vector<ValueId> context;  // of ModelInfo::context, [rows, shape...]
};

struct SourceOutputs {
  ValueId energy = GraphBuilder::kNoValue;          // [rows]
  ValueId class_energies = GraphBuilder::kNoValue;  // [rows, K] if K > 0
};

// The law of a block of binary, continuous or categorical variables that are
// independent of each other given all the others: what Gibbs sampling needs.
struct Conditional {
  enum class Law {
    kBernoulli,    // outputs: P(variable = 1)
    kNormal,       // outputs: mean, standard deviation
    kCategorical,  // outputs: P(variable = class), the last axis
  };
  std::string name;  // "h", "v", "layer1", "even sites"
  Law law = Law::kBernoulli;
  // Of the state that the block sets, ascending; empty if the block is not
  // part of the state (hidden units).
  std::vector<int64_t> coordinates;
  // One input, what is given: hidden units [rows, H] or the state
  // [rows, state_shape...]. Outputs are of the block's variables,
  // [rows, variables...].
  Graph graph;
};

// What a family makes of a model's files: its energy as a formula. Immutable;
// thread-safe.
class EnergySource {
 public:
  virtual ~EnergySource() = default;

  // Writes the energy of `rows` rows into `builder`. Sources of the same files
  // that share constants may be put into one graph: common parts are computed
  // once then.
  virtual absl::StatusOr<SourceOutputs> Append(const SourceInputs& inputs,
                                               int rows,
                                               GraphBuilder& builder) const = 0;

  // The blocks that Gibbs sampling goes through, for `rows` rows.
  // Unimplemented for families that have none.
  virtual absl::StatusOr<std::vector<Conditional>> Conditionals(int rows) const;
};

// The energy of `source`, which belongs to `info`, for `rows` rows. Inputs:
// the state, and all context inputs as one [rows, C] if there are any.
// Outputs: energy [rows], and the class energies [rows, K] if there are any.
absl::StatusOr<Graph> BuildEnergyGraph(const EnergySource& source,
                                       const ModelInfo& info, int rows);

// [rows, shape...].
absl::StatusOr<Shape> WithRows(int64_t rows, const Shape& shape);

// Appends what the outputs of `graph` need to `builder`, with `arguments` for
// its inputs, and returns its outputs.
std::vector<ValueId> InlineGraph(const Graph& graph,
                                 absl::Span<const ValueId> arguments,
                                 GraphBuilder& builder);

// The columns [from, from + count) of x [rows, n], as [rows, shape...].
ValueId TakeColumns(GraphBuilder& builder, ValueId x, int64_t from,
                    const Shape& shape);

// Equal for graphs that compute the same from the same constants, within one
// process.
uint64_t Fingerprint(const Graph& graph);

// Bytes of the constants of `graph`, each counted once.
int64_t ConstantBytes(const Graph& graph);

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_ENERGY_SOURCE_H_
