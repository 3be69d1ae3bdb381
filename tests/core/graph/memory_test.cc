#include <algorithm>
#include <vector>

#include "core/graph/graph_builder.h"
#include "core/graph/passes.h"
#include "tests/core/graph/random_graph.h"
#include "tests/testing/status_matchers.h"

namespace basin::testing {
namespace {

struct Life {
  size_t begin;  // bytes
  size_t end;
  ValueId first;  // nodes
  ValueId last;
};

bool IsOutput(const Graph& graph, ValueId id) {
  const auto& outputs = graph.outputs();
  return std::find(outputs.begin(), outputs.end(), id) != outputs.end();
}

// From the definition: a value must stay from its node to the last node that
// reads it, or reads a reshape of it.
ValueId LastReader(const Graph& graph, ValueId id) {
  ValueId last = id;
  for (ValueId reader = id + 1; reader < graph.size(); ++reader) {
    const Node& node = graph.node(reader);
    if (std::find(node.inputs.begin(), node.inputs.end(), id) ==
        node.inputs.end()) {
      continue;
    }
    last = std::max(last, reader);
    if (node.op == Op::kReshape && !IsOutput(graph, reader)) {
      last = std::max(last, LastReader(graph, reader));
    }
  }
  return last;
}

std::vector<Life> Lives(const Graph& graph, const MemoryPlan& plan) {
  std::vector<Life> lives;
  for (ValueId id = 0; id < graph.size(); ++id) {
    if (plan.offsets[id] == MemoryPlan::kNoOffset) continue;
    if (graph.node(id).op == Op::kReshape) continue;
    const size_t bytes =
        static_cast<size_t>(graph.shape(id).num_elements()) * 4;
    lives.push_back({plan.offsets[id], plan.offsets[id] + bytes, id,
                     LastReader(graph, id)});
  }
  return lives;
}

void CheckPlan(const Graph& graph) {
  const MemoryPlan plan = PlanMemory(graph);
  ASSERT_EQ(plan.offsets.size(), static_cast<size_t>(graph.size()));
  for (ValueId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    const bool outside = node.op == Op::kInput || node.op == Op::kConstant ||
                         IsOutput(graph, id);
    if (outside) {
      EXPECT_EQ(plan.offsets[id], MemoryPlan::kNoOffset);
    } else if (node.op == Op::kReshape) {
      EXPECT_EQ(plan.offsets[id], plan.offsets[node.inputs[0]]);
    } else {
      EXPECT_EQ(plan.offsets[id] % MemoryPlan::kAlignment, 0u);
    }
  }
  const std::vector<Life> lives = Lives(graph, plan);
  for (size_t i = 0; i < lives.size(); ++i) {
    EXPECT_LE(lives[i].end, plan.arena_size);
    for (size_t k = 0; k < i; ++k) {
      const bool in_time = lives[k].last >= lives[i].first;
      const bool in_space =
          lives[k].begin < lives[i].end && lives[i].begin < lives[k].end;
      EXPECT_FALSE(in_time && in_space)
          << "%" << lives[k].first << " and %" << lives[i].first << "\n"
          << graph.ToString();
    }
  }
}

TEST(PlanMemoryTest, LiveValuesNeverOverlapOnRandomGraphs) {
  for (uint32_t seed = 0; seed < 150; ++seed) {
    const Graph graph = RandomGraph(seed, 20 + static_cast<int>(seed));
    ASSERT_NO_FATAL_FAILURE(CheckPlan(graph));
    ASSERT_OK_AND_ASSIGN(const Graph optimized, Optimize(graph));
    ASSERT_NO_FATAL_FAILURE(CheckPlan(optimized));
  }
}

TEST(PlanMemoryTest, AChainNeedsTwoBuffers) {
  GraphBuilder b;
  ValueId x = b.Input("x", Shape({64, 100}));
  for (int i = 0; i < 10; ++i) x = b.Unary(ScalarOp::kSin, x);
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({x}));
  EXPECT_EQ(PlanMemory(graph).arena_size, 2u * 64 * 100 * 4);
}

TEST(PlanMemoryTest, ReshapeOfAnInputHasNoBytes) {
  GraphBuilder b;
  const ValueId x = b.Input("x", Shape({2, 3}));
  const ValueId flat = b.Reshape(x, Shape({6}));
  const ValueId y = b.Unary(ScalarOp::kExp, flat);
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({y}));
  const MemoryPlan plan = PlanMemory(graph);
  EXPECT_EQ(plan.offsets[flat], MemoryPlan::kNoOffset);
  EXPECT_EQ(plan.arena_size, 0u);
}

// Twenty thousand values of 2^48 floats would wrap a size_t around in the end.
TEST(PlanMemoryTest, SaysSoIfNoAddressSpaceIsLargeEnough) {
  GraphBuilder b;
  const Shape huge({Shape::kMaxElements});
  const ValueId x = b.Input("x", huge);
  std::vector<ValueId> values;
  for (int i = 0; i < 20000; ++i) values.push_back(b.Unary(ScalarOp::kSin, x));
  ValueId sum = x;
  for (const ValueId value : values) sum = b.Add(sum, value);
  ASSERT_OK_AND_ASSIGN(const Graph graph, std::move(b).Build({sum}));
  EXPECT_EQ(PlanMemory(graph).arena_size, MemoryPlan::kNoOffset);
}

}  // namespace
}  // namespace basin::testing
