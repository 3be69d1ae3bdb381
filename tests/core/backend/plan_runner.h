#ifndef BASIN_TESTS_CORE_BACKEND_PLAN_RUNNER_H_
#define BASIN_TESTS_CORE_BACKEND_PLAN_RUNNER_H_

#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/types/span.h>

#include "core/backend/backend.h"
#include "core/graph/graph.h"
#include "core/tensor/tensor.h"

namespace basin::testing {

// A compiled graph with memory of its own for one worker. Not thread-safe;
// one of several workers of a plan takes the plan from the first.
class PlanRunner {
 public:
  // `backend` must outlive this object.
  static absl::StatusOr<PlanRunner> Create(
      const Backend& backend, const Graph& graph,
      const std::shared_ptr<WeightStore>& weights,
      Precision precision = Precision::kFloat32);
  // Another worker of the same plan.
  absl::StatusOr<PlanRunner> Clone() const;

  // Copies the inputs to the device.
  void SetInputs(absl::Span<const Tensor> inputs);
  absl::Status Run();
  // The outputs, copied from the device.
  std::vector<Tensor> Outputs() const;

  size_t workspace_bytes() const { return plan_->workspace_bytes(); }

 private:
  PlanRunner(const Backend& backend, Graph graph)
      : backend_(&backend), graph_(std::move(graph)) {}
  absl::Status Reserve();

  const Backend* backend_;
  Graph graph_;
  std::shared_ptr<const Plan> plan_;
  Workspace workspace_;
  std::vector<DeviceMemory> inputs_;
  std::vector<DeviceMemory> outputs_;
  std::vector<const float*> input_pointers_;
  std::vector<void*> output_pointers_;
};

// Standard normal elements, times `scale`.
Tensor RandomTensor(const Shape& shape, std::mt19937& random,
                    float scale = 1.0F);

// One random tensor for each input of `graph`.
std::vector<Tensor> RandomInputs(const Graph& graph, std::mt19937& random);

// Compiles and runs `graph` on the CPU once.
absl::StatusOr<std::vector<Tensor>> RunOnCpu(
    const Graph& graph, absl::Span<const Tensor> inputs,
    Precision precision = Precision::kFloat32);

// Runs `graph` on random inputs on the CPU backend and by the reference
// evaluator; fails the test where an element differs by more than `tolerance`
// times the largest element of its output (at least 1).
void ExpectMatchesReference(const Graph& graph, uint32_t seed,
                            double tolerance = 2e-5);

// The same in Precision::kFloat64, by its outputs in double.
void ExpectFloat64MatchesReference(const Graph& graph, uint32_t seed,
                                   double tolerance = 1e-12);

}  // namespace basin::testing

#endif  // BASIN_TESTS_CORE_BACKEND_PLAN_RUNNER_H_
