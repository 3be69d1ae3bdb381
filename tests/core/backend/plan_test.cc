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
#include "tests/core/backend/networks.h"
#include "tests/core/backend/plan_runner.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

TEST(PlanTest, NetworksMatchReference) {
  const auto expect_matches = [](const Graph& graph) {
    ExpectMatchesReference(graph, 1);
    ExpectFloat64MatchesReference(graph, 1);
  };
  expect_matches(MlpNetwork(3, 7, 5));
  expect_matches(MlpNetwork(17, 33, 64));
  expect_matches(MlpNetwork(1, 130, 48));
  expect_matches(ConvNetwork(1, 8, 3));
  expect_matches(ConvNetwork(2, 12, 16));
  expect_matches(ConvNetwork(2, 28, 16));
  expect_matches(ResidualNetwork(2, {8, 4, 1}));
  expect_matches(ResidualNetwork(3, {9, 16, 1}));
  expect_matches(TransformerNetwork(2, {5, 16, 1}));
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

std::vector<Precision> AllPrecisions() {
  return {Precision::kFloat32, Precision::kBFloat16, Precision::kFloat64};
}

// Compiles make(rows) for many row counts, with shared weights, and compares
// the bits of the rows that they have in common.
template <typename MakeGraph>
void ExpectRowsDoNotDependOnRowCount(const MakeGraph& make,
                                     const std::vector<Precision>& precisions) {
  const std::unique_ptr<Backend> backend = CreateCpuBackend();
  for (const Precision precision : precisions) {
    const auto weights = backend->CreateWeightStore();
    std::mt19937 random(5);
    Tensor x;
    std::vector<std::string> want;
    for (const int64_t rows :
         {64, 63, 48, 33, 32, 31, 17, 16, 15, 9, 8, 7, 6, 5, 4, 3, 2, 1}) {
      const Graph graph = make(rows);
      if (want.empty()) x = RandomInputs(graph, random)[0];
      ASSERT_OK_AND_ASSIGN(
          PlanRunner runner,
          PlanRunner::Create(*backend, graph, weights, precision));
      const Tensor inputs[] = {FirstRows(x, rows)};
      runner.SetInputs(inputs);
      ASSERT_OK(runner.Run());
      std::vector<std::string> got = RowBits(runner.Outputs(), rows);
      if (want.empty()) want = got;
      for (size_t r = 0; r < got.size(); ++r) {
        ASSERT_TRUE(got[r] == want[r])
            << "row " << r << " of " << rows << ", precision "
            << static_cast<int>(precision);
      }
    }
  }
}

TEST(PlanTest, MlpRowsDoNotDependOnRowCount) {
  ExpectRowsDoNotDependOnRowCount(
      [](int64_t rows) { return MlpNetwork(rows, 784, 512); }, AllPrecisions());
}

TEST(PlanTest, SmallMlpRowsDoNotDependOnRowCount) {
  ExpectRowsDoNotDependOnRowCount(
      [](int64_t rows) { return MlpNetwork(rows, 3, 19); }, AllPrecisions());
}

TEST(PlanTest, ConvNetworkRowsDoNotDependOnRowCount) {
  ExpectRowsDoNotDependOnRowCount(
      [](int64_t rows) { return ConvNetwork(rows, 28, 16); }, AllPrecisions());
}

TEST(PlanTest, ResidualNetworkRowsDoNotDependOnRowCount) {
  ExpectRowsDoNotDependOnRowCount(
      [](int64_t rows) {
        return ResidualNetwork(rows, {12, 16, 1});
      },
      AllPrecisions());
}

TEST(PlanTest, TransformerRowsDoNotDependOnRowCount) {
  ExpectRowsDoNotDependOnRowCount(
      [](int64_t rows) {
        return TransformerNetwork(rows, {9, 32, 1});
      },
      AllPrecisions());
}

TEST(PlanTest, ThreadsShareAPlan) {
  const std::unique_ptr<Backend> backend = CreateCpuBackend();
  ASSERT_OK_AND_ASSIGN(PlanRunner first,
                       PlanRunner::Create(*backend, ConvNetwork(4, 10, 16),
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
