#ifndef BASIN_CORE_MODEL_ENERGY_SOURCE_H_
#define BASIN_CORE_MODEL_ENERGY_SOURCE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "core/backend/discrete_ops.h"
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

// NeighbourField on the host.
struct NeighbourTable {
  int64_t sites = 0;                // of the state
  std::vector<int32_t> neighbours;  // [degree, n]
  std::vector<float> weights;       // [degree, n]
  std::vector<float> bias;          // [n], or [n, q]
};

// The law of a block of binary, continuous or categorical variables that are
// independent of each other given all the others: what Gibbs sampling needs.
struct Conditional {
  // What is given.
  enum class Given { kState, kHidden };
  BlockLaw::Kind kind = BlockLaw::Kind::kBernoulli;
  int64_t variables = 0;  // n
  int64_t classes = 0;    // q of kCategorical
  // Of the state that the block sets, ascending: coordinates, or one-hot
  // sites. Empty if the block is the hidden units.
  std::vector<int32_t> sites;
  Given given = Given::kState;
  // What BlockLaw calls parameters, in one of two ways. A graph has one input,
  // hidden units [rows, H] or the state [rows, state_shape...], and outputs
  // [rows, n...]: the parameters, and the deviations of kNormal.
  Graph graph;
  std::optional<NeighbourTable> table;
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

  // The blocks that Gibbs sampling goes through, those of ModelInfo::blocks,
  // for `rows` rows; empty for families that have none. At most one is of
  // hidden units, and stands before those that are given these.
  virtual absl::StatusOr<std::vector<Conditional>> Conditionals(int rows) const;

  // Bytes of all NeighbourTables of Conditionals(), for a check before these
  // are made.
  virtual int64_t TableBytes() const { return 0; }
};

// The energy of `source`, which belongs to `info`, for `rows` rows. Inputs:
// the state, and all context inputs as one [rows, C] if there are any.
// Outputs: energy [rows], and the class energies [rows, K] if there are any.
absl::StatusOr<Graph> BuildEnergyGraph(const EnergySource& source,
                                       const ModelInfo& info, int rows);

// from, ..., from + count - 1.
std::vector<int32_t> Range(int64_t from, int64_t count);

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

// Equal for graphs that compute the same from the same constants, on every
// server.
uint64_t Fingerprint(const Graph& graph);

// Bytes of the constants of `graph`, each counted once.
int64_t ConstantBytes(const Graph& graph);

}  // namespace basin::internal

#endif  // BASIN_CORE_MODEL_ENERGY_SOURCE_H_
