#include "tests/core/backend/plan_runner.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <gtest/gtest.h>

#include "core/base/status_macros.h"
#include "core/graph/graph_builder.h"
#include "tests/testing/reference_evaluator.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

size_t BytesOf(const Graph& graph, ValueId id) {
  return static_cast<size_t>(graph.shape(id).num_elements()) *
         ByteSize(graph.node(id).dtype);
}

}  // namespace

absl::StatusOr<PlanRunner> PlanRunner::Create(
    const Backend& backend, const Graph& graph,
    const std::shared_ptr<WeightStore>& weights, Precision precision) {
  PlanRunner runner(backend, graph);
  backend.PrepareWorkerThread();
  BASIN_ASSIGN_OR_RETURN(runner.plan_,
                         backend.Compile(graph, weights, precision));
  BASIN_RETURN_IF_ERROR(runner.Reserve());
  return runner;
}

absl::StatusOr<PlanRunner> PlanRunner::Clone() const {
  PlanRunner runner(*backend_, graph_);
  runner.plan_ = plan_;
  BASIN_RETURN_IF_ERROR(runner.Reserve());
  return runner;
}

absl::Status PlanRunner::Reserve() {
  BASIN_RETURN_IF_ERROR(
      backend_->Reserve(workspace_, plan_->workspace_bytes()));
  for (const ValueId id : graph_.inputs()) {
    BASIN_ASSIGN_OR_RETURN(DeviceMemory memory,
                           backend_->Allocate(BytesOf(graph_, id)));
    input_pointers_.push_back(reinterpret_cast<const float*>(memory.get()));
    inputs_.push_back(std::move(memory));
  }
  for (const ValueId id : graph_.outputs()) {
    BASIN_ASSIGN_OR_RETURN(DeviceMemory memory,
                           backend_->Allocate(BytesOf(graph_, id)));
    output_pointers_.push_back(memory.get());
    outputs_.push_back(std::move(memory));
  }
  return absl::OkStatus();
}

void PlanRunner::SetInputs(absl::Span<const Tensor> inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    backend_->CopyToDevice(inputs_[i].get(), inputs[i].bytes(),
                           inputs[i].byte_size());
  }
}

absl::Status PlanRunner::Run() {
  return plan_->Run(workspace_, input_pointers_, output_pointers_);
}

std::vector<Tensor> PlanRunner::Outputs() const {
  std::vector<Tensor> tensors;
  for (size_t o = 0; o < outputs_.size(); ++o) {
    const Node& node = graph_.node(graph_.outputs()[o]);
    Tensor tensor(node.dtype, node.shape);
    backend_->CopyToHost(tensor.mutable_bytes(), outputs_[o].get(),
                         tensor.byte_size());
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

Tensor RandomTensor(const Shape& shape, std::mt19937& random, float scale) {
  Tensor tensor(DType::kFloat32, shape);
  std::normal_distribution<float> normal;
  for (float& x : tensor.mutable_data<float>()) x = scale * normal(random);
  return tensor;
}

std::vector<Tensor> RandomInputs(const Graph& graph, std::mt19937& random) {
  std::vector<Tensor> inputs;
  for (const ValueId id : graph.inputs()) {
    inputs.push_back(RandomTensor(graph.shape(id), random));
  }
  return inputs;
}

absl::StatusOr<std::vector<Tensor>> RunOnCpu(const Graph& graph,
                                             absl::Span<const Tensor> inputs,
                                             Precision precision) {
  static const Backend& backend = *CreateCpuBackend().release();
  BASIN_ASSIGN_OR_RETURN(
      PlanRunner runner,
      PlanRunner::Create(backend, graph, backend.CreateWeightStore(),
                         precision));
  runner.SetInputs(inputs);
  BASIN_RETURN_IF_ERROR(runner.Run());
  return runner.Outputs();
}

namespace {

double ElementOf(const Tensor& tensor, size_t i) {
  return tensor.dtype() == DType::kFloat64 ? tensor.data<double>()[i]
                                           : tensor.data<float>()[i];
}

void ExpectMatches(const Graph& graph, uint32_t seed, double tolerance,
                   Precision precision) {
  std::mt19937 random(seed);
  const std::vector<Tensor> inputs = RandomInputs(graph, random);
  const auto got = RunOnCpu(graph, inputs, precision);
  ASSERT_TRUE(got.ok()) << got.status() << "\n" << graph.ToString();
  const auto want = EvaluateReference(graph, inputs);
  ASSERT_TRUE(want.ok()) << want.status();
  for (size_t o = 0; o < want->size(); ++o) {
    const auto expected = (*want)[o].data<double>();
    double largest = 1;
    for (const double x : expected) largest = std::max(largest, std::abs(x));
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(ElementOf((*got)[o], i), expected[i], tolerance * largest)
          << "output " << o << ", element " << i << " of\n"
          << graph.ToString();
    }
  }
}

}  // namespace

void ExpectMatchesReference(const Graph& graph, uint32_t seed,
                            double tolerance) {
  ExpectMatches(graph, seed, tolerance, Precision::kFloat32);
}

void ExpectFloat64MatchesReference(const Graph& graph, uint32_t seed,
                                   double tolerance) {
  GraphBuilder b(graph);
  std::vector<ValueId> outputs = graph.outputs();
  for (ValueId& output : outputs) {
    if (graph.node(output).dtype != DType::kFloat32) continue;
    output = b.AddNode(Op::kToFloat64, {output}, {});
  }
  const auto wide = std::move(b).Build(std::move(outputs));
  ASSERT_TRUE(wide.ok()) << wide.status();
  ExpectMatches(*wide, seed, tolerance, Precision::kFloat64);
}

}  // namespace basin::testing
