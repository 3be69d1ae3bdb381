// What plans of the three precisions compute, against the reference evaluator.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/backend/backend.h"
#include "core/backend/tile_ops.h"
#include "core/graph/gradient.h"
#include "core/graph/graph_builder.h"
#include "tests/core/backend/host_tile.h"
#include "tests/core/backend/networks.h"
#include "tests/core/backend/plan_runner.h"
#include "tests/core/graph/random_graph.h"
#include "tests/testing/reference_evaluator.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

using Reduced = GraphBuilder::ReducedAxes;

TEST(Float64Test, RandomGraphsMatchReference) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    const Graph graph = RandomGraph(seed, 20 + static_cast<int>(seed));
    ASSERT_NO_FATAL_FAILURE(ExpectFloat64MatchesReference(graph, seed));
  }
}

TEST(Float64Test, OutputsMayBeInputsConstantsAndReshapes) {
  GraphBuilder b;
  const ValueId x = b.Input("x", {2, 3});
  const ValueId y = b.Mul(x, x);
  const std::vector<ValueId> outputs = {x, b.Reshape(y, {6}), y,
                                        b.Constant(0.1F), b.Reshape(x, {3, 2})};
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build(outputs));
  ExpectFloat64MatchesReference(graph, 1, 0);
  // Narrowed to float32.
  std::mt19937 random(2);
  const Tensor input = RandomTensor({2, 3}, random);
  ASSERT_OK_AND_ASSIGN(const auto results,
                       RunOnCpu(graph, {&input, 1}, Precision::kFloat64));
  for (size_t i = 0; i < 6; ++i) {
    const float value = input.data<float>()[i];
    EXPECT_EQ(results[0].data<float>()[i], value);
    EXPECT_EQ(results[1].data<float>()[i], value * value);
    EXPECT_EQ(results[4].data<float>()[i], value);
  }
  EXPECT_EQ(results[3].data<float>()[0], 0.1F);
}

// E(x) = 1e8 + |x|^2 / 2 of rows [rows, 4], a quarter of it in each term.
Graph LargeEnergy(int64_t rows) {
  GraphBuilder b;
  const ValueId x = b.Input("x", {rows, 4});
  const ValueId square = b.Mul(b.Mul(x, x), b.Constant(0.5F));
  const ValueId terms = b.Add(square, b.Constant(0.25e8F));
  const ValueId energy = b.ReduceSum(terms, {1}, Reduced::kDrop);
  const ValueId wide = b.AddNode(Op::kToFloat64, {energy}, {});
  return std::move(b).Build({wide}).value();
}

std::vector<double> EnergiesOf(const std::vector<float>& states,
                               Precision precision) {
  const auto rows = static_cast<int64_t>(states.size() / 4);
  const Tensor x = Tensor::Of<float>({rows, 4}, states);
  const auto results = RunOnCpu(LargeEnergy(rows), {&x, 1}, precision);
  EXPECT_OK(results.status());
  const auto energies = (*results)[0].data<double>();
  return {energies.begin(), energies.end()};
}

// How many of 1000 proposals from energy 0 to energy 2, both on top of 1e8,
// are accepted: exp(-2) = 13.5 % should be.
int AcceptedAtLargeEnergies(Precision precision) {
  constexpr int kChains = 1000;
  const std::unique_ptr<Backend> backend = CreateCpuBackend();
  HostTile tile(kChains, 4);
  for (size_t i = 0; i < tile.proposal.size(); ++i) tile.proposal[i] = 1;
  const std::vector<double> from = EnergiesOf(tile.position, precision);
  const std::vector<double> to = EnergiesOf(tile.proposal, precision);
  std::copy(from.begin(), from.end(), tile.energy.begin());
  std::copy(to.begin(), to.end(), tile.proposal_energy.begin());
  backend->tile_ops().SetEnergyLogRatio(tile.tile());
  backend->tile_ops().AcceptOrReject(tile.tile());
  int accepted = 0;
  for (const uint8_t one : tile.accepted) accepted += one;
  return accepted;
}

TEST(Float64Test, DecidesAcceptanceAtLargeEnergies) {
  // A float32 near 0.25e8 is a multiple of 2.
  EXPECT_EQ(AcceptedAtLargeEnergies(Precision::kFloat32), 1000);
  // 135.3 +- 5 standard deviations of a binomial.
  const int accepted = AcceptedAtLargeEnergies(Precision::kFloat64);
  EXPECT_GT(accepted, 81);
  EXPECT_LT(accepted, 190);
}

// Float32's sums of an energy: exact where a sum in float32 would not be.
TEST(Float32Test, SumsOfEnergiesAddUpInDouble) {
  for (const int64_t n : {1, 3, 15, 16, 17, 1000}) {
    GraphBuilder b;
    const ValueId x = b.Input("x", {2, n, 3});
    const ValueId rows = b.ReduceSum(x, {1, 2}, Reduced::kKeep);
    const ValueId columns = b.ReduceSum(x, {0, 1}, Reduced::kDrop);
    const std::vector<ValueId> outputs = {
        b.AddNode(Op::kToFloat64, {b.Reshape(rows, {2})}, {}),
        b.AddNode(Op::kToFloat64, {columns}, {})};
    ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build(outputs));
    std::mt19937 random(3);
    Tensor input = RandomTensor({2, n, 3}, random);
    input.mutable_data<float>()[0] = 1e8F;
    ASSERT_OK_AND_ASSIGN(const auto got, RunOnCpu(graph, {&input, 1}));
    ASSERT_OK_AND_ASSIGN(const auto want,
                         EvaluateReference(graph, {&input, 1}));
    for (size_t o = 0; o < want.size(); ++o) {
      for (size_t i = 0; i < want[o].data<double>().size(); ++i) {
        EXPECT_NEAR(got[o].data<double>()[i], want[o].data<double>()[i], 1e-6);
      }
    }
  }
}

// Rows [rows, n] of 1e8, then ones here and there, then -1e8, in float32.
Tensor CancellingRows(int64_t rows, int64_t n) {
  std::vector<float> values;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < n; ++i) {
      const bool one = i % (row + 2) == 1 && i < n - 1;
      values.push_back(i == 0 ? 1e8F : i == n - 1 ? -1e8F : one ? 1.0F : 0.0F);
    }
  }
  return Tensor::Of<float>({rows, n}, values);
}

// Energies of CancellingRows(rows, 40) that are short chains of the rows'
// sums: what float32 makes of these is 0.
Graph ChainOfSums(int64_t rows) {
  GraphBuilder b;
  const ValueId x = b.Input("x", {rows, 40});
  const ValueId sum = b.ReduceSum(x, {1}, Reduced::kDrop);
  const ValueId kept = b.ReduceSum(x, {1}, Reduced::kKeep);
  const ValueId mean = b.Mul(kept, b.Constant(0.025));
  // As a network's output: [rows, 1], with a bias.
  const ValueId net = b.Add(
      b.Reshape(
          b.Unary(ScalarOp::kTanh, b.Slice(x, {{0, 1}, {rows, 2}, {1, 1}})),
          {rows, 1}),
      b.Constant(0.5));
  const auto energy = [&b](ValueId value) { return b.ToFloat64(value); };
  const std::vector<ValueId> outputs = {
      energy(sum),
      energy(b.Unary(ScalarOp::kNeg, sum)),
      energy(b.Mul(sum, b.Constant(0.5))),
      energy(b.Div(sum, b.Constant(4.0))),
      energy(b.Reshape(mean, {rows})),
      energy(b.Sub(b.Constant(3.0), sum)),
      energy(b.Reshape(b.Add(net, b.Mul(b.Constant(0.5), kept)), {rows})),
      energy(b.Add(b.Add(sum, sum), b.Unary(ScalarOp::kTanh, sum)))};
  return std::move(b).Build(outputs).value();
}

TEST(Float32Test, ChainsOfSumsAddUpInDouble) {
  const Graph graph = ChainOfSums(5);
  const Tensor x = CancellingRows(5, 40);
  ASSERT_OK_AND_ASSIGN(const auto got, RunOnCpu(graph, {&x, 1}));
  for (size_t row = 0; row < 5; ++row) {
    double sum = 0;
    for (size_t i = 0; i < 40; ++i) sum += x.data<float>()[row * 40 + i];
    ASSERT_GT(sum, 5);
    const double net = std::tanh(1.0 * x.data<float>()[row * 40 + 1]) + 0.5;
    const double want[] = {sum,         -sum,    sum / 2,       sum / 4,
                           0.025 * sum, 3 - sum, net + sum / 2, 2 * sum};
    for (size_t o = 0; o + 1 < std::size(want); ++o) {
      EXPECT_NEAR(got[o].data<double>()[row], want[o], 1e-6) << o;
    }
    // The tanh reads the sum in float32; what it makes of it is between these.
    EXPECT_NEAR(got[7].data<double>()[row], 2 * sum, 1) << row;
  }
}

TEST(Float32Test, ChainsOfSumsAreTheSameForEveryRowCount) {
  const Tensor x = CancellingRows(17, 40);
  ASSERT_OK_AND_ASSIGN(const auto all, RunOnCpu(ChainOfSums(17), {&x, 1}));
  for (const int64_t rows : {1, 2, 3, 8, 16}) {
    const Tensor few = Tensor::Of<float>(
        {rows, 40}, x.data<float>().first(static_cast<size_t>(rows * 40)));
    ASSERT_OK_AND_ASSIGN(const auto got,
                         RunOnCpu(ChainOfSums(rows), {&few, 1}));
    for (size_t o = 0; o < all.size(); ++o) {
      for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
        EXPECT_EQ(got[o].data<double>()[row], all[o].data<double>()[row]);
      }
    }
  }
}

// A plan with gradients has the energies of one without, and the gradients it
// had before.
TEST(Float32Test, GradientsDoNotChangeEnergiesOfChains) {
  GraphBuilder b;
  const ValueId x = b.Input("x", {3, 40});
  const ValueId half =
      b.Mul(b.ReduceSum(b.Mul(x, x), {1}, Reduced::kDrop), b.Constant(0.5));
  const std::vector<ValueId> outputs = {b.ToFloat64(half)};
  ASSERT_OK_AND_ASSIGN(const Graph energy, std::move(b).Build(outputs));
  ASSERT_OK_AND_ASSIGN(const Graph both, Gradient(energy, outputs[0], x));
  const Tensor input = CancellingRows(3, 40);
  ASSERT_OK_AND_ASSIGN(const auto alone, RunOnCpu(energy, {&input, 1}));
  ASSERT_OK_AND_ASSIGN(const auto with, RunOnCpu(both, {&input, 1}));
  for (size_t row = 0; row < 3; ++row) {
    EXPECT_EQ(with[0].data<double>()[row], alone[0].data<double>()[row]);
  }
  for (size_t i = 0; i < 120; ++i) {
    EXPECT_EQ(with[1].data<float>()[i], input.data<float>()[i]);
  }
}

// A sum that others read too is there in float32 as well.
TEST(Float32Test, SumsOfEnergiesMayBeReadElsewhere) {
  GraphBuilder b;
  const ValueId x = b.Input("x", {2, 40});
  const ValueId sum = b.ReduceSum(x, {1}, Reduced::kDrop);
  const std::vector<ValueId> outputs = {b.AddNode(Op::kToFloat64, {sum}, {}),
                                        b.Unary(ScalarOp::kTanh, sum), sum};
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build(outputs));
  ExpectMatchesReference(graph, 4);
}

double Rounded(double value) {  // to bfloat16, to nearest
  int exponent = 0;
  const double mantissa = std::frexp(value, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(mantissa, 8)), exponent - 8);
}

// A product's factors are rounded, its sum is not.
TEST(BFloat16Test, ProductsRoundTheirFactors) {
  std::mt19937 random(5);
  const Tensor w = RandomTensor({33, 20}, random);
  GraphBuilder b;
  const ValueId x = b.Input("x", {5, 33});
  const std::vector<ValueId> outputs = {b.Matmul(x, b.Constant(w))};
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build(outputs));
  const Tensor input = RandomTensor({5, 33}, random);
  ASSERT_OK_AND_ASSIGN(const auto got,
                       RunOnCpu(graph, {&input, 1}, Precision::kBFloat16));
  for (size_t i = 0; i < 5; ++i) {
    for (size_t j = 0; j < 20; ++j) {
      double sum = 0;
      for (size_t k = 0; k < 33; ++k) {
        sum += Rounded(input.data<float>()[i * 33 + k]) *
               Rounded(w.data<float>()[k * 20 + j]);
      }
      EXPECT_NEAR(got[0].data<float>()[i * 20 + j], sum, 2e-5);
    }
  }
}

// Values between two bfloat16, at the middle and beside it.
TEST(BFloat16Test, RoundsToNearestAndTiesToEven) {
  constexpr float kUlp = 0x1p-7F;  // of bfloat16, from 1 to 2
  const std::vector<float> values = {1 + kUlp / 2, 1 + kUlp * 3 / 2,
                                     1 + kUlp * 0.51F, -1 - kUlp * 0.49F};
  const std::vector<float> want = {1, 1 + 2 * kUlp, 1 + kUlp, -1};
  // [4, 2] times [2, 1]: one column alone would make no product.
  std::vector<float> pairs;
  for (const float value : values) pairs.insert(pairs.end(), {value, 0});
  GraphBuilder b;
  const ValueId x = b.Input("x", {4, 2});
  const ValueId y = b.Input("y", {2, 1});
  const std::vector<float> ones = {1, 1};
  const Tensor weights = Tensor::Of<float>({2, 1}, ones);
  const std::vector<ValueId> outputs = {b.Matmul(x, b.Constant(weights)),
                                        b.Matmul(x, y)};
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build(outputs));
  const std::vector<Tensor> inputs = {Tensor::Of<float>({4, 2}, pairs),
                                      weights};
  ASSERT_OK_AND_ASSIGN(const auto got,
                       RunOnCpu(graph, inputs, Precision::kBFloat16));
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_EQ(got[0].data<float>()[i], want[i]);
    EXPECT_EQ(got[1].data<float>()[i], want[i]);
  }
}

TEST(BFloat16Test, NetworksAreNearFloat32) {
  for (const Graph& graph :
       {MlpNetwork(17, 33, 64), ConvNetwork(3, 28, 16),
        ResidualNetwork(2, {8, 16, 1}), TransformerNetwork(2, {5, 16, 1})}) {
    std::mt19937 random(6);
    const std::vector<Tensor> inputs = RandomInputs(graph, random);
    ASSERT_OK_AND_ASSIGN(const auto narrow,
                         RunOnCpu(graph, inputs, Precision::kBFloat16));
    ASSERT_OK_AND_ASSIGN(const auto wide, RunOnCpu(graph, inputs));
    double difference = 0;
    double size = 0;
    for (size_t i = 0; i < wide[1].data<float>().size(); ++i) {
      const double want = wide[1].data<float>()[i];
      difference += std::pow(narrow[1].data<float>()[i] - want, 2);
      size += want * want;
    }
    EXPECT_GT(difference, 0);
    EXPECT_LT(std::sqrt(difference / size), 0.03);
  }
}

}  // namespace
}  // namespace basin::testing
