#include "core/onnx/operators.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/str_join.h>

#include "core/onnx/onnx_model.h"

namespace basin {
namespace internal {
namespace {

std::vector<Operator> AllOperators() {
  std::vector<Operator> all;
  for (const auto& theme :
       {ElementwiseOperators(),   ActivationOperators(),  LogicOperators(),
        ConstantOperators(),      GenerateOperators(),    GatherOperators(),
        ScatterOperators(),       PadOperators(),         ResizeOperators(),
        EinsumOperators(),        ShapeOperators(),       IndexOperators(),
        LinearOperators(),        ConvolutionOperators(), PoolOperators(),
        NormalizationOperators(), ReduceOperators(),      ControlOperators(),
        RecurrentOperators(),     AttentionOperators()}) {
    all.insert(all.end(), theme.begin(), theme.end());
  }
  return all;
}

const std::vector<Operator>& Table() {
  static const auto* const table = new std::vector<Operator>(AllOperators());
  return *table;
}

}  // namespace

absl::StatusOr<LowerFunction> FindOperator(absl::string_view name,
                                           int64_t opset) {
  const Operator* best = nullptr;
  int64_t first = 0;
  for (const Operator& op : Table()) {
    if (op.name != name) continue;
    first = first == 0 ? op.since : std::min(first, op.since);
    if (op.since <= opset && (best == nullptr || op.since > best->since)) {
      best = &op;
    }
  }
  if (best != nullptr) return best->lower;
  if (first != 0) {
    return absl::UnimplementedError(
        absl::StrCat("the operator exists from opset ", first, " on"));
  }
  return absl::UnimplementedError(
      absl::StrCat("operator not supported; supported: ",
                   absl::StrJoin(SupportedOperators(), ", ")));
}

}  // namespace internal

std::vector<std::string> SupportedOperators() {
  std::set<std::string> names;
  for (const auto& op : internal::Table()) names.emplace(op.name);
  return {names.begin(), names.end()};
}

}  // namespace basin
