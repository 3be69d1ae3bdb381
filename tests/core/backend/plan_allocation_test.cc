// A program of its own, because it replaces operator new.

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/backend/backend.h"
#include "core/graph/graph_builder.h"
#include "tests/core/backend/plan_runner.h"
#include "tests/testing/status_matchers.h"

namespace {

std::atomic<int64_t> allocations{0};
std::atomic<int64_t> largest_allocation{0};

void* Allocate(size_t bytes) {
  ++allocations;
  const auto size = static_cast<int64_t>(bytes);
  if (size > largest_allocation) largest_allocation = size;
  void* memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

void* operator new(size_t bytes) { return Allocate(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace basin::testing {
namespace {

struct Allocations {
  int64_t count;
  int64_t largest;  // bytes
};

// Of one run, after others.
Allocations AllocationsOfARun(const Graph& graph) {
  const std::unique_ptr<Backend> backend = CreateCpuBackend();
  backend->PrepareWorkerThread();
  auto runner =
      PlanRunner::Create(*backend, graph, backend->CreateWeightStore());
  EXPECT_TRUE(runner.ok()) << runner.status();
  EXPECT_OK(runner->Run());
  EXPECT_OK(runner->Run());
  allocations = 0;
  largest_allocation = 0;
  const absl::Status status = runner->Run();
  const Allocations result = {allocations, largest_allocation};
  EXPECT_OK(status);
  return result;
}

TEST(PlanAllocationTest, OurOwnKernelsAllocateNothing) {
  GraphBuilder b;
  const ValueId x = b.Input("x", {8, 3, 12});
  const ValueId y = b.Unary(ScalarOp::kExp, b.Add(x, b.Constant(0.5F)));
  const ValueId sum = b.ReduceSum(b.Transpose(y, {0, 2, 1}), {2},
                                  GraphBuilder::ReducedAxes::kDrop);
  const std::vector<ValueId> outputs = {
      b.LogSumExp(sum, {1}, GraphBuilder::ReducedAxes::kDrop),
      b.Concat({x, y}, 1)};
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build(outputs));
  EXPECT_EQ(AllocationsOfARun(graph).count, 0);
}

// oneDNN puts the arguments of each call into a small map of its own (a
// convolution may be a call for each 64 tiles, where more would not be summed
// alike); what grows with the rows is in the workspace.
TEST(PlanAllocationTest, OneDnnAllocatesItsArgumentsOnly) {
  std::mt19937 random(1);
  GraphBuilder b;
  const ValueId x = b.Input("x", {64, 16, 12, 12});
  const ValueId w = b.Constant(RandomTensor({32, 16, 3, 3}, random));
  const ValueId y = b.Conv(x, w, {{1, 1}, {1, 1}, {1, 1}, {1, 1}, 1});
  const ValueId flat = b.Reshape(y, {64, 32 * 144});
  const ValueId v = b.Constant(RandomTensor({32 * 144, 40}, random));
  const ValueId z = b.Matmul(flat, v);
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({z}));
  const Allocations run = AllocationsOfARun(graph);
  EXPECT_LE(run.count, 250);
  EXPECT_LE(run.largest, 4096);
}

}  // namespace
}  // namespace basin::testing
