// Whole plans: energies with their gradients, rows, threads, memory.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/backend/backend.h"
#include "core/graph/gradient.h"
#include "core/graph/graph_builder.h"
#include "tests/core/backend/plan_runner.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

ValueId Silu(GraphBuilder& b, ValueId x) {
  return b.Mul(x, b.Unary(ScalarOp::kSigmoid, x));
}

Graph EnergyAndGradient(GraphBuilder b, ValueId energy, ValueId x) {
  const auto graph = std::move(b).Build({energy});
  EXPECT_TRUE(graph.ok()) << graph.status();
  auto gradient = Gradient(*graph, energy, x);
  EXPECT_TRUE(gradient.ok()) << gradient.status();
  return *std::move(gradient);
}

// A SiLU network [N, dim] -> dim -> hidden -> hidden -> 1; the weights depend
// on the sizes only.
Graph Mlp(int64_t rows, int64_t dim, int64_t hidden) {
  std::mt19937 random(7);
  GraphBuilder b;
  const ValueId x = b.Input("x", {rows, dim});
  ValueId h = x;
  int64_t inner = dim;
  for (const int64_t outer : {hidden, hidden, int64_t{1}}) {
    const float scale = 1.0F / std::sqrt(static_cast<float>(inner));
    const ValueId w = b.Constant(RandomTensor({outer, inner}, random, scale));
    const ValueId bias = b.Constant(RandomTensor({outer}, random, 0.1F));
    h = b.Add(b.Matmul(h, w, {.transpose_b = true}), bias);
    if (outer != 1) h = Silu(b, h);
    inner = outer;
  }
  const ValueId energy = b.Reshape(h, {rows});
  return EnergyAndGradient(std::move(b), energy, x);
}

ConvAttrs Window(int64_t stride, int64_t pad) {
  return {{stride, stride}, {1, 1}, {pad, pad}, {pad, pad}, 1};
}

// A SiLU convolution network on [N, 1, size, size], summed up to an energy.
Graph ConvNet(int64_t rows, int64_t size) {
  std::mt19937 random(8);
  GraphBuilder b;
  const ValueId x = b.Input("x", {rows, 1, size, size});
  ValueId h = x;
  int64_t channels = 1;
  int64_t stride = 1;
  for (const int64_t out : {16, 32, 20}) {
    const ValueId w = b.Constant(
        RandomTensor({out, channels, 3, 3}, random,
                     1.0F / std::sqrt(9.0F * static_cast<float>(channels))));
    const ValueId bias = b.Constant(RandomTensor({1, out, 1, 1}, random, 0.1F));
    h = Silu(b, b.Add(b.Conv(h, w, Window(stride, 1)), bias));
    channels = out;
    stride = 2;
  }
  h = b.ReduceSum(h, {2, 3}, GraphBuilder::ReducedAxes::kDrop);
  const ValueId head = b.Constant(RandomTensor({channels, 1}, random, 0.2F));
  const ValueId energy = b.Reshape(b.Matmul(h, head), {rows});
  return EnergyAndGradient(std::move(b), energy, x);
}

TEST(PlanTest, MlpEnergyAndGradientMatchReference) {
  ExpectMatchesReference(Mlp(3, 7, 5), 1);
  ExpectMatchesReference(Mlp(17, 33, 64), 2);
  ExpectMatchesReference(Mlp(1, 130, 48), 3);
}

TEST(PlanTest, ConvNetEnergyAndGradientMatchReference) {
  ExpectMatchesReference(ConvNet(1, 8), 1);
  ExpectMatchesReference(ConvNet(3, 9), 2);
}

// The bits of each row of each output.
std::vector<std::string> RowBits(const std::vector<Tensor>& outputs,
                                 int64_t rows) {
  std::vector<std::string> bits(static_cast<size_t>(rows));
  for (const Tensor& output : outputs) {
    const size_t row_bytes = output.byte_size() / bits.size();
    for (size_t r = 0; r < bits.size(); ++r) {
      bits[r].append(
          reinterpret_cast<const char*>(output.bytes()) + r * row_bytes,
          row_bytes);
    }
  }
  return bits;
}

Tensor FirstRows(const Tensor& x, int64_t rows) {
  Shape::Dims dims = x.shape().dims();
  dims[0] = rows;
  const Shape shape = Shape::Create(dims).value();
  return Tensor::Of<float>(
      shape, x.data<float>().first(static_cast<size_t>(shape.num_elements())));
}

// Compiles make(rows) for many row counts, with shared weights, and compares
// the bits of the rows that they have in common.
template <typename MakeGraph>
void ExpectRowsDoNotDependOnRowCount(const MakeGraph& make) {
  constexpr int64_t kMaxRows = 64;
  const std::unique_ptr<Backend> backend = CreateCpuBackend();
  const auto weights = backend->CreateWeightStore();
  std::mt19937 random(5);
  const Graph largest = make(kMaxRows);
  const Tensor x = RandomInputs(largest, random)[0];
  std::vector<std::string> want;
  for (int64_t rows = kMaxRows; rows >= 1; --rows) {
    ASSERT_OK_AND_ASSIGN(PlanRunner runner,
                         PlanRunner::Create(*backend, make(rows), weights));
    const Tensor inputs[] = {FirstRows(x, rows)};
    runner.SetInputs(inputs);
    ASSERT_OK(runner.Run());
    std::vector<std::string> got = RowBits(runner.Outputs(), rows);
    if (want.empty()) want = got;
    for (size_t r = 0; r < got.size(); ++r) {
      ASSERT_TRUE(got[r] == want[r]) << "row " << r << " of " << rows;
    }
  }
}

TEST(PlanTest, MlpRowsDoNotDependOnRowCount) {
  ExpectRowsDoNotDependOnRowCount(
      [](int64_t rows) { return Mlp(rows, 784, 512); });
}

TEST(PlanTest, SmallMlpRowsDoNotDependOnRowCount) {
  ExpectRowsDoNotDependOnRowCount(
      [](int64_t rows) { return Mlp(rows, 3, 19); });
}

TEST(PlanTest, ConvNetRowsDoNotDependOnRowCount) {
  ExpectRowsDoNotDependOnRowCount(
      [](int64_t rows) { return ConvNet(rows, 12); });
}

TEST(PlanTest, ThreadsShareAPlan) {
  const std::unique_ptr<Backend> backend = CreateCpuBackend();
  ASSERT_OK_AND_ASSIGN(PlanRunner first,
                       PlanRunner::Create(*backend, ConvNet(4, 10),
                                          backend->CreateWeightStore()));
  ASSERT_OK_AND_ASSIGN(PlanRunner second, first.Clone());
  std::mt19937 random(6);
  const Tensor inputs[] = {RandomTensor({4, 1, 10, 10}, random)};
  const Tensor others[] = {RandomTensor({4, 1, 10, 10}, random)};
  first.SetInputs(inputs);
  ASSERT_OK(first.Run());
  const auto want_first = RowBits(first.Outputs(), 4);
  first.SetInputs(others);
  ASSERT_OK(first.Run());
  const auto want_second = RowBits(first.Outputs(), 4);

  first.SetInputs(inputs);
  second.SetInputs(others);
  const auto work = [&backend](PlanRunner& runner,
                               const std::vector<std::string>& want) {
    backend->PrepareWorkerThread();
    for (int i = 0; i < 50; ++i) {
      EXPECT_OK(runner.Run());
      EXPECT_EQ(RowBits(runner.Outputs(), 4), want);
    }
  };
  std::thread worker([&] { work(first, want_first); });
  work(second, want_second);
  worker.join();
}

}  // namespace
}  // namespace basin::testing
