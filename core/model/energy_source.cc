#include "core/model/energy_source.h"

#include <zlib.h>

#include <numeric>
#include <utility>

#include <absl/container/flat_hash_set.h>
#include <absl/status/status.h>

#include "core/base/check.h"
#include "core/base/status_macros.h"
#include "core/graph/simplify.h"

namespace basin::internal {
namespace {

// Calls `visit` with every constant, once for each id.
template <typename Visit>
void ForEachConstant(const Graph& graph, const Visit& visit) {
  absl::flat_hash_set<const void*> seen;
  for (ValueId id = 0; id < graph.size(); ++id) {
    if (graph.node(id).op != Op::kConstant) continue;
    const Tensor& value = graph.attributes<ConstantAttrs>(id).value;
    if (seen.insert(value.id()).second) visit(value);
  }
}

}  // namespace

absl::StatusOr<std::vector<Conditional>> EnergySource::Conditionals(
    int /*rows*/) const {
  return std::vector<Conditional>();
}

std::vector<int32_t> Range(int64_t from, int64_t count) {
  std::vector<int32_t> range(static_cast<size_t>(count));
  std::iota(range.begin(), range.end(), static_cast<int32_t>(from));
  return range;
}

absl::StatusOr<Shape> WithRows(int64_t rows, const Shape& shape) {
  Shape::Dims dims = {rows};
  dims.insert(dims.end(), shape.dims().begin(), shape.dims().end());
  return Shape::Create(dims);
}

absl::StatusOr<Graph> BuildEnergyGraph(const EnergySource& source,
                                       const ModelInfo& info, int rows) {
  GraphBuilder builder;
  SourceInputs inputs;
  BASIN_ASSIGN_OR_RETURN(const Shape state, WithRows(rows, info.state_shape));
  inputs.state = builder.Input("x", state);
  if (info.context_dimension > 0) {
    const ValueId context =
        builder.Input("context", Shape({rows, info.context_dimension}));
    for (const ContextInput& input : info.context) {
      inputs.context.push_back(
          TakeColumns(builder, context, input.offset, input.shape));
    }
  }
  BASIN_ASSIGN_OR_RETURN(const SourceOutputs outputs,
                         source.Append(inputs, rows, builder));
  std::vector<ValueId> ids = {outputs.energy};
  if (info.classes > 0) ids.push_back(outputs.class_energies);
  return std::move(builder).Build(std::move(ids));
}

std::vector<ValueId> InlineGraph(const Graph& graph,
                                 absl::Span<const ValueId> arguments,
                                 GraphBuilder& builder) {
  BASIN_CHECK(arguments.size() == graph.inputs().size());
  const std::vector<bool> live = LiveValues(graph);
  std::vector<ValueId> mapped(live.size(), GraphBuilder::kNoValue);
  size_t argument = 0;
  for (ValueId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (node.op == Op::kInput) {
      mapped[id] = arguments[argument++];
      continue;
    }
    if (!live[id]) continue;
    absl::InlinedVector<ValueId, 3> inputs;
    for (const ValueId input : node.inputs) inputs.push_back(mapped[input]);
    mapped[id] = AddNodeOf(builder, node, inputs);
  }
  std::vector<ValueId> outputs;
  for (const ValueId id : graph.outputs()) outputs.push_back(mapped[id]);
  return outputs;
}

ValueId TakeColumns(GraphBuilder& builder, ValueId x, int64_t from,
                    const Shape& shape) {
  if (x == GraphBuilder::kNoValue) return x;
  const int64_t rows = builder.shape(x).dim(0);
  const ValueId columns =
      builder.Slice(x, {.starts = {0, from},
                        .limits = {rows, from + shape.num_elements()},
                        .strides = {1, 1}});
  const auto result = WithRows(rows, shape);
  if (!result.ok()) return builder.Fail(result.status());
  return builder.Reshape(columns, *result);
}

uint64_t Fingerprint(const Graph& graph) {
  const auto crc = [](uint32_t before, const void* bytes, size_t size) {
    return static_cast<uint32_t>(
        crc32_z(before, static_cast<const Bytef*>(bytes), size));
  };
  const std::string text = graph.ToString();
  uint32_t of_constants = 0;
  ForEachConstant(graph, [&](const Tensor& value) {
    of_constants = crc(of_constants, value.bytes(), value.byte_size());
  });
  return uint64_t{crc(0, text.data(), text.size())} << 32 | of_constants;
}

int64_t ConstantBytes(const Graph& graph) {
  int64_t bytes = 0;
  ForEachConstant(graph, [&bytes](const Tensor& value) {
    bytes += static_cast<int64_t>(value.byte_size());
  });
  return bytes;
}

}  // namespace basin::internal
