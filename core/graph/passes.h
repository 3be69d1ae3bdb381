#ifndef BASIN_CORE_GRAPH_PASSES_H_
#define BASIN_CORE_GRAPH_PASSES_H_

// Passes: functions from graph to graph. None changes what is computed but
// for the rounding of folded constants. Pure; thread-safe.

#include <cstddef>
#include <vector>

#include <absl/status/statusor.h>

#include "core/graph/graph.h"

namespace basin {

// Drops what no output needs, merges equal nodes, removes neutral operations
// (x + 0, x * 1, reshape of reshape, a transpose before a matmul, identity
// transposes, kStopGradient), and computes what depends on constants only.
// Constants that are only passed on are shared, not copied.
// kExact: only what moves elements is computed, so that nothing is rounded.
enum class Folding { kAll, kExact };
absl::StatusOr<Graph> Simplify(const Graph& graph,
                               Folding folding = Folding::kAll);

// Rounds float64 constants to float32: what plans of that precision are made
// of. Graphs without any are only copied.
absl::StatusOr<Graph> Narrow(const Graph& graph);

// Turns trees of elementwise operations and broadcasts into kFused nodes.
// A cheap producer with several consumers is computed again in each rather
// than stored. Every kElementwise node becomes part of a kFused one.
absl::StatusOr<Graph> Fuse(const Graph& graph);

// Simplify, then Fuse, then drop what became unused: what backends compile.
absl::StatusOr<Graph> Optimize(const Graph& graph);

// Where each value lives in one arena, by liveness: values whose lifetimes do
// not overlap share bytes. A pure function of the graph.
struct MemoryPlan {
  static constexpr size_t kAlignment = 64;         // bytes
  static constexpr size_t kNoOffset = ~size_t{0};  // inputs, outputs, constants
  std::vector<size_t> offsets;                     // bytes, by ValueId
  size_t arena_size = 0;                           // bytes
};
// kReshape nodes share their input's bytes, and so have kNoOffset where that is
// an input, a constant or an output. Inputs, constants, outputs and float64
// values, which plans may compute before their turn, live outside the arena: a
// kReshape that is an output is therefore a copy, and an output that is also an
// input or a constant must be copied too. A node's result never shares bytes
// with its inputs otherwise. If the arena would outgrow the address space,
// arena_size is kNoOffset and so is every offset: compare it with a limit
// before taking memory.
MemoryPlan PlanMemory(const Graph& graph);

}  // namespace basin

#endif  // BASIN_CORE_GRAPH_PASSES_H_
