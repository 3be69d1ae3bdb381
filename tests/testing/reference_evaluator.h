#ifndef BASIN_TESTS_TESTING_REFERENCE_EVALUATOR_H_
#define BASIN_TESTS_TESTING_REFERENCE_EVALUATOR_H_

#include <vector>

#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "core/graph/graph.h"
#include "core/tensor/tensor.h"

namespace basin::testing {

// The truth that backends and passes are tested against: every primitive as
// its definition reads, in double, one element at a time, sharing no code with
// them. Slow.
// `inputs` are float32 or float64, one for each of graph.inputs(); the results
// are float64, one for each of graph.outputs(). InvalidArgument if inputs are
// missing or of another shape or type.
absl::StatusOr<std::vector<Tensor>> EvaluateReference(
    const Graph& graph, absl::Span<const Tensor> inputs);

}  // namespace basin::testing

#endif  // BASIN_TESTS_TESTING_REFERENCE_EVALUATOR_H_
