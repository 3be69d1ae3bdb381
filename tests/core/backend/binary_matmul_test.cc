// Products of zeros and ones with weights, by tables of partial sums.

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/backend/cpu/binary_matmul_loops.h"
#include "core/base/cpu_isa.h"
#include "core/graph/graph_builder.h"
#include "tests/core/backend/plan_runner.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

struct Size {
  int64_t rows;
  int64_t inner;
  int64_t columns;
};
// Tails of groups, tables and panels.
const Size kSizes[] = {{1, 32, 32},    {3, 33, 50},    {7, 67, 32},
                       {64, 784, 500}, {50, 500, 784}, {16, 130, 65}};

Tensor RandomBits(const Shape& shape, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> values(static_cast<size_t>(shape.num_elements()));
  for (float& value : values) value = static_cast<float>(random() % 2);
  return Tensor::Of<float>(shape, values);
}

Tensor RandomWeights(const Shape& shape) {
  std::mt19937 random(3);
  return RandomTensor(shape, random);
}

// x [rows, inner] times w [inner, columns], or times the transpose of
// w [columns, inner], as a plan with x as a binary input computes it.
std::vector<float> Product(const Tensor& x, const Tensor& w, bool transposed) {
  GraphBuilder b;
  const ValueId in = b.Input("x", x.shape(), InputAttrs::Values::kBinary);
  const ValueId out = b.Matmul(in, b.Constant(w), {.transpose_b = transposed});
  const auto graph = std::move(b).Build({out});
  EXPECT_OK(graph.status());
  const auto results = RunOnCpu(*graph, {&x, 1});
  EXPECT_OK(results.status());
  const auto values = (*results)[0].data<float>();
  return {values.begin(), values.end()};
}

TEST(BinaryMatmulTest, IsTheProduct) {
  for (const auto& [rows, inner, columns] : kSizes) {
    const Tensor x = RandomBits({rows, inner}, 1);
    for (const bool transposed : {false, true}) {
      const Tensor w = RandomWeights(transposed ? Shape({columns, inner})
                                                : Shape({inner, columns}));
      const std::vector<float> found = Product(x, w, transposed);
      for (int64_t row = 0; row < rows; ++row) {
        for (int64_t j = 0; j < columns; ++j) {
          double sum = 0;
          for (int64_t k = 0; k < inner; ++k) {
            const int64_t at = transposed ? j * inner + k : k * columns + j;
            sum += double{x.data<float>()[row * inner + k]} *
                   double{w.data<float>()[at]};
          }
          ASSERT_NEAR(found[row * columns + j], sum,
                      2e-6 * std::sqrt(static_cast<double>(inner)) * 10)
              << rows << " x " << inner << " x " << columns << " at " << row
              << ", " << j;
        }
      }
    }
  }
}

TEST(BinaryMatmulTest, RowsDoNotDependOnTheirNumber) {
  constexpr int64_t kInner = 131;
  constexpr int64_t kColumns = 77;
  const Tensor w = RandomWeights({kInner, kColumns});
  const Tensor x = RandomBits({64, kInner}, 2);
  const std::vector<float> all = Product(x, w, false);
  for (const int64_t rows : {1, 2, 7, 33}) {
    const Tensor some = Tensor::Of<float>(
        {rows, kInner},
        x.data<float>().first(static_cast<size_t>(rows * kInner)));
    const std::vector<float> found = Product(some, w, false);
    EXPECT_EQ(
        std::memcmp(found.data(), all.data(), found.size() * sizeof(float)), 0)
        << rows;
  }
}

// A product of real numbers would be one, so this is the kernel under test.
TEST(BinaryMatmulTest, OtherNumbersMakeTheirRowNaN) {
  const Tensor w = RandomWeights({40, 40});
  Tensor x = RandomBits({4, 40}, 4);
  const std::vector<float> before = Product(x, w, false);
  x.mutable_data<float>()[40 + 39] = 0.5F;
  x.mutable_data<float>()[2 * 40 + 3] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> found = Product(x, w, false);
  for (size_t at = 0; at < found.size(); ++at) {
    if (at / 40 == 1 || at / 40 == 2) {
      EXPECT_TRUE(std::isnan(found[at])) << at;
    } else {
      EXPECT_EQ(found[at], before[at]) << at;
    }
  }
}

TEST(BinaryMatmulTest, LayersOfAStateAreBinaryToo) {
  GraphBuilder b;
  const ValueId state = b.Input("x", {3, 10, 10}, InputAttrs::Values::kBinary);
  const ValueId layer =
      b.Slice(b.Reshape(state, {3, 100}),
              {.starts = {0, 30}, .limits = {3, 70}, .strides = {1, 1}});
  const ValueId out = b.Matmul(layer, b.Constant(RandomWeights({40, 40})), {});
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({out}));
  Tensor x = RandomBits({3, 10, 10}, 5);
  x.mutable_data<float>()[100 + 50] = 0.5F;  // in the layer
  x.mutable_data<float>()[200 + 5] = 0.5F;   // not in it
  ASSERT_OK_AND_ASSIGN(const auto results, RunOnCpu(graph, {&x, 1}));
  EXPECT_FALSE(std::isnan(results[0].data<float>()[0]));
  EXPECT_TRUE(std::isnan(results[0].data<float>()[40]));
  EXPECT_FALSE(std::isnan(results[0].data<float>()[80]));
}

// Their bytes are those of one constant.
TEST(BinaryMatmulTest, EqualWeightsOfOtherShapesAreOtherWeights) {
  const auto ones = [](const Shape& shape) {
    return Tensor::Of<float>(
        shape,
        std::vector<float>(static_cast<size_t>(shape.num_elements()), 0.5F));
  };
  GraphBuilder b;
  const auto input = [&b](const char* name, int64_t width) {
    return b.Input(name, {2, width}, InputAttrs::Values::kBinary);
  };
  const ValueId wide = b.Matmul(input("x", 36), b.Constant(ones({36, 35})), {});
  const ValueId tall = b.Matmul(input("y", 35), b.Constant(ones({35, 36})), {});
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({wide, tall}));
  std::vector<Tensor> inputs = {ones({2, 36}), ones({2, 35})};
  for (Tensor& x : inputs) {
    for (float& value : x.mutable_data<float>()) value = 1;
  }
  ASSERT_OK_AND_ASSIGN(const auto results, RunOnCpu(graph, inputs));
  for (const float value : results[0].data<float>()) EXPECT_EQ(value, 18);
  for (const float value : results[1].data<float>()) EXPECT_EQ(value, 17.5F);
}

// Where tables would be mostly empty, any numbers are multiplied.
TEST(BinaryMatmulTest, SmallProductsAreOrdinaryOnes) {
  for (const Size& size : {Size{2, 8, 64}, Size{2, 64, 8}}) {
    Tensor x = RandomBits({size.rows, size.inner}, 6);
    for (float& value : x.mutable_data<float>()) value = 0.5F;
    const std::vector<float> found =
        Product(x, RandomWeights({size.inner, size.columns}), false);
    for (const float value : found) EXPECT_FALSE(std::isnan(value));
  }
}

// What one instruction set makes of it.
std::vector<float> ProductOn(BinaryMatmulFunction run, const Size& size,
                             const Tensor& x, const Tensor& w) {
  const BinaryMatmulLoops loops = {size.rows, size.inner, size.columns};
  constexpr int64_t kColumns = BinaryMatmulLoops::kColumns;
  const int64_t inner = loops.groups() * BinaryMatmulLoops::kGroup;
  const auto allocate = [](int64_t floats) {
    const size_t bytes = static_cast<size_t>(floats + 16) / 16 * 64;
    auto* memory = static_cast<float*>(std::aligned_alloc(64, bytes));
    std::memset(memory, 0, bytes);
    return std::unique_ptr<float, decltype(&std::free)>(memory, &std::free);
  };
  const auto panels = allocate(loops.panels() * inner * kColumns);
  for (int64_t k = 0; k < size.inner; ++k) {
    for (int64_t j = 0; j < size.columns; ++j) {
      panels.get()[(j / kColumns * inner + k) * kColumns + j % kColumns] =
          w.data<float>()[k * size.columns + j];
    }
  }
  const auto tables = allocate(BinaryMatmulLoops::kTables *
                               BinaryMatmulLoops::kEntries * kColumns);
  const auto sums = allocate(size.rows * kColumns);
  std::vector<uint8_t> codes(size.rows * loops.groups());
  std::vector<uint8_t> valid(size.rows);
  std::vector<float> out(size.rows * size.columns);
  run(loops, {.x = x.data<float>().data(),
              .panels = panels.get(),
              .out = out.data(),
              .tables = tables.get(),
              .sums = sums.get(),
              .codes = codes.data(),
              .valid = valid.data()});
  return out;
}

TEST(BinaryMatmulTest, InstructionSetsAgree) {
  for (const Size& size : kSizes) {
    const Tensor x = RandomBits({size.rows, size.inner}, 7);
    const Tensor w = RandomWeights({size.inner, size.columns});
    const std::vector<float> baseline =
        ProductOn(isa_baseline::kBinaryMatmul, size, x, w);
    if (DetectedIsa() >= CpuIsa::kV3) {
      EXPECT_EQ(ProductOn(isa_v3::kBinaryMatmul, size, x, w), baseline);
    }
    if (DetectedIsa() >= CpuIsa::kV4) {
      EXPECT_EQ(ProductOn(isa_v4::kBinaryMatmul, size, x, w), baseline);
    }
  }
}

}  // namespace
}  // namespace basin::testing
