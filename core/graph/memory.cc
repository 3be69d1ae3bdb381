#include <algorithm>
#include <iterator>
#include <map>
#include <vector>

#include "core/graph/passes.h"

namespace basin {
namespace {

// Free and taken stretches of the arena.
class Arena {
 public:
  // The smallest free stretch that fits, or the end. kNoOffset if the arena
  // would outgrow the address space.
  size_t Take(size_t size) {
    auto best = free_.end();
    for (auto it = free_.begin(); it != free_.end(); ++it) {
      if (it->second < size) continue;
      if (best == free_.end() || it->second < best->second) best = it;
    }
    if (best != free_.end()) {
      const auto [offset, length] = *best;
      free_.erase(best);
      if (length > size) free_[offset + size] = length - size;
      return offset;
    }
    return Grow(size);
  }

  void Give(size_t offset, size_t size) {
    auto next = free_.upper_bound(offset);
    if (next != free_.end() && offset + size == next->first) {
      size += next->second;
      next = free_.erase(next);
    }
    if (next != free_.begin()) {
      const auto previous = std::prev(next);
      if (previous->first + previous->second == offset) {
        previous->second += size;
        return;
      }
    }
    free_[offset] = size;
  }

  size_t size() const { return size_; }

 private:
  size_t Grow(size_t size) {
    size_t offset = size_;
    if (!free_.empty()) {
      const auto last = std::prev(free_.end());
      if (last->first + last->second == size_) offset = last->first;
    }
    if (size > MemoryPlan::kNoOffset - offset) return MemoryPlan::kNoOffset;
    if (offset < size_) free_.erase(offset);
    size_ = offset + size;
    return offset;
  }

  std::map<size_t, size_t> free_;  // size by offset, never adjacent
  size_t size_ = 0;
};

size_t AlignedSize(const Node& node) {
  const size_t bytes =
      static_cast<size_t>(node.shape.num_elements()) * ByteSize(node.dtype);
  constexpr size_t kAlignment = MemoryPlan::kAlignment;
  return (std::max<size_t>(bytes, 1) + kAlignment - 1) / kAlignment *
         kAlignment;
}

// The value whose bytes each value has: its own, or for a kReshape that is
// not an output those of its input.
std::vector<ValueId> Owners(const Graph& graph,
                            const std::vector<bool>& outside) {
  std::vector<ValueId> owners(static_cast<size_t>(graph.size()));
  for (ValueId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    const bool shares = node.op == Op::kReshape && !outside[id];
    owners[id] = shares ? owners[node.inputs[0]] : id;
  }
  return owners;
}

std::vector<bool> LivesOutside(const Graph& graph) {
  std::vector<bool> outside(static_cast<size_t>(graph.size()), false);
  for (ValueId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    outside[id] = node.op == Op::kInput || node.op == Op::kConstant ||
                  node.dtype == DType::kFloat64;
  }
  for (const ValueId id : graph.outputs()) outside[id] = true;
  return outside;
}

// By owner: the last node that reads it, itself if none does.
std::vector<ValueId> LastUses(const Graph& graph,
                              const std::vector<ValueId>& owners) {
  std::vector<ValueId> last(owners.size());
  for (ValueId id = 0; id < graph.size(); ++id) {
    last[id] = id;
    for (const ValueId input : graph.node(id).inputs) last[owners[input]] = id;
  }
  return last;
}

}  // namespace

MemoryPlan PlanMemory(const Graph& graph) {
  const std::vector<bool> outside = LivesOutside(graph);
  const std::vector<ValueId> owners = Owners(graph, outside);
  const std::vector<ValueId> last = LastUses(graph, owners);
  std::vector<std::vector<ValueId>> dying(owners.size());
  MemoryPlan plan;
  plan.offsets.assign(owners.size(), MemoryPlan::kNoOffset);
  Arena arena;
  for (ValueId id = 0; id < graph.size(); ++id) {
    if (owners[id] == id && !outside[id]) {
      plan.offsets[id] = arena.Take(AlignedSize(graph.node(id)));
      if (plan.offsets[id] == MemoryPlan::kNoOffset) {
        return {std::vector<size_t>(owners.size(), MemoryPlan::kNoOffset),
                MemoryPlan::kNoOffset};
      }
      dying[last[id]].push_back(id);
    }
    plan.offsets[id] = plan.offsets[owners[id]];
    for (const ValueId dead : dying[id]) {
      arena.Give(plan.offsets[dead], AlignedSize(graph.node(dead)));
    }
  }
  plan.arena_size = arena.size();
  return plan;
}

}  // namespace basin
